installed() {
    reload_units
}

removing() {
    stop_units docker.service
}

removed() {
    reload_units
}

UNITS="kube-apiserver.service kube-controller-manager.service kube-scheduler.service"

installed() {
    create_user
    create_directories kubernetes-master.conf
    reload_units
}

upgraded() {
    create_user
    create_directories kubernetes-master.conf
    restart_units $UNITS
}

removing() {
    stop_units $UNITS
}

removed() {
    reload_units
}

# The user `kube` stays, as system users do: files of it may be anywhere. Objects are etcd's.
purged() {
    delete_data /var/lib/kubernetes
}

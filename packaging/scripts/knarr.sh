# Units that `knarr service install` wrote.
own_units() {
    grep -lsE '^ExecStart=/usr/bin/knarr (server|agent)' /etc/systemd/system/*.service || true
}

upgraded() {
    for file in $(own_units); do restart_units "${file##*/}"; done
}

removing() {
    for file in $(own_units); do stop_units "${file##*/}"; done
    end_pods /var/lib/knarr
}

purged() {
    for file in $(own_units); do rm -f "$file"; done
    delete_data /var/lib/knarr
    rm -rf /etc/knarr
    reload_units
}

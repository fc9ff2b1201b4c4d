UNITS="kube-proxy.service kubelet.service"

installed() {
    create_directories kubernetes-node.conf
    reload_units
}

# Containers run on meanwhile.
upgraded() {
    create_directories kubernetes-node.conf
    restart_units $UNITS
}

removing() {
    stop_units $UNITS
    end_pods /var/lib/kubelet
}

removed() {
    reload_units
}

purged() {
    delete_data /var/lib/kubelet
}

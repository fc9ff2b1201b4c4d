# What a package does beside its files: cargo xtask dist puts one of these scripts into each of .deb's and .rpm's own.
# `installed`, `upgraded`, `removing`, `removed` and `purged` are called when that has happened, or is about to.

installed() { :; }
upgraded() { :; }
removing() { :; }
removed() { :; }
purged() { :; }

# Of a machine that runs systemd; others (containers, images in the making) have nothing to start or stop.
running_systemd() { [ -d /run/systemd/system ]; }

reload_units() {
    if running_systemd; then systemctl daemon-reload || true; fi
}

# Units are neither enabled nor started by installing them: which ones a machine runs is its administrator's to say.
restart_units() {
    reload_units
    if running_systemd; then
        for unit in "$@"; do systemctl try-restart "$unit" || echo "$unit did not start again: journalctl -u $unit" >&2; done
    fi
}

stop_units() {
    if running_systemd; then systemctl stop "$@" || true; fi
    if command -v systemctl >/dev/null; then systemctl disable "$@" >/dev/null 2>&1 || true; fi
}

# The system user that the control plane's programs run as, also where there is no systemd (yet).
create_user() {
    if command -v systemd-sysusers >/dev/null; then
        systemd-sysusers kubernetes.conf
    elif ! getent passwd kube >/dev/null; then
        useradd --system --user-group --no-create-home --home-dir /var/lib/kubernetes --shell /usr/sbin/nologin \
            --comment "Kubernetes user" kube
    fi
}

# The units make their directories too, when they start.
create_directories() {
    if command -v systemd-tmpfiles >/dev/null; then systemd-tmpfiles --create "$1"; fi
}

# Deletes a directory of ours with all that is in it, but nothing that is mounted below it: that is somebody's volume.
delete_data() {
    if [ -e /proc/self/mountinfo ] && cut -d' ' -f5 /proc/self/mountinfo | grep -q "^$1/"; then
        echo "$1 stays: something is mounted below it" >&2
    else
        rm -rf --one-file-system "$1"
    fi
}

# Ends what is left of a node's pods: containers, mounts, links, rules. Data stays until it is purged.
end_pods() {
    if [ -e "$1" ] && running_systemd; then
        knarr reset --yes --keep-data --data-dir "$1" || echo "knarr reset --data-dir $1 left something" >&2
    fi
}

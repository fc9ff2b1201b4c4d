//! The packages: what each is, needs and holds.

/// The version of Kubernetes whose API and flags these are.
pub const KUBERNETES: &str = "1.37.0";

/// A dependency, as each format writes it. `{version}` is that of the packages.
pub struct Need {
    pub deb: &'static str,
    pub rpm: &'static str,
}

/// Another package of this release.
const fn ours(deb: &'static str, rpm: &'static str) -> Need {
    Need { deb, rpm }
}

pub struct Package {
    pub name: &'static str,
    pub summary: &'static str,
    /// Lines of at most 78 characters.
    pub description: &'static str,
    pub needs: &'static [Need],
    /// What is useful beside it, and installed with it unless somebody does not want that.
    pub recommends: &'static [Need],
    /// Packages with the same files.
    pub conflicts: &'static [&'static str],
    pub provides: &'static [&'static str],
    pub files: &'static [File],
    /// Link and what it leads to, relative to the link's directory.
    pub links: &'static [(&'static str, &'static str)],
    /// Of one kind of processor, because the program is.
    pub of_machine: bool,
    /// Of packaging/scripts, if it does anything beside unpacking.
    pub script: bool,
}

/// Where it comes from, where it goes, with which permissions.
pub struct File {
    pub from: From,
    pub to: &'static str,
    pub mode: u32,
}

pub enum From {
    /// A file of packaging/
    Packaging(&'static str),
    /// A file of the repository
    Tree(&'static str),
    /// The binary
    Program,
    /// What it prints by `knarr completion bash`
    Completion,
    /// packaging/knarr.1, compressed
    Manual,
    /// The licences of what is linked into it
    Licences,
}

const fn unit(name: &'static str, to: &'static str) -> File {
    File { from: From::Packaging(name), to, mode: 0o644 }
}

/// A file that administrators change: kept over upgrades.
const fn settings(name: &'static str, to: &'static str) -> File {
    File { from: From::Packaging(name), to, mode: 0o644 }
}

const KNARR: Need = ours("knarr (= {version})", "knarr = {version}");
const CLIENT: Need = ours("kubernetes-client (= {version})", "kubernetes-client = {version}");

const NOTHING: Package = Package {
    name: "",
    summary: "",
    description: "",
    needs: &[],
    recommends: &[],
    conflicts: &[],
    provides: &[],
    files: &[],
    links: &[],
    of_machine: false,
    script: false,
};

pub const PACKAGES: &[Package] = &[
    Package {
        name: "knarr",
        summary: "Kubernetes, whole, in one program",
        of_machine: true,
        description: "\
One static program that is all of Kubernetes: API server, store, controllers,
scheduler, kubelet, container runtime, pod network, service proxy, cluster DNS
and kubectl.

`knarr server` turns a machine into a cluster, `knarr agent` joins another one
to it, and `knarr service install` has systemd run them.",
        files: &[
            File { from: From::Program, to: "usr/bin/knarr", mode: 0o755 },
            File { from: From::Completion, to: "usr/share/bash-completion/completions/knarr", mode: 0o644 },
            File { from: From::Manual, to: "usr/share/man/man1/knarr.1.gz", mode: 0o644 },
            File { from: From::Tree("docs/install.md"), to: "usr/share/doc/knarr/install.md", mode: 0o644 },
            File { from: From::Tree("docs/operate.md"), to: "usr/share/doc/knarr/operate.md", mode: 0o644 },
            File { from: From::Licences, to: "usr/share/doc/knarr/licences.txt.gz", mode: 0o644 },
        ],
        script: true,
        ..NOTHING
    },
    Package {
        name: "kubernetes-client",
        summary: "Kubernetes' client, kubectl",
        description: "\
The command kubectl, which talks to any Kubernetes cluster, and the settings
that all components of a machine read, /etc/kubernetes/config.",
        needs: &[KNARR],
        conflicts: &["kubectl"],
        provides: &["kubectl"],
        files: &[settings("kubernetes/config", "etc/kubernetes/config")],
        links: &[("usr/bin/kubectl", "knarr"), ("usr/share/man/man1/kubectl.1.gz", "knarr.1.gz")],
        ..NOTHING
    },
    Package {
        name: "kubernetes-master",
        summary: "Kubernetes' control plane",
        description: "\
kube-apiserver, kube-controller-manager and kube-scheduler, each with its unit
and its settings in /etc/kubernetes. They keep their objects in an etcd.

No unit is enabled or started by installing it.",
        needs: &[KNARR, CLIENT, Need { deb: "passwd", rpm: "shadow-utils" }],
        recommends: &[Need { deb: "etcd-server", rpm: "etcd" }],
        files: &[
            unit("units/kube-apiserver.service", "usr/lib/systemd/system/kube-apiserver.service"),
            unit(
                "units/kube-controller-manager.service",
                "usr/lib/systemd/system/kube-controller-manager.service",
            ),
            unit("units/kube-scheduler.service", "usr/lib/systemd/system/kube-scheduler.service"),
            settings("kubernetes/apiserver", "etc/kubernetes/apiserver"),
            settings("kubernetes/controller-manager", "etc/kubernetes/controller-manager"),
            settings("kubernetes/scheduler", "etc/kubernetes/scheduler"),
            unit("sysusers.d/kubernetes.conf", "usr/lib/sysusers.d/kubernetes.conf"),
            unit("tmpfiles.d/kubernetes-master.conf", "usr/lib/tmpfiles.d/kubernetes-master.conf"),
        ],
        links: &[
            ("usr/bin/kube-apiserver", "knarr"),
            ("usr/bin/kube-controller-manager", "knarr"),
            ("usr/bin/kube-scheduler", "knarr"),
            ("usr/share/man/man1/kube-apiserver.1.gz", "knarr.1.gz"),
            ("usr/share/man/man1/kube-controller-manager.1.gz", "knarr.1.gz"),
            ("usr/share/man/man1/kube-scheduler.1.gz", "knarr.1.gz"),
        ],
        script: true,
        ..NOTHING
    },
    Package {
        name: "kubernetes-node",
        summary: "Kubernetes' node: kubelet and kube-proxy",
        description: "\
kubelet, with a container runtime and a pod network of its own, and kube-proxy,
each with its unit and its settings in /etc/kubernetes.

No unit is enabled or started by installing it.",
        needs: &[
            KNARR,
            CLIENT,
            Need {
                deb: "knarr-docker (= {version}) | docker.io | docker-ce",
                rpm: "(knarr-docker or docker-ce or moby-engine)",
            },
        ],
        files: &[
            unit("units/kubelet.service", "usr/lib/systemd/system/kubelet.service"),
            unit("units/kube-proxy.service", "usr/lib/systemd/system/kube-proxy.service"),
            settings("kubernetes/kubelet", "etc/kubernetes/kubelet"),
            settings("kubernetes/proxy", "etc/kubernetes/proxy"),
            unit("tmpfiles.d/kubernetes-node.conf", "usr/lib/tmpfiles.d/kubernetes-node.conf"),
        ],
        links: &[
            ("usr/bin/kubelet", "knarr"),
            ("usr/bin/kube-proxy", "knarr"),
            ("usr/share/man/man1/kubelet.1.gz", "knarr.1.gz"),
            ("usr/share/man/man1/kube-proxy.1.gz", "knarr.1.gz"),
        ],
        script: true,
        ..NOTHING
    },
    Package {
        name: "knarr-docker",
        summary: "Answers `docker ps` for the containers of a Kubernetes node",
        description: "\
The commands docker ps, inspect, images, version and info for the containers
that the kubelet runs, and a unit docker.service that has nothing to do: for
machines without Docker, and guides that were written for those with it.

Docker's own packages replace it.",
        needs: &[KNARR],
        conflicts: &[
            "docker.io",
            "docker-cli",
            "docker-ce",
            "docker-ce-cli",
            "moby-engine",
            "moby-cli",
            "podman-docker",
        ],
        files: &[unit("units/docker.service", "usr/lib/systemd/system/docker.service")],
        links: &[("usr/bin/docker", "knarr"), ("usr/share/man/man1/docker.1.gz", "knarr.1.gz")],
        script: true,
        ..NOTHING
    },
    Package {
        name: "kubernetes",
        summary: "Control plane, node and client of a cluster (metapackage)",
        description: "\
A metapackage: nothing by itself, it brings kubernetes-master, kubernetes-node
and kubernetes-client. What a machine is to be is said by which units it runs.",
        needs: &[
            ours("kubernetes-master (= {version})", "kubernetes-master = {version}"),
            ours("kubernetes-node (= {version})", "kubernetes-node = {version}"),
            CLIENT,
        ],
        ..NOTHING
    },
];

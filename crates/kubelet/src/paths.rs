//! Where things are on disk. One place, upstream's layout.

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Pod;

/// The kubelet's directories.
#[derive(Clone, Debug)]
pub struct Paths {
    /// As upstream's /var/lib/kubelet.
    pub root: PathBuf,
    /// As upstream's /var/log/pods.
    pub logs: PathBuf,
}

impl Paths {
    /// One directory for each pod by its uid.
    pub fn pods(&self) -> PathBuf {
        self.root.join("pods")
    }

    pub fn pod(&self, uid: &str) -> PathBuf {
        self.pods().join(uid)
    }

    /// A volume's directory; `plugin` without its slash: `kubernetes.io~empty-dir`.
    pub fn volume(&self, uid: &str, plugin: &str, name: &str) -> PathBuf {
        self.pod(uid).join("volumes").join(plugin).join(name)
    }

    /// What subPaths are bound to.
    pub fn subpaths(&self, uid: &str) -> PathBuf {
        self.pod(uid).join("volume-subpaths")
    }

    /// Which user ids the pod has been given.
    pub fn userns(&self, uid: &str) -> PathBuf {
        self.pod(uid).join("userns")
    }

    pub fn hosts_file(&self, uid: &str) -> PathBuf {
        self.pod(uid).join("etc-hosts")
    }

    /// The file that a container's terminationMessagePath is bound to.
    pub fn termination_log(&self, uid: &str, container: &str, attempt: u32) -> PathBuf {
        self.pod(uid).join("containers").join(container).join(format!("{attempt}"))
    }

    /// `<namespace>_<name>_<uid>`
    pub fn pod_logs(&self, pod: &Pod) -> PathBuf {
        let own = |s: &Option<String>| s.clone().unwrap_or_default();
        let meta = &pod.metadata;
        self.pod_logs_of(&own(&meta.namespace), &own(&meta.name), &own(&meta.uid))
    }

    pub fn pod_logs_of(&self, namespace: &str, name: &str, uid: &str) -> PathBuf {
        self.logs.join(format!("{namespace}_{name}_{uid}"))
    }

    /// Localhost seccomp profiles.
    pub fn seccomp(&self) -> PathBuf {
        self.root.join("seccomp")
    }
}

/// As text, for the runtime.
pub fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

//! What a kubelet is started with.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use auth::authn::Authenticator;
use auth::authz::Authorizer;
use k8s_openapi::api::core::v1::Taint;
use tokio::net::TcpListener;

use crate::cgroups::Cgroups;
use crate::eviction::Thresholds;
use crate::mounts::Mounter;
use crate::server::Streaming;

/// Everything but the API and the runtime.
pub struct Config {
    pub node_name: String,
    /// As upstream's /var/lib/kubelet.
    pub root_dir: PathBuf,
    /// As upstream's /var/log/pods.
    pub pod_logs_dir: PathBuf,
    /// The node's own addresses, the one to be reached by first.
    pub node_ips: Vec<IpAddr>,
    /// Nameservers of pods with dnsPolicy ClusterFirst; empty: they get the host's.
    pub cluster_dns: Vec<IpAddr>,
    pub cluster_domain: String,
    /// The host's, for dnsPolicy Default.
    pub resolv_conf: PathBuf,
    /// Labels and taints that the node is registered with, besides the usual ones.
    pub node_labels: BTreeMap<String, String>,
    pub node_taints: Vec<Taint>,
    pub max_pods: u32,
    /// With less than this left, pods are evicted.
    pub eviction: Thresholds,
    /// Manifests in this directory run without an API server's leave, as upstream's `staticPodPath`.
    pub static_pod_path: Option<PathBuf>,
    /// Containers that say nothing get RuntimeDefault seccomp. Upstream's default is false.
    pub seccomp_default: bool,
    pub cgroups: Cgroups,
    pub mounter: Arc<dyn Mounter>,
    /// `None`: no server.
    pub server: Option<ServerConfig>,
}

/// The HTTPS server that the API server talks to.
pub struct ServerConfig {
    /// Already bound, so that a port in use is an error before anything else happens. 10250 by convention.
    pub listener: TcpListener,
    /// Further ports, already bound, where anybody may read, in plain text.
    pub plain: Vec<(TcpListener, Plain)>,
    /// Asks for (and does not insist on) a client certificate.
    pub tls: Arc<rustls::ServerConfig>,
    pub authenticator: Arc<dyn Authenticator>,
    pub authorizer: Arc<dyn Authorizer>,
    /// exec, attach and portForward; `None` answers 501.
    pub streaming: Option<Arc<dyn Streaming>>,
}

/// What a plain port shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    /// 10255 by convention: pods, statistics, metrics.
    ReadOnly,
    /// 4194 by convention: cAdvisor's metrics. Its pages are not there.
    Cadvisor,
}

impl Config {
    /// For a node of this name with all its state below `root_dir`; no DNS, no addresses, no cgroups, no server.
    pub fn new(node_name: &str, root_dir: impl Into<PathBuf>, mounter: Arc<dyn Mounter>) -> Self {
        let root_dir = root_dir.into();
        Config {
            node_name: node_name.to_owned(),
            pod_logs_dir: root_dir.join("pod-logs"),
            root_dir,
            node_ips: Vec::new(),
            cluster_dns: Vec::new(),
            cluster_domain: "cluster.local".into(),
            resolv_conf: "/etc/resolv.conf".into(),
            node_labels: BTreeMap::new(),
            node_taints: Vec::new(),
            max_pods: 110,
            eviction: Thresholds::default(),
            static_pod_path: None,
            seccomp_default: false,
            cgroups: Cgroups::new(None, ""),
            mounter,
            server: None,
        }
    }
}

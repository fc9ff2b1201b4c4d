//! What the node of one machine is told, be it a server's or an agent's.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::Taint;

use super::{Thresholds, control_socket};

/// Settings of runtime, network, proxy, DNS and kubelet of this machine.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    pub data_dir: PathBuf,
    pub run_dir: PathBuf,
    /// Where the kubelet listens.
    pub bind_address: IpAddr,
    pub kubelet_port: u16,
    pub node_name: String,
    pub node_ip: IpAddr,
    /// What the node is registered with, besides the usual labels.
    pub node_labels: BTreeMap<String, String>,
    pub cluster_cidrs: Vec<IpNet>,
    pub service_cidrs: Vec<IpNet>,
    pub cluster_domain: String,
    /// Where pods find cluster DNS; `None`: nowhere.
    pub cluster_dns: Option<IpAddr>,
    /// Whether this machine answers there.
    pub serve_dns: bool,
    pub resolv_conf: Option<PathBuf>,
    pub registries: Option<PathBuf>,
    pub eviction_hard: Thresholds,
    pub pod_manifest_path: PathBuf,
    pub kubelet: KubeletOptions,
}

/// What only a kubelet alone is asked about; everybody else has the defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct KubeletOptions {
    pub max_pods: u32,
    /// The node is registered with these.
    pub taints: Vec<Taint>,
    /// Containers that say nothing get RuntimeDefault seccomp.
    pub seccomp_default: bool,
    /// Whether callers without credentials are system:anonymous, whom the API server then judges.
    pub anonymous: bool,
    /// Where anybody may read, in plain text: pods and statistics, and cAdvisor's metrics.
    pub read_only: Option<SocketAddr>,
    pub cadvisor: Option<SocketAddr>,
}

impl Default for KubeletOptions {
    fn default() -> Self {
        KubeletOptions {
            max_pods: 110,
            taints: Vec::new(),
            seccomp_default: true,
            anonymous: false,
            read_only: None,
            cadvisor: None,
        }
    }
}

impl NodeConfig {
    pub fn control_socket(&self) -> PathBuf {
        control_socket(&self.run_dir)
    }
}

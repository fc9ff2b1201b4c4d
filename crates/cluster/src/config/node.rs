//! What the node of one machine is told, be it a server's or an agent's.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;

use super::control_socket;

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
    pub eviction_hard: kubelet::eviction::Thresholds,
    pub pod_manifest_path: PathBuf,
}

impl NodeConfig {
    pub fn control_socket(&self) -> PathBuf {
        control_socket(&self.run_dir)
    }
}

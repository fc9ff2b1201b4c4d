//! What an agent is told.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::{Result, bail};
use resources::core::node::is_kubelets_to_set;

use crate::config::{NodeConfig, Thresholds, check_node_name};
use crate::joining::About;
use crate::token::JoinToken;

/// What the user chose.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// `https://host:port`, any of the cluster's. More are learnt.
    pub servers: Vec<String>,
    /// Needed for the first start only.
    pub token: Option<JoinToken>,
    pub data_dir: PathBuf,
    pub run_dir: PathBuf,
    pub bind_address: IpAddr,
    pub kubelet_port: u16,
    pub node_name: String,
    /// The address by which others reach this machine; found out when empty.
    pub node_ip: Option<IpAddr>,
    pub node_labels: BTreeMap<String, String>,
    pub registries: Option<PathBuf>,
    pub resolv_conf: Option<PathBuf>,
    pub eviction_hard: Thresholds,
    pub pod_manifest_path: PathBuf,
}

impl AgentConfig {
    /// Fails on what cannot work, naming the flag.
    pub fn validate(&self) -> Result<()> {
        for server in &self.servers {
            super::servers::address(server)?;
        }
        check_node_name(&self.node_name)?;
        for key in self.node_labels.keys() {
            // As the kubelet's --node-labels: the API would refuse the node, and nobody would see why.
            if !is_kubelets_to_set(key) {
                bail!(
                    "--node-labels: a node may not label itself with {key}; use `kubectl label node` on a server"
                );
            }
        }
        Ok(())
    }

    /// With what the cluster says about itself.
    pub(super) fn node(&self, node_ip: IpAddr, about: About) -> NodeConfig {
        NodeConfig {
            data_dir: self.data_dir.clone(),
            run_dir: self.run_dir.clone(),
            bind_address: self.bind_address,
            kubelet_port: self.kubelet_port,
            node_name: self.node_name.clone(),
            node_ip,
            node_labels: self.node_labels.clone(),
            cluster_cidrs: about.cluster_cidrs,
            service_cidrs: about.service_cidrs,
            cluster_domain: about.cluster_domain,
            cluster_dns: about.cluster_dns,
            serve_dns: about.nodes_serve_dns,
            resolv_conf: self.resolv_conf.clone(),
            registries: self.registries.clone(),
            eviction_hard: self.eviction_hard,
            kubelet: Default::default(),
            pod_manifest_path: self.pod_manifest_path.clone(),
        }
    }
}

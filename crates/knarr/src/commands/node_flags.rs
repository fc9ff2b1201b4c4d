//! What `knarr server` and `knarr agent` are both told about this machine's node.

use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::{Result, bail};
use cluster::config::{DEFAULT_DATA_DIR, Thresholds, default_run_dir};
use cluster::host;

use crate::commands::node::absolute;

#[derive(clap::Args)]
pub struct NodeFlags {
    /// Where all data is kept: objects (of a server), certificates, images, containers
    #[arg(long, default_value = DEFAULT_DATA_DIR, env = "KNARR_DATA_DIR")]
    data_dir: PathBuf,
    /// Where what ends with a reboot is kept [default: /run/knarr]
    #[arg(long, hide = true)]
    run_dir: Option<PathBuf>,
    /// The port the kubelet listens on
    #[arg(long, default_value_t = 10250)]
    kubelet_port: u16,
    /// This node's name [default: the host's name]
    #[arg(long)]
    node_name: Option<String>,
    /// The address by which other machines of the cluster reach this one [default: that of the default route]
    #[arg(long)]
    node_ip: Option<IpAddr>,
    /// Mirrors, credentials and TLS of image registries, in the form of k3s' registries.yaml
    /// [default: /etc/knarr/registries.yaml, if there is one]
    #[arg(long, value_name = "FILE", visible_alias = "registries")]
    private_registry: Option<PathBuf>,
    /// The file with this node's own nameservers: for names outside the cluster, and for pods with dnsPolicy Default
    /// [default: /etc/resolv.conf, or systemd-resolved's list]
    #[arg(long, value_name = "FILE")]
    resolv_conf: Option<PathBuf>,
    /// The directory whose manifests this node runs as static pods [default: DATA_DIR/pod-manifests]
    #[arg(long, value_name = "DIR")]
    pod_manifest_path: Option<PathBuf>,
    /// With less than this left, the node takes no more pods and ends some
    #[arg(
        long,
        value_name = "SIGNAL<AMOUNT,…",
        default_value = "memory.available<100Mi,nodefs.available<5%,nodefs.inodesFree<5%"
    )]
    eviction_hard: String,
    /// What to log: error, warn, info, debug, or a filter such as kubelet=debug,info
    #[arg(long, default_value = "warn,nlink=error", env = "KNARR_LOG")]
    log: String,
}

/// The same, checked, with defaults and absolute paths.
pub struct NodeSettings {
    pub data_dir: PathBuf,
    pub run_dir: PathBuf,
    pub kubelet_port: u16,
    pub node_name: String,
    pub node_ip: Option<IpAddr>,
    pub registries: Option<PathBuf>,
    pub resolv_conf: Option<PathBuf>,
    pub pod_manifest_path: PathBuf,
    pub eviction_hard: Thresholds,
}

impl NodeFlags {
    /// Starts the log. `command`, such as `knarr server`, needs root: for whom else it is refused.
    pub fn start(&self, command: &str) -> Result<()> {
        crate::commands::start_log(&self.log)?;
        if !nix::unistd::Uid::effective().is_root() {
            bail!(
                "a node makes namespaces, mounts and network links, so `{command}` must run as root; try `sudo {command}`"
            );
        }
        Ok(())
    }

    /// Fails on what is no value of a flag.
    pub fn settings(self) -> Result<NodeSettings> {
        let data_dir = absolute(&self.data_dir);
        let file = |path: Option<PathBuf>| path.as_deref().map(absolute);
        Ok(NodeSettings {
            run_dir: self.run_dir.map_or_else(|| default_run_dir(&data_dir), |d| absolute(&d)),
            kubelet_port: self.kubelet_port,
            node_name: self.node_name.unwrap_or_else(host::node_name),
            node_ip: self.node_ip,
            registries: file(self.private_registry),
            resolv_conf: file(self.resolv_conf),
            pod_manifest_path: file(self.pod_manifest_path).unwrap_or_else(|| data_dir.join("pod-manifests")),
            eviction_hard: cluster::config::thresholds(&self.eviction_hard)?,
            data_dir,
        })
    }
}

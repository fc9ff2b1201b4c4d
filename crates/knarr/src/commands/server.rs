//! `knarr server`

use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::{Result, bail};
use cluster::config::{DEFAULT_DATA_DIR, ServerConfig, default_run_dir};
use cluster::host;
use ipnet::IpNet;

use crate::commands::etcd::EtcdArgs;
use crate::commands::node::absolute;
use crate::commands::security::SecurityArgs;

#[derive(clap::Args)]
#[command(after_help = "\
When it is up it prints what to type next. Stop it with Ctrl-C or SIGTERM: containers keep running, and the next start
finds them again. `knarr reset` removes everything.")]
pub struct Args {
    /// Where the cluster's data is kept: objects, certificates, images, containers
    #[arg(long, default_value = DEFAULT_DATA_DIR, env = "KNARR_DATA_DIR")]
    data_dir: PathBuf,
    /// Where what ends with a reboot is kept [default: /run/knarr]
    #[arg(long, hide = true)]
    run_dir: Option<PathBuf>,
    /// The address the API server listens on
    #[arg(long, default_value = "0.0.0.0")]
    bind_address: IpAddr,
    /// The port the API server listens on
    #[arg(long, default_value_t = 6443)]
    https_listen_port: u16,
    /// Where the administrator's kubeconfig is written (mode 0600)
    #[arg(long, value_name = "FILE", default_value = "/etc/knarr/kubeconfig")]
    write_kubeconfig: PathBuf,
    /// The range of pod addresses; add an IPv6 range after a comma for dual stack
    #[arg(long, value_delimiter = ',', default_value = "10.42.0.0/16")]
    cluster_cidr: Vec<IpNet>,
    /// The range of service addresses; add an IPv6 range after a comma for dual stack
    #[arg(long, value_delimiter = ',', default_value = "10.43.0.0/16")]
    service_cidr: Vec<IpNet>,
    /// The domain of the cluster's names
    #[arg(long, default_value = "cluster.local")]
    cluster_domain: String,
    /// This node's name [default: the host's name]
    #[arg(long)]
    node_name: Option<String>,
    /// The address by which others reach this machine [default: that of the default route]
    #[arg(long)]
    node_ip: Option<IpAddr>,
    /// The port the kubelet listens on
    #[arg(long, default_value_t = 10250)]
    kubelet_port: u16,
    /// The secret with which other machines will join this cluster, as a bootstrap token: 6 characters, a dot, 16 characters,
    /// of a-z and 0-9. Whoever shows it to the API is system:bootstrap:ID of the group system:bootstrappers. Given again
    /// with another value it replaces the old one [default: made at the first start, kept in DATA_DIR/token]
    #[arg(long, env = "KNARR_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Mirrors, credentials and TLS of image registries, in the form of k3s' registries.yaml
    /// [default: /etc/knarr/registries.yaml, if there is one]
    #[arg(long, value_name = "FILE", visible_alias = "registries")]
    private_registry: Option<PathBuf>,
    /// The service address of cluster DNS [default: the tenth of --service-cidr]
    #[arg(long)]
    cluster_dns: Option<IpAddr>,
    /// Run no cluster DNS: bring your own at --cluster-dns, or pods get this node's nameservers
    #[arg(long)]
    disable_dns: bool,
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
    /// Run only the control plane: no kubelet, no containers
    #[arg(long)]
    disable_agent: bool,
    #[command(flatten)]
    security: SecurityArgs,
    #[command(flatten)]
    etcd: EtcdArgs,
    /// What to log: error, warn, info, debug, or a filter such as kubelet=debug,info
    #[arg(long, default_value = "warn,nlink=error", env = "KNARR_LOG")]
    log: String,
}

pub fn run(args: Args) -> Result<()> {
    crate::commands::start_log(&args.log)?;
    if !nix::unistd::Uid::effective().is_root() {
        bail!(
            "a cluster's node makes namespaces, mounts and network links, so `knarr server` must run as root; try `sudo knarr server`"
        );
    }
    let data_dir = absolute(&args.data_dir);
    let eviction_hard = cluster::config::thresholds(&args.eviction_hard)?;
    let config = ServerConfig {
        eviction_hard,
        pod_manifest_path: args
            .pod_manifest_path
            .as_deref()
            .map_or_else(|| data_dir.join("pod-manifests"), absolute),
        run_dir: args.run_dir.map_or_else(|| default_run_dir(&data_dir), |d| absolute(&d)),
        data_dir,
        bind_address: args.bind_address,
        https_listen_port: args.https_listen_port,
        write_kubeconfig: absolute(&args.write_kubeconfig),
        cluster_cidrs: args.cluster_cidr,
        service_cidrs: args.service_cidr,
        cluster_domain: args.cluster_domain,
        node_name: args.node_name.unwrap_or_else(host::node_name),
        node_ip: args.node_ip,
        kubelet_port: args.kubelet_port,
        token: args.token,
        registries: args.private_registry.as_deref().map(absolute),
        cluster_dns: args.cluster_dns,
        disable_dns: args.disable_dns,
        resolv_conf: args.resolv_conf.as_deref().map(absolute),
        disable_agent: args.disable_agent,
        gates: cluster::config::ENFORCED.to_vec(),
        security: args.security.config()?,
        kubelet_trust: cluster::config::KubeletTrust::Cluster,
        control_loops: true,
        insecure: None,
        tls_files: None,
        etcd: args.etcd.settings()?,
    };
    config.validate()?;
    cluster::server::run(config)
}

//! `knarr server`

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use cluster::config::ServerConfig;
use ipnet::IpNet;

use crate::commands::etcd::{EtcdArgs, lifetime};
use crate::commands::node::absolute;
use crate::commands::node_flags::NodeFlags;
use crate::commands::security::SecurityArgs;

#[derive(clap::Args)]
#[command(after_help = "\
When it is up it prints what to type next. Stop it with Ctrl-C or SIGTERM: containers keep running, and the next start
finds them again. `knarr reset` removes everything.")]
pub struct Args {
    #[command(flatten)]
    node: NodeFlags,
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
    /// The secret with which other machines will join this cluster, as a bootstrap token: 6 characters, a dot, 16 characters,
    /// of a-z and 0-9. Whoever shows it to the API is system:bootstrap:ID of the group system:bootstrappers. Given again
    /// with another value it replaces the old one [default: made at the first start, kept in DATA_DIR/token]
    #[arg(long, env = "KNARR_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The service address of cluster DNS [default: the tenth of --service-cidr]
    #[arg(long)]
    cluster_dns: Option<IpAddr>,
    /// Run no cluster DNS: bring your own at --cluster-dns, or pods get this node's nameservers
    #[arg(long)]
    disable_dns: bool,
    /// Run only the control plane: no kubelet, no containers
    #[arg(long)]
    disable_agent: bool,
    /// What services may have as node ports
    #[arg(long, value_name = "FIRST-LAST", default_value = "30000-32767", value_parser = cluster::config::port_range)]
    service_node_port_range: RangeInclusive<u16>,
    /// How long certificates that machines and users ask for live at most
    #[arg(long, value_name = "DURATION", default_value = "8760h", value_parser = lifetime)]
    cluster_signing_duration: Duration,
    /// The same of those that the server issues to itself: for tests
    #[arg(long, value_name = "DURATION", default_value = "8760h", value_parser = lifetime, hide = true)]
    certificate_lifetime: Duration,
    #[command(flatten)]
    security: SecurityArgs,
    #[command(flatten)]
    etcd: EtcdArgs,
}

pub fn run(args: Args) -> Result<()> {
    args.node.start("knarr server")?;
    let node = args.node.settings()?;
    let config = ServerConfig {
        data_dir: node.data_dir,
        run_dir: node.run_dir,
        bind_address: args.bind_address,
        https_listen_port: args.https_listen_port,
        write_kubeconfig: absolute(&args.write_kubeconfig),
        cluster_cidrs: args.cluster_cidr,
        service_cidrs: args.service_cidr,
        node_ports: args.service_node_port_range,
        cluster_domain: args.cluster_domain,
        node_name: node.node_name,
        node_ip: node.node_ip,
        kubelet_port: node.kubelet_port,
        token: args.token,
        registries: node.registries,
        cluster_dns: args.cluster_dns,
        disable_dns: args.disable_dns,
        resolv_conf: node.resolv_conf,
        eviction_hard: node.eviction_hard,
        pod_manifest_path: node.pod_manifest_path,
        disable_agent: args.disable_agent,
        gates: cluster::config::ENFORCED.to_vec(),
        security: args.security.config()?,
        kubelet_trust: cluster::config::KubeletTrust::Cluster,
        control_loops: true,
        insecure: None,
        tls_files: None,
        signing_duration: args.cluster_signing_duration,
        certificate_lifetime: args.certificate_lifetime,
        etcd: args.etcd.settings()?,
    };
    config.validate()?;
    cluster::server::run(config)
}

//! `kube-apiserver`

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use cluster::config::{KubeletTrust, ServerConfig, default_run_dir};
use ipnet::IpNet;

use super::options::{Common, HasCommon};
use super::{Gone, gone, gone_switch};
use crate::commands::etcd::EtcdArgs;
use crate::commands::node::absolute;
use crate::commands::security::SecurityArgs;

/// How long certificates live that this server issues to itself.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Serves the Kubernetes API from an etcd.
#[derive(clap::Parser)]
#[command(name = "kube-apiserver", version, max_term_width = 100)]
struct Args {
    /// The address the API server listens on
    #[arg(long, value_name = "IP", default_value = "0.0.0.0")]
    bind_address: IpAddr,
    /// The HTTPS port
    #[arg(long, value_name = "PORT", default_value_t = 6443)]
    secure_port: u16,
    /// The address by which members of the cluster reach this server [default: that of the default route]
    #[arg(long, value_name = "IP")]
    advertise_address: Option<IpAddr>,
    /// A plain HTTP port where everybody may do everything; 0: none
    #[arg(long, value_name = "PORT", alias = "port", default_value_t = 0)]
    insecure_port: u16,
    /// The address that the insecure port is of
    #[arg(long, value_name = "IP", alias = "address", default_value = "127.0.0.1")]
    insecure_bind_address: IpAddr,
    /// The range of service addresses; an IPv4 and an IPv6 one at most
    #[arg(long, value_name = "CIDR,…", value_delimiter = ',', default_value = "10.0.0.0/24")]
    service_cluster_ip_range: Vec<IpNet>,
    /// What services may have as node ports
    #[arg(long, value_name = "FIRST-LAST", default_value = "30000-32767", value_parser = cluster::config::port_range)]
    service_node_port_range: RangeInclusive<u16>,
    /// Where the server keeps the CA, certificates and keys that it makes. They must survive a reboot
    #[arg(long, value_name = "DIR", default_value = "/var/lib/kubernetes")]
    cert_dir: PathBuf,
    /// What the server shows (PEM) [default: issued by the cluster's CA in --cert-dir]
    #[arg(long, value_name = "FILE", requires = "tls_private_key_file")]
    tls_cert_file: Option<PathBuf>,
    /// Its key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert_file")]
    tls_private_key_file: Option<PathBuf>,
    /// Whose certificates of kubelets are believed (PEM) [default: any]
    #[arg(long, value_name = "FILE")]
    kubelet_certificate_authority: Option<PathBuf>,
    #[command(flatten)]
    security: SecurityArgs,
    #[command(flatten)]
    etcd: EtcdArgs,
    #[command(flatten)]
    common: Common,
}

impl HasCommon for Args {
    fn common(&self) -> &Common {
        &self.common
    }
}

pub const GONE: &[Gone] = &[
    gone_switch("allow-privileged", "Pod Security admission says who may be privileged"),
    gone(
        "admission-control",
        "--enable-admission-plugins and --disable-admission-plugins; the default ones run",
    ),
    gone("kubelet-port", "each node says its kubelet's port itself"),
    gone("kubelet-timeout", "answers are waited for as long as they take"),
    gone_switch("kubelet-https", "kubelets are reached by HTTPS only"),
    gone("storage-versions", "each kind is stored in one version"),
    gone("etcd-servers-overrides", "all objects are in --etcd-servers"),
    gone("storage-backend", "etcd3 is the only one"),
    gone("apiserver-count", "servers that share an etcd know each other by their leases in it"),
    gone("min-request-timeout", "watches last between 30 and 60 minutes"),
    gone_switch("watch-cache", "it is always there"),
    gone_switch("service-account-lookup", "it is always done"),
    gone("long-running-request-regexp", "it is known which requests take long"),
    gone("max-connection-bytes-per-sec", "bandwidth is the kernel's"),
    gone("target-ram-mb", "caches are bounded by themselves"),
    gone("master-service-namespace", "it is default"),
    gone("ssh-user", "kubelets are reached directly"),
    gone("ssh-keyfile", "kubelets are reached directly"),
];

/// Its flags.
pub fn command() -> clap::Command {
    <Args as clap::CommandFactory>::command()
}

pub fn run(words: Vec<String>) -> Result<()> {
    let args: Args = super::parse(words, GONE)?;
    let Some(etcd) = args.etcd.settings()? else {
        bail!("--etcd-servers must be specified: http://HOST:2379 (`knarr server` needs no etcd)");
    };
    let data_dir = absolute(&args.cert_dir);
    let config = ServerConfig {
        run_dir: default_run_dir(&data_dir),
        bind_address: args.bind_address,
        https_listen_port: args.secure_port,
        write_kubeconfig: PathBuf::from("/dev/null"),
        // Nodes' ranges are the controller manager's business; what it gives by default is what proxies are told.
        cluster_cidrs: vec![IpNet::new(Ipv4Addr::new(10, 42, 0, 0).into(), 16)?],
        service_cidrs: args.service_cluster_ip_range,
        node_ports: args.service_node_port_range,
        cluster_domain: "cluster.local".into(),
        node_name: cluster::host::node_name(),
        node_ip: args.advertise_address,
        kubelet_port: 10250,
        token: None,
        registries: None,
        cluster_dns: None,
        disable_dns: true,
        resolv_conf: None,
        eviction_hard: cluster::config::thresholds("memory.available<100Mi")?,
        pod_manifest_path: data_dir.join("pod-manifests"),
        disable_agent: true,
        gates: cluster::config::ENFORCED.to_vec(),
        security: args.security.config()?,
        kubelet_trust: match &args.kubelet_certificate_authority {
            Some(file) => KubeletTrust::File(absolute(file)),
            None => KubeletTrust::Anyone,
        },
        control_loops: false,
        insecure: (args.insecure_port != 0)
            .then(|| SocketAddr::new(args.insecure_bind_address, args.insecure_port)),
        tls_files: args.tls_cert_file.zip(args.tls_private_key_file),
        signing_duration: YEAR,
        certificate_lifetime: YEAR,
        etcd: Some(etcd),
        data_dir,
    };
    config.validate()?;
    cluster::components::api_server::start(config)
}

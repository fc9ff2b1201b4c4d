//! `kubelet`

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use cluster::components::Access;
use cluster::components::health::Ports;
use cluster::components::kubelet::{Config, Rotation};
use cluster::config::{KubeletOptions, NodeConfig, Taint, default_run_dir};
use ipnet::IpNet;

use super::document::{Document, or};
use super::options::{Common, HasCommon};
use super::{FLOW, Gone, gone, gone_switch, refused};
use crate::commands::node::absolute;

mod fields;

/// Runs this machine's pods, with the container runtime and the pod network that are built in.
#[derive(clap::Parser)]
#[command(name = "kubelet", version, max_term_width = 100)]
struct Args {
    /// Where the API server is, and as whom to go there
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The API server's address, as Kubernetes 1.2 had it: http://HOST:8080
    #[arg(long, value_name = "URL,…", value_delimiter = ',')]
    api_servers: Vec<String>,
    /// A KubeletConfiguration; of a directory, as 1.2 had it: static pods
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the kubelet's data is kept: volumes, images, containers
    #[arg(long, value_name = "DIR", default_value = "/var/lib/kubelet")]
    root_dir: PathBuf,
    /// This node's name [default: the host's name]
    #[arg(long, value_name = "NAME")]
    hostname_override: Option<String>,
    /// The address by which others reach this machine [default: that of the default route]
    #[arg(long, value_name = "IP")]
    node_ip: Option<IpAddr>,
    /// Labels to register the node with: KEY=VALUE,…
    #[arg(long, value_name = "KEY=VALUE,…", value_delimiter = ',')]
    node_labels: Vec<String>,
    /// The address the kubelet listens on
    #[arg(long, value_name = "IP")]
    address: Option<IpAddr>,
    /// The port the kubelet listens on
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// A plain port for /healthz; 0: none
    #[arg(long, value_name = "PORT")]
    healthz_port: Option<u16>,
    /// The address that it is of [default: 127.0.0.1]
    #[arg(long, value_name = "IP")]
    healthz_bind_address: Option<IpAddr>,
    /// Who vouches for those who come to the kubelet (PEM) [default: what the API server publishes]
    #[arg(long, value_name = "FILE")]
    client_ca_file: Option<PathBuf>,
    /// What the kubelet's server shows (PEM) [default: made by itself]
    #[arg(long, value_name = "FILE", requires = "tls_private_key_file")]
    tls_cert_file: Option<PathBuf>,
    /// Its key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert_file")]
    tls_private_key_file: Option<PathBuf>,
    /// Where certificates are kept that this kubelet asks for
    #[arg(long, value_name = "DIR", default_value = "/var/lib/kubelet/pki")]
    cert_dir: PathBuf,
    /// As whom to ask for the first client certificate, when there is no --kubeconfig yet: it is written then
    #[arg(long, value_name = "FILE")]
    bootstrap_kubeconfig: Option<PathBuf>,
    /// Ask for new client certificates in time
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    rotate_certificates: Option<bool>,
    /// Ask the API for the certificate that the kubelet's server shows, and for new ones in time
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    rotate_server_certificates: Option<bool>,
    /// Whether callers without credentials are system:anonymous; else they are refused
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    anonymous_auth: Option<bool>,
    /// A plain port where anybody may read what runs here; 0: none
    #[arg(long, value_name = "PORT")]
    read_only_port: Option<u16>,
    /// A plain port where anybody may read cAdvisor's metrics, as Kubernetes 1.2 had it; 0: none
    #[arg(long, value_name = "PORT")]
    cadvisor_port: Option<u16>,
    /// So many pods run here at most
    #[arg(long, value_name = "N")]
    max_pods: Option<u32>,
    /// Taints to register the node with: KEY=VALUE:EFFECT,…
    #[arg(long, value_name = "TAINT,…", value_delimiter = ',')]
    register_with_taints: Vec<String>,
    /// Whether containers that say nothing get the runtime's seccomp profile [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    seccomp_default: Option<bool>,
    /// Where pods find cluster DNS
    #[arg(long, value_name = "IP", value_delimiter = ',')]
    cluster_dns: Vec<IpAddr>,
    /// The domain of the cluster's names
    #[arg(long, value_name = "NAME")]
    cluster_domain: Option<String>,
    /// The file with this node's own nameservers
    #[arg(long, value_name = "FILE")]
    resolv_conf: Option<PathBuf>,
    /// The directory whose manifests this node runs as static pods
    #[arg(long, value_name = "DIR")]
    pod_manifest_path: Option<PathBuf>,
    /// With less than this left, the node takes no more pods and ends some
    #[arg(long, value_name = "SIGNAL<AMOUNT,…")]
    eviction_hard: Option<String>,
    /// What pods send to these ranges carries their own address
    #[arg(long, value_name = "CIDR,…", value_delimiter = ',', default_value = "10.0.0.0/8")]
    non_masquerade_cidr: Vec<IpNet>,
    #[command(flatten)]
    common: Common,
}

impl HasCommon for Args {
    fn common(&self) -> &Common {
        &self.common
    }
}

const RUNTIME: &str = "the container runtime is built in";
const NETWORK: &str = "the pod network is built in";

pub const GONE: &[Gone] = &[
    gone("pod-infra-container-image", "pods need no infra container"),
    gone("container-runtime", RUNTIME),
    gone("docker-endpoint", RUNTIME),
    gone("docker-exec-handler", RUNTIME),
    gone("runtime-cgroups", RUNTIME),
    gone("network-plugin", NETWORK),
    gone("network-plugin-dir", NETWORK),
    gone("network-plugin-mtu", NETWORK),
    gone_switch("configure-cbr0", NETWORK),
    gone("pod-cidr", "the node's spec.podCIDRs say it"),
    gone_switch("allow-privileged", "Pod Security admission says who may be privileged"),
    gone_switch("register-schedulable", "`kubectl cordon` says it"),
    gone("cgroup-driver", "cgroups are written directly"),
    gone_switch("fail-swap-on", "swap is left alone"),
    gone("maximum-dead-containers", "the newest dead container of each is kept"),
    gone("maximum-dead-containers-per-container", "the newest dead container of each is kept"),
    gone("minimum-container-ttl-duration", "the newest dead container of each is kept"),
    gone("sync-frequency", "containers are watched"),
    gone("file-check-frequency", "manifests are watched"),
    gone("node-status-update-frequency", "it is written when it changes"),
    gone("max-open-files", "the service manager says it (LimitNOFILE=)"),
    gone("oom-score-adj", "the service manager says it (OOMScoreAdjust=)"),
    gone("kube-api-qps", FLOW),
    gone("kube-api-burst", FLOW),
    gone_switch("enable-debugging-handlers", "they are always there, for who may"),
    gone_switch("enable-server", "it is always there"),
    gone_switch("reconcile-cidr", "the node's spec.podCIDRs say it"),
    refused("container-runtime-endpoint", RUNTIME),
    refused("image-service-endpoint", RUNTIME),
    refused("kube-reserved", "nothing is set aside of a node's resources yet"),
    refused("system-reserved", "nothing is set aside of a node's resources yet"),
    refused("manifest-url", "static pods come from --pod-manifest-path"),
    gone("image-gc-high-threshold", "it is 85"),
    gone("image-gc-low-threshold", "it is 80"),
    gone_switch("serialize-image-pulls", "images are pulled side by side"),
];

/// Its flags.
pub fn command() -> clap::Command {
    <Args as clap::CommandFactory>::command()
}

pub fn run(words: Vec<String>) -> Result<()> {
    let args: Args = super::parse(words, GONE)?;
    // Of a directory, as 1.2 had it, the flag means static pods.
    let (manifests, file) = match &args.config {
        Some(path) if path.is_dir() => (Some(path.clone()), None),
        path => (None, path.as_deref()),
    };
    let file = Document::read(file, &fields::FORMAT).context("--config")?;
    file.warnings.iter().for_each(|warning| eprintln!("{warning}"));
    let config = config(args, manifests, &file)?;
    if !nix::unistd::Uid::effective().is_root() {
        bail!("the kubelet makes namespaces, mounts and network links, so it must run as root");
    }
    cluster::components::kubelet::start(config)
}

/// A flag counts more than the file.
fn config(args: Args, manifests: Option<PathBuf>, file: &Document) -> Result<Config> {
    let node = node(&args, manifests, file)?;
    cluster::config::check_node_name(&node.node_name)?;
    let healthz = or(args.healthz_port, file, "healthzPort")?.unwrap_or(10248);
    let healthz_address = or(args.healthz_bind_address, file, "healthzBindAddress")?;
    let cert = or(args.tls_cert_file, file, "tlsCertFile")?;
    let key = or(args.tls_private_key_file, file, "tlsPrivateKeyFile")?;
    if cert.is_some() != key.is_some() {
        bail!(
            "--tls-cert-file and --tls-private-key-file (tlsCertFile, tlsPrivateKeyFile) come only together"
        );
    }
    let rotation = Rotation {
        cert_dir: absolute(&args.cert_dir),
        bootstrap: args.bootstrap_kubeconfig.as_deref().map(absolute),
        client: or(args.rotate_certificates, file, "rotateCertificates")?.unwrap_or(false),
        serving: or(args.rotate_server_certificates, file, "serverTLSBootstrap")?.unwrap_or(false),
    };
    if rotation.bootstrap.is_some() && args.kubeconfig.is_none() {
        bail!("--bootstrap-kubeconfig needs --kubeconfig, which says where the kubeconfig is to be written");
    }
    if rotation.serving && cert.is_some() {
        bail!("--rotate-server-certificates and --tls-cert-file exclude each other");
    }
    Ok(Config {
        access: Access {
            kubeconfig: args.kubeconfig.as_deref().map(absolute),
            master: args.api_servers.into_iter().next().filter(|s| !s.is_empty()),
            user_agent: "kubelet",
        },
        health: Ports {
            http: (healthz != 0)
                .then(|| SocketAddr::new(healthz_address.unwrap_or([127, 0, 0, 1].into()), healthz)),
            https: None,
        },
        node,
        rotation,
        client_ca_file: or(args.client_ca_file, file, "authentication.x509.clientCAFile")?,
        tls: cert.zip(key),
    })
}

fn node(args: &Args, manifests: Option<PathBuf>, file: &Document) -> Result<NodeConfig> {
    let data_dir = absolute(&args.root_dir);
    let manifests = or(args.pod_manifest_path.clone().or(manifests), file, "staticPodPath")?;
    let eviction = match (&args.eviction_hard, file.get::<BTreeMap<String, String>>("evictionHard")?) {
        (Some(flag), _) => flag.clone(),
        (None, in_file) => as_flag(&in_file.unwrap_or_default()),
    };
    let dns: Vec<IpAddr> = match &*args.cluster_dns {
        [] => file.get("clusterDNS")?.unwrap_or_default(),
        given => given.to_vec(),
    };
    if dns.len() > 1 {
        bail!("--cluster-dns (clusterDNS): one address only is supported, and {} are given", dns.len());
    }
    let v4 = args.non_masquerade_cidr.first().is_none_or(|c| c.addr().is_ipv4());
    Ok(NodeConfig {
        pod_manifest_path: manifests.as_deref().map_or_else(|| data_dir.join("pod-manifests"), absolute),
        run_dir: default_run_dir(&data_dir),
        data_dir,
        bind_address: or(args.address, file, "address")?.unwrap_or([0, 0, 0, 0].into()),
        kubelet_port: or(args.port, file, "port")?.unwrap_or(10250),
        node_name: args
            .hostname_override
            .clone()
            .filter(|n| !n.is_empty())
            .unwrap_or_else(cluster::host::node_name),
        node_ip: args.node_ip.unwrap_or_else(|| cluster::host::node_ip(v4)),
        node_labels: crate::commands::agent::labels(&args.node_labels)?,
        cluster_cidrs: args.non_masquerade_cidr.clone(),
        service_cidrs: Vec::new(),
        cluster_domain: or(args.cluster_domain.clone(), file, "clusterDomain")?
            .unwrap_or_else(|| "cluster.local".into()),
        cluster_dns: dns.first().copied(),
        serve_dns: false,
        resolv_conf: or(args.resolv_conf.clone(), file, "resolvConf")?,
        registries: None,
        eviction_hard: cluster::config::thresholds(&eviction)?,
        kubelet: options(args, file)?,
    })
}

fn options(args: &Args, file: &Document) -> Result<KubeletOptions> {
    let usual = KubeletOptions::default();
    let address = or(args.address, file, "address")?.unwrap_or([0, 0, 0, 0].into());
    let port = |port: Option<u16>| port.filter(|p| *p != 0).map(|port| SocketAddr::new(address, port));
    let taints = match &*args.register_with_taints {
        [] => file.get("registerWithTaints")?.unwrap_or_default(),
        given => given.iter().map(|text| taint(text)).collect::<Result<_>>()?,
    };
    Ok(KubeletOptions {
        max_pods: or(args.max_pods, file, "maxPods")?.unwrap_or(usual.max_pods),
        taints,
        seccomp_default: or(args.seccomp_default, file, "seccompDefault")?.unwrap_or(usual.seccomp_default),
        anonymous: or(args.anonymous_auth, file, "authentication.anonymous.enabled")?
            .unwrap_or(usual.anonymous),
        read_only: port(or(args.read_only_port, file, "readOnlyPort")?),
        cadvisor: port(args.cadvisor_port),
    })
}

/// `key=value:effect`, `key:effect`
fn taint(text: &str) -> Result<Taint> {
    let parts = text.split_once(':').filter(|(key, _)| !key.is_empty() && !key.starts_with('='));
    let Some((pair, effect)) = parts else {
        bail!("--register-with-taints {text:?}: write KEY=VALUE:EFFECT")
    };
    if !matches!(effect, "NoSchedule" | "PreferNoSchedule" | "NoExecute") {
        bail!("--register-with-taints {text:?}: the effect is NoSchedule, PreferNoSchedule or NoExecute");
    }
    let (key, value) = match pair.split_once('=') {
        Some((key, value)) => (key, Some(value.to_owned())),
        None => (pair, None),
    };
    Ok(Taint { key: key.into(), value, effect: effect.into(), time_added: None })
}

/// As `--eviction-hard` has it; upstream's defaults when nothing is said.
fn as_flag(thresholds: &BTreeMap<String, String>) -> String {
    if thresholds.is_empty() {
        return "memory.available<100Mi,nodefs.available<10%,nodefs.inodesFree<5%".into();
    }
    thresholds.iter().map(|(signal, amount)| format!("{signal}<{amount}")).collect::<Vec<_>>().join(",")
}

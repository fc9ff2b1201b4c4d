//! `kubelet`

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use cluster::components::Access;
use cluster::components::health::Ports;
use cluster::components::kubelet::Config;
use cluster::config::{NodeConfig, default_run_dir};
use ipnet::IpNet;
use serde::Deserialize;

use super::options::{Common, HasCommon};
use super::{Gone, gone, gone_switch};
use crate::commands::node::absolute;

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
    /// A plain port for /healthz on loopback; 0: none
    #[arg(long, value_name = "PORT")]
    healthz_port: Option<u16>,
    /// Who vouches for those who come to the kubelet (PEM) [default: what the API server publishes]
    #[arg(long, value_name = "FILE")]
    client_ca_file: Option<PathBuf>,
    /// What the kubelet's server shows (PEM) [default: made by itself]
    #[arg(long, value_name = "FILE", requires = "tls_private_key_file")]
    tls_cert_file: Option<PathBuf>,
    /// Its key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert_file")]
    tls_private_key_file: Option<PathBuf>,
    /// Where pods find cluster DNS
    #[arg(long, value_name = "IP")]
    cluster_dns: Option<IpAddr>,
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

const GONE: &[Gone] = &[
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
    gone("cadvisor-port", "stats are at /stats/summary and /metrics/cadvisor of the kubelet's own port"),
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
    gone("kube-api-qps", "requests are not held back here; the API server's flow control does it"),
    gone("kube-api-burst", "requests are not held back here; the API server's flow control does it"),
    gone_switch("enable-debugging-handlers", "they are always there, for who may"),
    gone_switch("enable-server", "it is always there"),
    gone_switch("reconcile-cidr", "the node's spec.podCIDRs say it"),
    gone("cert-dir", "--tls-cert-file and --tls-private-key-file name files"),
];

/// What of the file is understood; anything else is refused.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct File {
    api_version: String,
    kind: String,
    address: Option<IpAddr>,
    port: Option<u16>,
    healthz_port: Option<u16>,
    #[serde(rename = "clusterDNS")]
    cluster_dns: Vec<IpAddr>,
    cluster_domain: Option<String>,
    static_pod_path: Option<PathBuf>,
    resolv_conf: Option<PathBuf>,
    tls_cert_file: Option<PathBuf>,
    tls_private_key_file: Option<PathBuf>,
    authentication: Authentication,
    eviction_hard: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Authentication {
    x509: X509,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct X509 {
    client_ca_file: Option<PathBuf>,
}

pub fn run(words: Vec<String>) -> Result<()> {
    let args: Args = super::parse(words, GONE)?;
    if !nix::unistd::Uid::effective().is_root() {
        bail!("the kubelet makes namespaces, mounts and network links, so it must run as root");
    }
    let manifests = args.config.as_ref().filter(|p| p.is_dir()).cloned();
    let file = match args.config.as_ref().filter(|p| !p.is_dir()) {
        Some(path) => read(path).context("--config")?,
        None => File::default(),
    };
    let data_dir = absolute(&args.root_dir);
    let manifests = args.pod_manifest_path.or(manifests).or(file.static_pod_path);
    let eviction = args.eviction_hard.clone().unwrap_or_else(|| in_file(&file.eviction_hard));
    let v4 = args.non_masquerade_cidr.first().is_none_or(|c| c.addr().is_ipv4());
    let node = NodeConfig {
        pod_manifest_path: manifests.as_deref().map_or_else(|| data_dir.join("pod-manifests"), absolute),
        run_dir: default_run_dir(&data_dir),
        data_dir,
        bind_address: args.address.or(file.address).unwrap_or(IpAddr::from([0, 0, 0, 0])),
        kubelet_port: args.port.or(file.port).unwrap_or(10250),
        node_name: args.hostname_override.filter(|n| !n.is_empty()).unwrap_or_else(cluster::host::node_name),
        node_ip: args.node_ip.unwrap_or_else(|| cluster::host::node_ip(v4)),
        node_labels: crate::commands::agent::labels(&args.node_labels)?,
        cluster_cidrs: args.non_masquerade_cidr,
        service_cidrs: Vec::new(),
        cluster_domain: args.cluster_domain.or(file.cluster_domain).unwrap_or_else(|| "cluster.local".into()),
        cluster_dns: args.cluster_dns.or(file.cluster_dns.first().copied()),
        serve_dns: false,
        resolv_conf: args.resolv_conf.or(file.resolv_conf),
        registries: None,
        eviction_hard: cluster::config::thresholds(&eviction)?,
    };
    cluster::config::check_node_name(&node.node_name)?;
    let healthz = args.healthz_port.or(file.healthz_port).unwrap_or(10248);
    let tls = args
        .tls_cert_file
        .or(file.tls_cert_file)
        .zip(args.tls_private_key_file.or(file.tls_private_key_file));
    cluster::components::kubelet::start(Config {
        access: Access {
            kubeconfig: args.kubeconfig,
            master: args.api_servers.into_iter().next().filter(|s| !s.is_empty()),
            user_agent: "kubelet",
        },
        health: Ports {
            http: (healthz != 0).then(|| SocketAddr::from(([127, 0, 0, 1], healthz))),
            https: None,
        },
        node,
        client_ca_file: args.client_ca_file.or(file.authentication.x509.client_ca_file),
        tls,
    })
}

/// As the flag has it; upstream's defaults when nothing is said.
fn in_file(thresholds: &BTreeMap<String, String>) -> String {
    if thresholds.is_empty() {
        return "memory.available<100Mi,nodefs.available<10%,nodefs.inodesFree<5%".into();
    }
    thresholds.iter().map(|(signal, amount)| format!("{signal}<{amount}")).collect::<Vec<_>>().join(",")
}

fn read(path: &PathBuf) -> Result<File> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let file: File = serde_saphyr::from_str(&text).with_context(|| {
        format!("{}: not a KubeletConfiguration, or one with fields that are not supported", path.display())
    })?;
    if file.api_version != "kubelet.config.k8s.io/v1beta1" || file.kind != "KubeletConfiguration" {
        bail!("{}: expected a KubeletConfiguration of kubelet.config.k8s.io/v1beta1", path.display());
    }
    Ok(file)
}

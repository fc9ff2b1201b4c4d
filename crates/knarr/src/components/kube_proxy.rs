//! `kube-proxy`

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use cluster::components::health::Ports;
use cluster::components::proxy::Config;
use ipnet::IpNet;
use serde::Deserialize;

use super::options::{Api, Common, HasCommon};
use super::{Gone, gone, gone_switch};

/// Leads what is sent to services to their pods, by nftables.
#[derive(clap::Parser)]
#[command(name = "kube-proxy", version, max_term_width = 100)]
struct Args {
    /// A KubeProxyConfiguration: clientConnection.kubeconfig, clusterCIDR, hostnameOverride, mode, healthzBindAddress
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// nftables, the only way
    #[arg(long, value_name = "MODE")]
    proxy_mode: Option<String>,
    /// Where pods are: what others send to services is masqueraded
    #[arg(long, value_name = "CIDR,…", value_delimiter = ',')]
    cluster_cidr: Vec<IpNet>,
    /// This node's name [default: the host's name]
    #[arg(long, value_name = "NAME")]
    hostname_override: Option<String>,
    /// Where /healthz is answered
    #[arg(long, value_name = "IP:PORT")]
    healthz_bind_address: Option<SocketAddr>,
    /// The port of /healthz; 0: none
    #[arg(long, value_name = "PORT")]
    healthz_port: Option<u16>,
    /// The address that --healthz-port is of
    #[arg(long, value_name = "IP", default_value = "127.0.0.1", hide = true)]
    bind_address: IpAddr,
    #[command(flatten)]
    api: Api,
    #[command(flatten)]
    common: Common,
}

impl HasCommon for Args {
    fn common(&self) -> &Common {
        &self.common
    }
}

const GONE: &[Gone] = &[
    gone("iptables-sync-period", "the nftables table is kept by watches"),
    gone("iptables-min-sync-period", "the nftables table is kept by watches"),
    gone("iptables-masquerade-bit", "no iptables rules are made"),
    gone("ipvs-sync-period", "there is no IPVS mode"),
    gone("ipvs-scheduler", "there is no IPVS mode"),
    gone("config-sync-period", "services are watched"),
    gone("udp-timeout", "connections are the kernel's"),
    gone("proxy-port-range", "there is no userspace mode"),
    gone("conntrack-max", "the kernel's own limit stays"),
    gone("conntrack-max-per-core", "the kernel's own limit stays"),
    gone("conntrack-min", "the kernel's own limit stays"),
    gone("conntrack-tcp-timeout-established", "the kernel's own limit stays"),
    gone("conntrack-tcp-timeout-close-wait", "the kernel's own limit stays"),
    gone("oom-score-adj", "the service manager says it (OOMScoreAdjust=)"),
    gone("resource-container", "the service manager says it (Slice=)"),
    gone("kube-api-qps", "requests are not held back here; the API server's flow control does it"),
    gone("kube-api-burst", "requests are not held back here; the API server's flow control does it"),
    gone("metrics-bind-address", "there are no metrics of the proxy yet"),
    gone_switch("cleanup-iptables", "no iptables rules are made"),
];

/// What of the file is understood; anything else is refused.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct File {
    api_version: String,
    kind: String,
    client_connection: Connection,
    #[serde(rename = "clusterCIDR")]
    cluster_cidr: String,
    hostname_override: String,
    mode: String,
    healthz_bind_address: Option<SocketAddr>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Connection {
    kubeconfig: Option<PathBuf>,
}

pub fn run(words: Vec<String>) -> Result<()> {
    let args: Args = super::parse(words, GONE)?;
    let file =
        args.config.as_ref().map(|path| read(path).context("--config")).transpose()?.unwrap_or_default();
    let mode = args.proxy_mode.unwrap_or(file.mode);
    if !matches!(mode.as_str(), "" | "nftables") {
        bail!("--proxy-mode={mode}: services are led by nftables here; leave the flag out, or say nftables");
    }
    if !nix::unistd::Uid::effective().is_root() {
        bail!("kube-proxy writes the kernel's nftables, so it must run as root");
    }
    let mut access = args.api.access("kube-proxy");
    access.kubeconfig = access.kubeconfig.or(file.client_connection.kubeconfig);
    let mut cluster_cidrs = args.cluster_cidr;
    if cluster_cidrs.is_empty() {
        for cidr in file.cluster_cidr.split(',').map(str::trim).filter(|c| !c.is_empty()) {
            cluster_cidrs.push(cidr.parse().with_context(|| format!("clusterCIDR {cidr:?}"))?);
        }
    }
    let port = args.healthz_port.unwrap_or(10256);
    let usual = (port != 0).then(|| SocketAddr::new(args.bind_address, port));
    let health = args.healthz_bind_address.or(file.healthz_bind_address).filter(|a| a.port() != 0).or(usual);
    let named = Some(file.hostname_override).filter(|n| !n.is_empty());
    cluster::components::proxy::start(Config {
        access,
        health: Ports { http: health, https: None },
        node_name: args.hostname_override.or(named).unwrap_or_else(cluster::host::node_name),
        cluster_cidrs,
    })
}

fn read(path: &PathBuf) -> Result<File> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let file: File = serde_saphyr::from_str(&text).with_context(|| {
        format!("{}: not a KubeProxyConfiguration, or one with fields that are not supported", path.display())
    })?;
    if file.api_version != "kubeproxy.config.k8s.io/v1alpha1" || file.kind != "KubeProxyConfiguration" {
        bail!("{}: expected a KubeProxyConfiguration of kubeproxy.config.k8s.io/v1alpha1", path.display());
    }
    Ok(file)
}

//! `kube-proxy`

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use cluster::components::health::Ports;
use cluster::components::proxy::Config;
use ipnet::IpNet;

use super::document::Does::{Acts, Nothing, Only, Refused};
use super::document::{Document, Format, or};
use super::options::{Api, Common, HasCommon};
use super::{FLOW, Gone, JSON, gone, gone_switch};

/// Leads what is sent to services to their pods, by nftables.
#[derive(clap::Parser)]
#[command(name = "kube-proxy", version, max_term_width = 100)]
struct Args {
    /// A KubeProxyConfiguration
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
    /// The kubelet's way to say --master, which counts more: on minions of 1.2's guides only the kubelet's file knows
    #[arg(long, value_name = "URL,…", value_delimiter = ',', hide = true)]
    api_servers: Vec<String>,
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

pub const GONE: &[Gone] = &[
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
    gone("kube-api-qps", FLOW),
    gone("kube-api-burst", FLOW),
    gone("metrics-bind-address", "there are no metrics of the proxy yet"),
    gone_switch("cleanup-iptables", "no iptables rules are made"),
];

const NO_IPTABLES: &str = "no iptables rules are made";
const NO_IPVS: &str = "there is no IPVS mode";
const CONNTRACK: &str = "the kernel's own limits stay";

/// <https://kubernetes.io/docs/reference/config-api/kube-proxy-config.v1alpha1/>
const FORMAT: Format = Format {
    api_version: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    fields: &[
        ("clientConnection.kubeconfig", Acts),
        ("clientConnection.acceptContentTypes", Nothing(JSON)),
        ("clientConnection.contentType", Nothing(JSON)),
        ("clientConnection.qps", Nothing(FLOW)),
        ("clientConnection.burst", Nothing(FLOW)),
        ("hostnameOverride", Acts),
        ("clusterCIDR", Acts),
        ("mode", Acts),
        ("healthzBindAddress", Acts),
        ("bindAddress", Nothing("healthzBindAddress says where /healthz is")),
        ("bindAddressHardFail", Only("true")),
        ("metricsBindAddress", Nothing("there are no metrics of the proxy yet")),
        ("detectLocalMode", Only("\"ClusterCIDR\"")),
        ("detectLocal", Refused("clusterCIDR says where pods are")),
        ("nodePortAddresses", Only("[\"primary\"]")),
        ("nftables.masqueradeAll", Refused("")),
        ("nftables.masqueradeBit", Nothing("masquerading needs no mark of a user's choice")),
        ("nftables.syncPeriod", Nothing("the nftables table is kept by watches")),
        ("nftables.minSyncPeriod", Nothing("the nftables table is kept by watches")),
        ("iptables.masqueradeAll", Refused("")),
        ("iptables.localhostNodePorts", Nothing("node ports answer at the node's InternalIPs")),
        ("iptables.masqueradeBit", Nothing(NO_IPTABLES)),
        ("iptables.syncPeriod", Nothing(NO_IPTABLES)),
        ("iptables.minSyncPeriod", Nothing(NO_IPTABLES)),
        ("ipvs", Nothing(NO_IPVS)),
        ("linux.masqueradeAll", Refused("")),
        ("linux.conntrack", Nothing(CONNTRACK)),
        ("linux.oomScoreAdj", Nothing("the service manager says it (OOMScoreAdjust=)")),
        ("conntrack", Nothing(CONNTRACK)),
        ("oomScoreAdj", Nothing("the service manager says it (OOMScoreAdjust=)")),
        ("portRange", Nothing("there is no userspace mode")),
        ("udpIdleTimeout", Nothing("connections are the kernel's")),
        ("configSyncPeriod", Nothing("services are watched")),
        ("syncPeriod", Nothing("the nftables table is kept by watches")),
        ("minSyncPeriod", Nothing("the nftables table is kept by watches")),
        ("windowsRunAsService", Refused("")),
        ("winkernel", Nothing("this is Linux")),
        ("windows", Nothing("this is Linux")),
        ("featureGates", Refused("features are as they are by default")),
        ("enableProfiling", Nothing("there is no profiling port")),
        ("showHiddenMetricsForVersion", Nothing("there are no hidden metrics")),
        ("logging", Nothing("--v and KNARR_LOG choose what is logged")),
    ],
};

/// Its flags.
pub fn command() -> clap::Command {
    <Args as clap::CommandFactory>::command()
}

pub fn run(words: Vec<String>) -> Result<()> {
    let args: Args = super::parse(words, GONE)?;
    let file = Document::read(args.config.as_deref(), &FORMAT).context("--config")?;
    file.warnings.iter().for_each(|warning| eprintln!("{warning}"));
    let mode = or(args.proxy_mode, &file, "mode")?.unwrap_or_default();
    if !matches!(mode.as_str(), "" | "nftables") {
        bail!("--proxy-mode={mode}: services are led by nftables here; leave the flag out, or say nftables");
    }
    if !nix::unistd::Uid::effective().is_root() {
        bail!("kube-proxy writes the kernel's nftables, so it must run as root");
    }
    let mut access = args.api.access("kube-proxy");
    access.master = access.master.or(args.api_servers.into_iter().next().filter(|url| !url.is_empty()));
    access.kubeconfig = or(access.kubeconfig, &file, "clientConnection.kubeconfig")?;
    let mut cluster_cidrs = args.cluster_cidr;
    if cluster_cidrs.is_empty() {
        let in_file: String = file.get("clusterCIDR")?.unwrap_or_default();
        for cidr in in_file.split(',').map(str::trim).filter(|c| !c.is_empty()) {
            cluster_cidrs
                .push(cidr.parse().map_err(|e| file.wrong("clusterCIDR", format!("{cidr:?}: {e}")))?);
        }
    }
    let port = args.healthz_port.unwrap_or(10256);
    let usual = (port != 0).then(|| SocketAddr::new(args.bind_address, port));
    let health = match or(args.healthz_bind_address, &file, "healthzBindAddress")? {
        Some(address) => Some(address).filter(|a| a.port() != 0),
        None => usual,
    };
    let named = or(args.hostname_override, &file, "hostnameOverride")?.filter(|n| !n.is_empty());
    cluster::components::proxy::start(Config {
        access,
        health: Ports { http: health, https: None },
        node_name: named.unwrap_or_else(cluster::host::node_name),
        cluster_cidrs,
    })
}

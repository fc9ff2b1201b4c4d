//! `kube-controller-manager`

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use cluster::components::controller_manager::Config;
use ipnet::IpNet;

use super::document::Document;
use super::options::{Api, Common, HasCommon, Leader, Serving, duration};
use super::{FLOW, Gone, gone, gone_switch};
use crate::commands::etcd::lifetime;

/// Runs the controllers.
#[derive(clap::Parser)]
#[command(name = "kube-controller-manager", version, max_term_width = 100)]
struct Args {
    /// Ranges of pod addresses that nodes get theirs from, an IPv4 and an IPv6 one at most
    #[arg(long, value_name = "CIDR,…", value_delimiter = ',', default_value = "10.42.0.0/16")]
    cluster_cidr: Vec<IpNet>,
    /// Whether nodes get ranges of pod addresses; on by default, since the built-in pod network needs them
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    allocate_node_cidrs: bool,
    /// The prefix length of a node's IPv4 range
    #[arg(long, value_name = "BITS", alias = "node-cidr-mask-size", default_value_t = 24)]
    node_cidr_mask_size_ipv4: u8,
    /// The prefix length of a node's IPv6 range
    #[arg(long, value_name = "BITS", default_value_t = 64)]
    node_cidr_mask_size_ipv6: u8,
    /// A node that gives no sign for so long is Unknown
    #[arg(long, value_name = "DURATION", default_value = "50s")]
    node_monitor_grace_period: String,
    /// So many finished pods are kept
    #[arg(long, value_name = "N", default_value_t = 12_500)]
    terminated_pod_gc_threshold: usize,
    /// The CA that pods trust (PEM) [default: the kubeconfig's]
    #[arg(long, value_name = "FILE")]
    root_ca_file: Option<PathBuf>,
    /// The key that signs the tokens of secrets of type kubernetes.io/service-account-token (PEM)
    #[arg(long, value_name = "FILE")]
    service_account_private_key_file: Option<PathBuf>,
    /// The CA that signs certificate requests (PEM)
    #[arg(long, value_name = "FILE", requires = "cluster_signing_key_file")]
    cluster_signing_cert_file: Option<PathBuf>,
    /// Its key (PEM)
    #[arg(long, value_name = "FILE", requires = "cluster_signing_cert_file")]
    cluster_signing_key_file: Option<PathBuf>,
    /// How long certificates live at most that are signed on request
    #[arg(long, value_name = "DURATION", alias = "experimental-cluster-signing-duration", default_value = "8760h", value_parser = lifetime)]
    cluster_signing_duration: Duration,
    /// Whether each controller acts as a service account of its own; else all act as the kubeconfig's user
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    use_service_account_credentials: bool,
    #[command(flatten)]
    api: Api,
    #[command(flatten)]
    leader: Leader,
    #[command(flatten)]
    serving: Serving,
    #[command(flatten)]
    common: Common,
}

impl HasCommon for Args {
    fn common(&self) -> &Common {
        &self.common
    }
}

pub const GONE: &[Gone] = &[
    gone("pod-eviction-timeout", "pods tolerate lost nodes for 300 s (tolerationSeconds)"),
    gone("node-monitor-period", "leases are watched"),
    gone("node-startup-grace-period", "--node-monitor-grace-period"),
    gone("node-eviction-rate", "pods leave when their tolerations end"),
    gone("deleting-pods-qps", "pods leave when their tolerations end"),
    gone("deleting-pods-burst", "pods leave when their tolerations end"),
    gone("register-retry-count", "nodes register themselves"),
    gone("node-sync-period", "nodes are watched"),
    gone("service-sync-period", "services are watched"),
    gone("resource-quota-sync-period", "quotas are watched"),
    gone("namespace-sync-period", "namespaces are watched"),
    gone("pvclaimbinder-sync-period", "claims are watched"),
    gone("min-resync-period", "views are kept by watches"),
    gone("service-cluster-ip-range", "the API server's ServiceCIDR objects say it"),
    gone("concurrent-deployment-syncs", "controllers choose it themselves"),
    gone("concurrent-endpoint-syncs", "controllers choose it themselves"),
    gone("concurrent-namespace-syncs", "controllers choose it themselves"),
    gone("concurrent-rc-syncs", "controllers choose it themselves"),
    gone("concurrent-replicaset-syncs", "controllers choose it themselves"),
    gone("concurrent-resource-quota-syncs", "controllers choose it themselves"),
    gone("concurrent-service-syncs", "controllers choose it themselves"),
    gone("concurrent-serviceaccount-token-syncs", "controllers choose it themselves"),
    gone("concurrent-gc-syncs", "controllers choose it themselves"),
    gone("kube-api-qps", FLOW),
    gone("kube-api-burst", FLOW),
    gone_switch("enable-hostpath-provisioner", "no provisioner is built in"),
    gone_switch("configure-cloud-routes", "cloud providers are programs of their own"),
];

/// Its flags.
pub fn command() -> clap::Command {
    <Args as clap::CommandFactory>::command()
}

pub fn run(words: Vec<String>) -> Result<()> {
    let args: Args = super::parse(words, GONE)?;
    let grace = duration(&args.node_monitor_grace_period).context("--node-monitor-grace-period")?;
    cluster::components::controller_manager::start(Config {
        access: args.api.access("kube-controller-manager"),
        election: args.leader.election("kube-controller-manager", &Document::default())?,
        health: args.serving.ports(10257),
        cluster_cidrs: if args.allocate_node_cidrs { args.cluster_cidr } else { Vec::new() },
        node_mask_v4: args.node_cidr_mask_size_ipv4,
        node_mask_v6: args.node_cidr_mask_size_ipv6,
        node_monitor_grace: grace,
        terminated_pods_kept: args.terminated_pod_gc_threshold,
        root_ca_file: args.root_ca_file,
        service_account_key_file: args.service_account_private_key_file,
        own_accounts: args.use_service_account_credentials,
        signing_duration: args.cluster_signing_duration,
        signing: args.cluster_signing_cert_file.zip(args.cluster_signing_key_file),
    })
}

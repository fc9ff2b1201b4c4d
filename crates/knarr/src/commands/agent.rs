//! `knarr agent`

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use cluster::agent::AgentConfig;
use cluster::config::{DEFAULT_DATA_DIR, default_run_dir};
use cluster::host;
use cluster::token::JoinToken;

use crate::commands::node::absolute;

#[derive(clap::Args)]
#[command(after_help = "\
The first start needs --server and --token, which `knarr token create --print-join-command` on a server prints; later ones need \
neither: the node has certificates of its own, and renews them. Stop it with Ctrl-C or SIGTERM: containers keep running.")]
pub struct Args {
    /// An API server of the cluster, as https://HOST:6443; may be given several times. Others are learnt while it runs
    #[arg(long, value_name = "URL", env = "KNARR_SERVER", value_delimiter = ',')]
    server: Vec<String>,
    /// The token to join with
    #[arg(long, env = "KNARR_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// A file with the token to join with
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// Where the node's data is kept: certificates, images, containers
    #[arg(long, default_value = DEFAULT_DATA_DIR, env = "KNARR_DATA_DIR")]
    data_dir: PathBuf,
    /// Where what ends with a reboot is kept [default: /run/knarr]
    #[arg(long, hide = true)]
    run_dir: Option<PathBuf>,
    /// The address the kubelet listens on
    #[arg(long, default_value = "0.0.0.0")]
    bind_address: IpAddr,
    /// The port the kubelet listens on
    #[arg(long, default_value_t = 10250)]
    kubelet_port: u16,
    /// This node's name [default: the host's name]
    #[arg(long)]
    node_name: Option<String>,
    /// The address by which other machines of the cluster reach this one [default: that of the default route]
    #[arg(long)]
    node_ip: Option<IpAddr>,
    /// Labels to register the node with: KEY=VALUE,…
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',')]
    node_labels: Vec<String>,
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

pub fn run(args: Args) -> Result<()> {
    crate::commands::start_log(&args.log)?;
    if !nix::unistd::Uid::effective().is_root() {
        bail!(
            "a node makes namespaces, mounts and network links, so `knarr agent` must run as root; try `sudo knarr agent`"
        );
    }
    let data_dir = absolute(&args.data_dir);
    let config = AgentConfig {
        token: token(&args)?,
        servers: args.server,
        pod_manifest_path: args
            .pod_manifest_path
            .as_deref()
            .map_or_else(|| data_dir.join("pod-manifests"), absolute),
        run_dir: args.run_dir.map_or_else(|| default_run_dir(&data_dir), |d| absolute(&d)),
        data_dir,
        bind_address: args.bind_address,
        kubelet_port: args.kubelet_port,
        node_name: args.node_name.unwrap_or_else(host::node_name),
        node_ip: args.node_ip,
        node_labels: labels(&args.node_labels)?,
        registries: args.private_registry.as_deref().map(absolute),
        resolv_conf: args.resolv_conf.as_deref().map(absolute),
        eviction_hard: cluster::config::thresholds(&args.eviction_hard)?,
    };
    config.validate()?;
    cluster::agent::run(config)
}

fn token(args: &Args) -> Result<Option<JoinToken>> {
    let text = match (&args.token, &args.token_file) {
        (Some(text), _) => text.clone(),
        (None, Some(file)) => {
            std::fs::read_to_string(file).with_context(|| format!("--token-file: read {}", file.display()))?
        }
        (None, None) => return Ok(None),
    };
    JoinToken::parse(&text).context("--token").map(Some)
}

pub fn labels(given: &[String]) -> Result<BTreeMap<String, String>> {
    let pair = |text: &String| match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => bail!("--node-labels {text:?}: write KEY=VALUE"),
    };
    given.iter().map(pair).collect()
}

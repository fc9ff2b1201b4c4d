//! `knarr agent`

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use cluster::agent::AgentConfig;
use cluster::token::JoinToken;

use crate::commands::node_flags::NodeFlags;

#[derive(clap::Args)]
#[command(after_help = "\
The first start needs --server and --token, which `knarr token create --print-join-command` on a server prints; later ones need \
neither: the node has certificates of its own, and renews them. Stop it with Ctrl-C or SIGTERM: containers keep running.")]
pub struct Args {
    #[command(flatten)]
    node: NodeFlags,
    /// An API server of the cluster, as https://HOST:6443; may be given several times. Others are learnt while it runs
    #[arg(long, value_name = "URL", env = "KNARR_SERVER", value_delimiter = ',')]
    server: Vec<String>,
    /// The token to join with
    #[arg(long, env = "KNARR_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// A file with the token to join with
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// The address the kubelet listens on
    #[arg(long, default_value = "0.0.0.0")]
    bind_address: IpAddr,
    /// Labels to register the node with: KEY=VALUE,…
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',')]
    node_labels: Vec<String>,
}

pub fn run(args: Args) -> Result<()> {
    args.node.start("knarr agent")?;
    let token = token(&args)?;
    let node = args.node.settings()?;
    let config = AgentConfig {
        token,
        servers: args.server,
        pod_manifest_path: node.pod_manifest_path,
        run_dir: node.run_dir,
        data_dir: node.data_dir,
        bind_address: args.bind_address,
        kubelet_port: node.kubelet_port,
        node_name: node.node_name,
        node_ip: node.node_ip,
        node_labels: labels(&args.node_labels)?,
        registries: node.registries,
        resolv_conf: node.resolv_conf,
        eviction_hard: node.eviction_hard,
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

//! `kube-scheduler`

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use cluster::components::scheduler::Config;
use serde::Deserialize;

use super::options::{Api, Common, HasCommon, Leader, Serving};
use super::{Gone, gone, gone_switch};

/// Finds a node for every pod.
#[derive(clap::Parser)]
#[command(name = "kube-scheduler", version, max_term_width = 100)]
struct Args {
    /// A KubeSchedulerConfiguration: clientConnection.kubeconfig, leaderElection.leaderElect, one profile's schedulerName
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Whose pods are scheduled: those with this spec.schedulerName
    #[arg(long, value_name = "NAME")]
    scheduler_name: Option<String>,
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

const GONE: &[Gone] = &[
    gone("algorithm-provider", "a profile in --config says which plugins run"),
    gone("kube-api-qps", "requests are not held back here; the API server's flow control does it"),
    gone("kube-api-burst", "requests are not held back here; the API server's flow control does it"),
    gone("kube-api-content-type", "JSON is spoken"),
    gone("bind-pods-qps", "bindings are not held back"),
    gone("bind-pods-burst", "bindings are not held back"),
    gone("hard-pod-affinity-symmetric-weight", "it is 1"),
    gone("failure-domains", "topology spread constraints say it"),
    gone_switch("lock-object-name", "--leader-elect-resource-name"),
];

/// What of the file is understood; anything else is refused.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct File {
    api_version: String,
    kind: String,
    client_connection: Connection,
    leader_election: Election,
    profiles: Vec<Profile>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Connection {
    kubeconfig: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Election {
    leader_elect: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Profile {
    scheduler_name: Option<String>,
}

pub fn run(words: Vec<String>) -> Result<()> {
    let args: Args = super::parse(words, GONE)?;
    let file =
        args.config.as_ref().map(|path| read(path).context("--config")).transpose()?.unwrap_or_default();
    let mut access = args.api.access("kube-scheduler");
    access.kubeconfig = access.kubeconfig.or(file.client_connection.kubeconfig);
    let named = file.profiles.into_iter().next().and_then(|p| p.scheduler_name);
    cluster::components::scheduler::start(Config {
        access,
        election: args.leader.election("kube-scheduler", file.leader_election.leader_elect)?,
        health: args.serving.ports(10259),
        scheduler_name: args.scheduler_name.or(named).unwrap_or_else(|| "default-scheduler".into()),
    })
}

fn read(path: &PathBuf) -> Result<File> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let file: File = serde_saphyr::from_str(&text).with_context(|| {
        format!(
            "{}: not a KubeSchedulerConfiguration, or one with fields that are not supported",
            path.display()
        )
    })?;
    if file.api_version != "kubescheduler.config.k8s.io/v1" || file.kind != "KubeSchedulerConfiguration" {
        bail!("{}: expected a KubeSchedulerConfiguration of kubescheduler.config.k8s.io/v1", path.display());
    }
    if file.profiles.len() > 1 {
        bail!("{}: only one profile is supported", path.display());
    }
    Ok(file)
}

//! `kube-scheduler`

mod profiles;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use cluster::components::scheduler::{Config, Profile, Profiles};
use serde_json::Value;

use super::document::Does::{Acts, Nothing, Only, Refused};
use super::document::{Document, Format, or};
use super::options::{Api, Common, ELECTION_FIELDS, HasCommon, Leader, Serving};
use super::{FLOW, Gone, JSON, gone, gone_switch};

/// Finds a node for every pod.
#[derive(clap::Parser)]
#[command(name = "kube-scheduler", version, max_term_width = 100)]
struct Args {
    /// A KubeSchedulerConfiguration
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

pub const GONE: &[Gone] = &[
    gone("algorithm-provider", "a profile in --config says which plugins run"),
    gone("kube-api-qps", FLOW),
    gone("kube-api-burst", FLOW),
    gone("kube-api-content-type", JSON),
    gone("bind-pods-qps", "bindings are not held back"),
    gone("bind-pods-burst", "bindings are not held back"),
    gone("hard-pod-affinity-symmetric-weight", "it is 1"),
    gone("failure-domains", "topology spread constraints say it"),
    gone_switch("lock-object-name", "--leader-elect-resource-name"),
];

/// <https://kubernetes.io/docs/reference/config-api/kube-scheduler-config.v1/>
const FORMAT: Format = Format {
    api_version: "kubescheduler.config.k8s.io/v1",
    kind: "KubeSchedulerConfiguration",
    fields: &[
        ("clientConnection.kubeconfig", Acts),
        ("clientConnection.acceptContentTypes", Nothing(JSON)),
        ("clientConnection.contentType", Nothing(JSON)),
        ("clientConnection.qps", Nothing(FLOW)),
        ("clientConnection.burst", Nothing(FLOW)),
        (ELECTION_FIELDS[0], Acts),
        (ELECTION_FIELDS[1], Acts),
        (ELECTION_FIELDS[2], Acts),
        (ELECTION_FIELDS[3], Acts),
        (ELECTION_FIELDS[4], Acts),
        (ELECTION_FIELDS[5], Acts),
        (ELECTION_FIELDS[6], Acts),
        ("profiles", Acts),
        ("parallelism", Nothing("one pod is placed after the other")),
        ("percentageOfNodesToScore", Only("100")),
        ("podInitialBackoffSeconds", Only("1")),
        ("podMaxBackoffSeconds", Only("10")),
        ("extenders", Refused("plugins are built in")),
        ("enableProfiling", Nothing("there is no profiling port")),
        ("enableContentionProfiling", Nothing("there is no profiling port")),
        ("delayCacheUntilActive", Nothing("it is always done")),
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
    let mut access = args.api.access("kube-scheduler");
    access.kubeconfig = or(access.kubeconfig, &file, "clientConnection.kubeconfig")?;
    let in_file = file.get::<Value>("profiles")?;
    let profiles = profiles::read(in_file.as_ref()).map_err(|why| file.about(why)).context("--config")?;
    let profiles = match args.scheduler_name {
        None => profiles,
        Some(_) if in_file.is_some() => {
            bail!(
                "--scheduler-name and profiles in --config exclude each other: each profile has its schedulerName"
            )
        }
        Some(name) => Profiles::new(vec![Profile::new(&name)]).map_err(anyhow::Error::msg)?,
    };
    cluster::components::scheduler::start(Config {
        access,
        election: args.leader.election("kube-scheduler", &file)?,
        health: args.serving.ports(10259),
        profiles,
    })
}

//! `kube-scheduler`

use anyhow::Result;

pub use scheduler::profile::{Point, Profile, Profiles};

use super::health::{self, Ports};
use super::{Access, LeaderElection, run};

/// What the user chose.
#[derive(Clone, Debug)]
pub struct Config {
    pub access: Access,
    pub election: Option<LeaderElection>,
    pub health: Ports,
    pub profiles: Profiles,
}

/// Until SIGTERM.
pub fn start(config: Config) -> Result<()> {
    run(async |process| {
        let api = config.access.open(process)?;
        health::serve(config.health, "kube-scheduler", process).await?;
        let (transport, clock, random) =
            (api.transport.clone(), process.clock.clone(), process.random.clone());
        let settings = scheduler::Config { profiles: config.profiles };
        process.lead(config.election.as_ref(), &api.transport, move |tasks| {
            scheduler::start(settings, transport, clock, random, &tasks);
        });
        Ok(())
    })
}

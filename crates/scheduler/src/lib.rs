//! The scheduler: which node runs a pod. Start at [`start`], then [`cycle::schedule`].
//!
//! Decides over its own columns of the cluster ([`state`]), never over decoded lists, by the plugins of the pod's [`profile`]. One
//! task owns queue and state; bindings run beside it. Never talks to a kubelet.

pub mod cycle;
mod node;
mod plugin;
mod plugins;
mod pod;
mod preempt;
pub mod profile;
mod queue;
mod run;
mod state;
mod storage;
mod volumes;

use std::sync::Arc;

use client::transport::Transport;
use profile::Profiles;
use stdx::clock::SharedClock;
use stdx::{Random, Tasks};

/// What a scheduler needs to know.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Pods whose `spec.schedulerName` none of these has are somebody else's.
    pub profiles: Profiles,
}

/// Runs the scheduler in `tasks` until they are stopped.
pub fn start(
    config: Config,
    transport: Arc<dyn Transport>,
    clock: SharedClock,
    random: Random,
    tasks: &Tasks,
) {
    let scheduler = run::Scheduler::new(config, transport, clock, random, tasks);
    tasks.spawn_until_shutdown(scheduler.run());
}

#[cfg(test)]
mod tests;

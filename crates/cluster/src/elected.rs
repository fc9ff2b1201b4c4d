//! What only one of several servers runs: controllers and scheduler, by the leases that upstream's take.

use std::sync::Arc;

use apimachinery::ObjectKey;
use client::Transport;
use client::leader::Election;
use stdx::clock::SharedClock;
use stdx::{Random, Tasks};

/// Who may run for a lease.
pub struct Candidate {
    /// The lease's name in kube-system: `kube-scheduler`.
    pub lease: &'static str,
    pub transport: Arc<dyn Transport>,
    /// Unique among the servers.
    pub identity: String,
    pub clock: SharedClock,
    pub random: Random,
}

/// Starts what `start` starts whenever the lease is ours, and stops it when it no longer is; until `tasks` are stopped.
pub fn run(candidate: Candidate, tasks: &Tasks, start: impl Fn(Tasks) + Send + Sync + 'static) {
    let group = tasks.clone();
    tasks.spawn(async move {
        let Candidate { lease, transport, identity, clock, random } = candidate;
        while !group.shutdown().is_cancelled() {
            let key = ObjectKey::new("kube-system", lease);
            let election = Election::new(transport.clone(), key, &identity, clock.clone(), random.clone());
            election.run(&group, &start).await;
        }
    });
}

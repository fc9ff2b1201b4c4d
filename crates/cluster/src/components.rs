//! Components alone: each a process of its own, with today's upstream flags, that reaches the API as a stranger would. Start at
//! [`run`]; one file for each component.

pub mod access;
pub mod api_server;
pub mod controller_manager;
pub mod health;
pub mod kubelet;
pub mod proxy;
pub mod scheduler;

use std::sync::Arc;

use anyhow::Result;
use apimachinery::ObjectKey;
use client::Transport;
use client::leader::Election;
pub use client::leader::Timings;
use stdx::Tasks;

pub use crate::process::Process;
pub use access::Access;

/// Runs a component; [`crate::process::run`] says how long.
pub fn run(start: impl AsyncFnOnce(&Process) -> Result<()>) -> Result<()> {
    crate::process::run("", start)
}

/// Whether, and for which lease, a component waits for its turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderElection {
    pub lease: String,
    pub namespace: String,
    pub timings: Timings,
}

impl Process {
    /// Starts what `lead` starts, when the lease is ours (at once without one). A lease that is lost ends the process, as
    /// upstream's do: the service manager starts it afresh.
    pub fn lead(
        &self,
        election: Option<&LeaderElection>,
        transport: &Arc<dyn Transport>,
        lead: impl FnOnce(Tasks) + Send + 'static,
    ) {
        let tasks = self.groups.components.clone();
        let Some(election) = election else { return lead(tasks) };
        let key = ObjectKey::new(&election.namespace, &election.lease);
        let identity = format!("{}_{}", crate::host::node_name(), self.random.uuid());
        let (clock, random) = (self.clock.clone(), self.random.clone());
        let candidate = Election::new(transport.clone(), key, &identity, clock, random);
        let candidate = candidate.with_timings(election.timings);
        tasks.clone().spawn(async move {
            candidate.run(&tasks, lead).await;
            if !tasks.shutdown().is_cancelled() {
                tracing::error!("leaderelection lost");
                std::process::exit(1);
            }
        });
    }
}

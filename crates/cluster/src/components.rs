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

use anyhow::{Context, Result};
use apimachinery::ObjectKey;
use client::Transport;
use client::leader::Election;
use stdx::clock::SharedClock;
use stdx::{Random, SystemClock, Tasks};
use tokio::signal::unix::{SignalKind, signal};

use crate::control_plane::Groups;

pub use access::Access;

/// What a component runs on.
pub struct Process {
    pub clock: SharedClock,
    pub random: Random,
    pub groups: Groups,
}

/// Runs a component until SIGTERM or SIGINT, or until its start fails. The service manager hears when it has started.
pub fn run(start: impl AsyncFnOnce(&Process) -> Result<()>) -> Result<()> {
    // Only fails when there is one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the async runtime")?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("watch for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("watch for SIGINT")?;
        let process =
            Process { clock: SystemClock::shared(), random: Random::from_os(), groups: Groups::default() };
        let work = async {
            start(&process).await?;
            crate::service_manager::ready();
            futures::future::pending().await
        };
        let ended = tokio::select! {
            failed = work => failed,
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
        };
        process.groups.stop().await;
        ended
    })
}

/// Whether, and for which lease, a component waits for its turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderElection {
    pub lease: String,
    pub namespace: String,
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
        tasks.clone().spawn(async move {
            candidate.run(&tasks, lead).await;
            if !tasks.shutdown().is_cancelled() {
                tracing::error!("leaderelection lost");
                std::process::exit(1);
            }
        });
    }
}

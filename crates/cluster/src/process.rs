//! What every long-running program of ours is around its work: a runtime, signals, an orderly end.

use anyhow::{Context, Result};
use stdx::clock::SharedClock;
use stdx::{Random, SystemClock};
use tokio::signal::unix::{SignalKind, signal};

use crate::control_plane::Groups;
use crate::progress::Progress;

/// What a program runs on.
pub struct Process {
    pub clock: SharedClock,
    pub random: Random,
    pub groups: Groups,
    pub(crate) progress: Progress,
}

/// Runs a program until SIGTERM or SIGINT, or until its start fails. The service manager hears when it has started; a person
/// reads `farewell` when it was asked to stop.
pub fn run(farewell: &str, start: impl AsyncFnOnce(&Process) -> Result<()>) -> Result<()> {
    crate::install_tls();
    raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the async runtime")?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("watch for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("watch for SIGINT")?;
        let clock = SystemClock::shared();
        let process = Process {
            progress: Progress::new(clock.clone()),
            clock,
            random: Random::from_os(),
            groups: Groups::default(),
        };
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
        if ended.is_ok() {
            process.progress.print(farewell);
            // Whoever asks twice does not want to wait.
            tokio::select! {
                () = process.groups.farewell.say(&process.clock) => {}
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        process.groups.stop().await;
        ended
    })
}

/// A thousand connections are more than the descriptors that a shell gives to begin with. Containers have a limit of their own.
fn raise_open_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

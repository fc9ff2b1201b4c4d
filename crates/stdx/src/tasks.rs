//! Every task has an owner and is joined on shutdown.

use std::future::Future;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A group of tasks with one shutdown signal. Clones share the group.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    shutdown: CancellationToken,
}

impl Tasks {
    /// An empty group that nothing but [`Tasks::stop`] ends.
    pub fn new() -> Self {
        Self::default()
    }

    /// A group that also ends when `self` is stopped; it is joined on its own.
    pub fn child(&self) -> Self {
        Tasks { tracker: TaskTracker::new(), shutdown: self.shutdown.child_token() }
    }

    /// Fires when the group should end.
    pub fn shutdown(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Runs `task` to its end; it must itself watch [`Tasks::shutdown`].
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tracker.spawn(task)
    }

    /// Runs `task` until it ends or the group is stopped, whichever is first. For tasks that may be dropped
    /// at any await point.
    pub fn spawn_until_shutdown<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let shutdown = self.shutdown.clone();
        self.tracker.spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = task => {}
            }
        });
    }

    /// Signals shutdown without waiting.
    pub fn signal(&self) {
        self.shutdown.cancel();
    }

    /// Signals shutdown and waits until every task has ended.
    pub async fn stop(&self) {
        self.shutdown.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

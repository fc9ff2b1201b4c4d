//! How far a cache has come.

use std::sync::atomic::{AtomicU64, Ordering};

use apimachinery::Revision;
use tokio::sync::watch;

/// Everything up to this revision has been applied. Caches that are fed from one stream share one.
#[derive(Debug)]
pub struct Progress {
    now: AtomicU64,
    wake: watch::Sender<()>,
}

impl Default for Progress {
    fn default() -> Self {
        Progress { now: AtomicU64::new(0), wake: watch::Sender::new(()) }
    }
}

impl Progress {
    pub fn revision(&self) -> Revision {
        Revision(self.now.load(Ordering::Acquire))
    }

    /// Never goes back.
    pub fn advance(&self, to: Revision) {
        if self.now.fetch_max(to.0, Ordering::AcqRel) < to.0 {
            self.wake.send_replace(());
        }
    }

    /// Completes when `revision` has been reached.
    pub async fn wait_for(&self, revision: Revision) {
        if self.revision() >= revision {
            return;
        }
        let mut wake = self.wake.subscribe();
        while self.revision() < revision {
            // The sender lives as long as `self`, so this never fails.
            let _ = wake.changed().await;
        }
    }
}

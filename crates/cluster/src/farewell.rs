//! Between being asked to stop and stopping: `/readyz` fails, everything else goes on, so that load balancers send clients
//! elsewhere first.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use stdx::clock::SharedClock;

/// Of a whole process.
#[derive(Debug, Default)]
pub struct Farewell {
    begun: AtomicBool,
    /// Milliseconds.
    delay: AtomicU64,
}

impl Farewell {
    /// `--shutdown-delay-duration`.
    pub fn take(&self, delay: Duration) {
        self.delay.store(delay.as_millis().try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// From now on the process is leaving; completes when it may go.
    pub async fn say(&self, clock: &SharedClock) {
        self.begun.store(true, Ordering::Relaxed);
        clock.sleep(Duration::from_millis(self.delay.load(Ordering::Relaxed))).await;
    }

    /// For `/readyz`.
    pub fn check(&self) -> Result<(), String> {
        match self.begun.load(Ordering::Relaxed) {
            true => Err("process is shutting down".into()),
            false => Ok(()),
        }
    }
}

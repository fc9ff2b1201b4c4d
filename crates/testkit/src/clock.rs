//! A clock that tests move.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use stdx::clock::{Clock, SharedClock};
use tokio::sync::watch;

/// Stands still until [`FakeClock::advance`]d. Clones share the time.
#[derive(Clone, Debug)]
pub struct FakeClock {
    start: Timestamp,
    elapsed: Arc<watch::Sender<Duration>>,
    /// Seconds by which somebody has set the time of day.
    set: Arc<AtomicI64>,
}

impl FakeClock {
    /// Starts at 2026-01-01T00:00:00Z.
    pub fn new() -> Self {
        Self::at(Timestamp::from_second(1_767_225_600).unwrap_or(Timestamp::UNIX_EPOCH))
    }

    /// Starts at `start`.
    pub fn at(start: Timestamp) -> Self {
        FakeClock { start, elapsed: Arc::new(watch::Sender::new(Duration::ZERO)), set: Arc::default() }
    }

    /// As components take it.
    pub fn shared(&self) -> SharedClock {
        Arc::new(self.clone())
    }

    /// Moves on; whoever sleeps until then wakes.
    pub fn advance(&self, by: Duration) {
        self.elapsed.send_modify(|elapsed| *elapsed += by);
    }

    /// Somebody sets the time of day, forwards or backwards: no time passes.
    pub fn set(&self, by_seconds: i64) {
        self.set.fetch_add(by_seconds, Ordering::SeqCst);
    }
}

impl Default for FakeClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        let set = jiff::SignedDuration::from_secs(self.set.load(Ordering::SeqCst));
        let now = self.start.checked_add(*self.elapsed.borrow()).and_then(|now| now.checked_add(set));
        now.unwrap_or(Timestamp::MAX)
    }

    fn monotonic(&self) -> Duration {
        *self.elapsed.borrow()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let until = self.elapsed.borrow().saturating_add(duration);
        let mut elapsed = self.elapsed.subscribe();
        // Owned, so that the clock outlives its sleepers.
        let keep = self.elapsed.clone();
        Box::pin(async move {
            let _ = elapsed.wait_for(|now| *now >= until).await;
            drop(keep);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleepers_wake_when_their_time_has_come() {
        let clock = FakeClock::new();
        let sleep = clock.sleep(Duration::from_secs(10));
        tokio::pin!(sleep);
        clock.advance(Duration::from_secs(9));
        assert!(futures::poll!(&mut sleep).is_pending());
        clock.advance(Duration::from_secs(1));
        assert!(futures::poll!(&mut sleep).is_ready());
        assert_eq!(clock.now().to_string(), "2026-01-01T00:00:10Z");
        clock.set(-86_400);
        assert_eq!(clock.now().to_string(), "2025-12-31T00:00:10Z");
        assert_eq!(clock.monotonic(), Duration::from_secs(10));
    }
}

//! How long a failed key waits.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// The limits of a queue's retries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// A key's first wait; doubles with every failure.
    pub first: Duration,
    /// A key's longest wait.
    pub max: Duration,
    /// Retries a second of all keys together…
    pub per_second: f64,
    /// …and how many may come at once.
    pub burst: f64,
}

impl Backoff {
    /// client-go's `DefaultControllerRateLimiter`.
    pub const CONTROLLER: Backoff = Backoff {
        first: Duration::from_millis(5),
        max: Duration::from_secs(1000),
        per_second: 10.0,
        burst: 100.0,
    };
}

/// The longer of a key's own back-off and the shared bucket's wait.
pub struct RateLimit<T> {
    backoff: Backoff,
    failures: HashMap<T, u32>,
    tokens: f64,
    refilled: Duration,
}

impl<T: Clone + Eq + Hash> RateLimit<T> {
    pub fn new(backoff: Backoff) -> Self {
        RateLimit { backoff, failures: HashMap::new(), tokens: backoff.burst, refilled: Duration::ZERO }
    }

    /// Counts a failure; how long to wait now.
    pub fn next(&mut self, item: &T, now: Duration) -> Duration {
        let failures = self.failures.entry(item.clone()).or_default();
        let own = self.backoff.first.checked_mul(1u32.checked_shl(*failures).unwrap_or(u32::MAX));
        *failures = failures.saturating_add(1);
        own.unwrap_or(self.backoff.max).min(self.backoff.max).max(self.shared(now))
    }

    pub fn forget(&mut self, item: &T) {
        self.failures.remove(item);
    }

    pub fn failures(&self, item: &T) -> u32 {
        self.failures.get(item).copied().unwrap_or_default()
    }

    /// Reserves a token, if need be one of the future.
    fn shared(&mut self, now: Duration) -> Duration {
        let refill = now.saturating_sub(self.refilled).as_secs_f64() * self.backoff.per_second;
        self.tokens = (self.tokens + refill).min(self.backoff.burst) - 1.0;
        self.refilled = now;
        if self.tokens >= 0.0 {
            return Duration::ZERO;
        }
        Duration::from_secs_f64(-self.tokens / self.backoff.per_second)
    }
}

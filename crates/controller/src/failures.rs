//! Pods that fail again and again are not replaced again and again at once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[cfg(test)]
mod tests;

/// The first wait; doubled with each failure, forgotten after a long peace.
const FIRST: Duration = Duration::from_secs(1);

/// When pods failed, by the uid of their set and their place in it.
pub(crate) struct Failures {
    max: Duration,
    known: Mutex<HashMap<(String, String), Failure>>,
}

struct Failure {
    wait: Duration,
    since: Duration,
}

impl Failures {
    /// No wait is longer than `max`.
    pub fn new(max: Duration) -> Self {
        Failures { max, known: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), Failure>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long still to wait; `None`: act now, and wait longer next time.
    pub fn take(&self, set: &str, place: &str, now: Duration) -> Option<Duration> {
        let mut known = self.lock();
        known.retain(|_, failure| now.saturating_sub(failure.since) < self.max * 2);
        let of = (set.to_owned(), place.to_owned());
        let Some(failure) = known.get_mut(&of) else {
            known.insert(of, Failure { wait: FIRST, since: now });
            return None;
        };
        let end = failure.since + failure.wait;
        if now < end {
            return Some(end - now);
        }
        *failure = Failure { wait: (failure.wait * 2).min(self.max), since: now };
        None
    }
}

//! What a controller has done but not yet seen. Until it has, its view is older than its own acts, and acting on it again would
//! do everything twice.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use apimachinery::ObjectKey;
use stdx::clock::SharedClock;

/// An expectation that was not met for so long is given up: something was lost on the way.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Expected creations and deletions, by the key of the object that wants them.
pub(crate) struct Expectations {
    clock: SharedClock,
    of: Mutex<HashMap<ObjectKey, Expected>>,
}

struct Expected {
    creations: i64,
    /// By uid, since a pod's end is seen twice: when it is marked and when it is gone.
    deletions: HashSet<String>,
    since: Duration,
}

impl Expectations {
    pub(crate) fn new(clock: SharedClock) -> Self {
        Expectations { clock, of: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectKey, Expected>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything expected has been seen, or given up.
    pub(crate) fn satisfied(&self, key: &ObjectKey) -> bool {
        match self.lock().get(key) {
            Some(e) => {
                (e.creations <= 0 && e.deletions.is_empty()) || self.clock.monotonic() - e.since > TIMEOUT
            }
            None => true,
        }
    }

    /// Replaces what was expected before.
    pub(crate) fn expect(
        &self,
        key: &ObjectKey,
        creations: usize,
        deletions: impl IntoIterator<Item = String>,
    ) {
        let expected = Expected {
            creations: creations as i64,
            deletions: deletions.into_iter().collect(),
            since: self.clock.monotonic(),
        };
        self.lock().insert(key.clone(), expected);
    }

    /// A creation has been seen, or did not come about.
    pub(crate) fn created(&self, key: &ObjectKey) {
        if let Some(e) = self.lock().get_mut(key) {
            e.creations -= 1;
        }
    }

    /// A deletion has been seen, or did not come about.
    pub(crate) fn deleted(&self, key: &ObjectKey, uid: &str) {
        if let Some(e) = self.lock().get_mut(key) {
            e.deletions.remove(uid);
        }
    }

    /// The object that wanted them is gone.
    pub(crate) fn forget(&self, key: &ObjectKey) {
        self.lock().remove(key);
    }
}

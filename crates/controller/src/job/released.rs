//! Pods that have lost the finalizer by our hand, but not yet in our view: they are counted already.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use apimachinery::ObjectKey;

/// Uids by Job.
#[derive(Default)]
pub(super) struct Released(Mutex<HashMap<ObjectKey, HashSet<String>>>);

impl Released {
    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectKey, HashSet<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn of(&self, job: &ObjectKey) -> HashSet<String> {
        self.lock().get(job).cloned().unwrap_or_default()
    }

    pub fn expect(&self, job: &ObjectKey, uid: &str) {
        self.lock().entry(job.clone()).or_default().insert(uid.to_owned());
    }

    /// The view shows it, or it did not come about.
    pub fn seen(&self, job: &ObjectKey, uid: &str) {
        let mut all = self.lock();
        if let Some(of) = all.get_mut(job) {
            of.remove(uid);
            if of.is_empty() {
                all.remove(job);
            }
        }
    }

    pub fn forget(&self, job: &ObjectKey) {
        self.lock().remove(job);
    }
}

//! Pods that wait for a node: ready, backing off, or parked until something changes in the cluster.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::plugin::{ClusterEvent, PLUGINS};
use crate::pod::PodInfo;

const BACKOFF_FIRST: Duration = Duration::from_secs(1);
const BACKOFF_MOST: Duration = Duration::from_secs(10);
/// A parked pod is tried again after this even if no event was for it.
const PARKED_MOST: Duration = Duration::from_secs(5 * 60);

#[derive(Debug)]
struct Entry {
    pod: Arc<PodInfo>,
    attempts: u32,
    place: Place,
    order: Order,
    /// When the last attempt failed; back-off counts from here.
    failed_at: Duration,
}

/// Higher priority first, then first come.
type Order = (Reverse<i32>, u64);

#[derive(Debug, PartialEq)]
enum Place {
    Active,
    BackingOff {
        until: Duration,
    },
    Parked {
        rejected_by: Vec<&'static str>,
        until: Duration,
    },
    /// Handed out by [`Queue::pop`]; comes back by [`Queue::failed`] or leaves by [`Queue::remove`].
    Out,
}

/// The queue. All times are of the monotonic clock.
#[derive(Debug, Default)]
pub struct Queue {
    entries: HashMap<Arc<str>, Entry>,
    active: BTreeSet<(Order, Arc<str>)>,
    /// When backing-off and parked pods become active.
    timers: BTreeSet<(Duration, Arc<str>)>,
    /// Parked pods: events look at no others.
    parked: HashSet<Arc<str>>,
    next: u64,
}

impl Queue {
    /// A new pod, or a newer version of one: a change of its spec may make it schedulable.
    pub fn add(&mut self, pod: Arc<PodInfo>) {
        let uid = pod.uid.clone();
        if let Some(entry) = self.entries.get_mut(&uid) {
            let changed = concerns_scheduling(&entry.pod, &pod);
            entry.pod = pod;
            if changed && matches!(entry.place, Place::Parked { .. }) {
                self.activate(&uid);
            }
            return;
        }
        self.next += 1;
        let order = (Reverse(pod.priority), self.next);
        let entry = Entry { pod, attempts: 0, place: Place::Out, order, failed_at: Duration::ZERO };
        self.entries.insert(uid.clone(), entry);
        self.activate(&uid);
    }

    pub fn remove(&mut self, uid: &str) {
        self.take_out(uid);
        self.entries.remove(uid);
    }

    pub fn knows(&self, uid: &str) -> bool {
        self.entries.contains_key(uid)
    }

    /// The next pod to schedule. It stays known until it is removed.
    pub fn pop(&mut self) -> Option<Arc<PodInfo>> {
        let (_, uid) = self.active.pop_first()?;
        let entry = self.entries.get_mut(&uid)?;
        entry.place = Place::Out;
        entry.attempts += 1;
        Some(entry.pod.clone())
    }

    pub fn has_active(&self) -> bool {
        !self.active.is_empty()
    }

    /// The pod fits nowhere: it waits for an event that one of these plugins cares about.
    pub fn park(&mut self, uid: &str, rejected_by: Vec<&'static str>, now: Duration) {
        let until = now + PARKED_MOST;
        if let Some(entry) = self.entries.get_mut(uid) {
            entry.failed_at = now;
        }
        self.wait(uid, Place::Parked { rejected_by, until }, until);
    }

    /// Something else went wrong: it is tried again after its back-off.
    pub fn back_off(&mut self, uid: &str, now: Duration) {
        let Some(entry) = self.entries.get_mut(uid) else { return };
        entry.failed_at = now;
        let until = now + backoff(entry.attempts);
        self.wait(uid, Place::BackingOff { until }, until);
    }

    /// Wakes the parked pods that `event` may help.
    pub fn wake(&mut self, event: ClusterEvent, now: Duration) {
        let helped = |plugins: &[&str]| {
            plugins.is_empty()
                || PLUGINS.iter().any(|p| p.wakes_on.contains(&event) && plugins.contains(&p.name))
        };
        let is_helped = |uid: &&Arc<str>| {
            let place = self.entries.get(&**uid).map(|e| &e.place);
            matches!(place, Some(Place::Parked { rejected_by, .. }) if helped(rejected_by))
        };
        let woken: Vec<Arc<str>> = self.parked.iter().filter(is_helped).cloned().collect();
        for uid in woken {
            let Some(entry) = self.entries.get(&uid) else { continue };
            let until = entry.failed_at + backoff(entry.attempts);
            if until > now {
                self.wait(&uid, Place::BackingOff { until }, until);
            } else {
                self.activate(&uid);
            }
        }
    }

    /// When [`Queue::tick`] is due next.
    pub fn next_timer(&self) -> Option<Duration> {
        self.timers.first().map(|(until, _)| *until)
    }

    /// Activates everything whose time has come.
    pub fn tick(&mut self, now: Duration) {
        while let Some((until, uid)) = self.timers.first().cloned() {
            if until > now {
                break;
            }
            self.activate(&uid);
        }
    }

    fn activate(&mut self, uid: &str) {
        self.take_out(uid);
        if let Some((uid, entry)) = self.entries.get_key_value(uid) {
            let (uid, order) = (uid.clone(), entry.order);
            self.active.insert((order, uid));
        }
        if let Some(entry) = self.entries.get_mut(uid) {
            entry.place = Place::Active;
        }
    }

    fn wait(&mut self, uid: &str, place: Place, until: Duration) {
        self.take_out(uid);
        if let Some(entry) = self.entries.get_mut(uid) {
            if matches!(place, Place::Parked { .. }) {
                self.parked.insert(entry.pod.uid.clone());
            }
            entry.place = place;
            self.timers.insert((until, entry.pod.uid.clone()));
        }
    }

    fn take_out(&mut self, uid: &str) {
        let Some(entry) = self.entries.get(uid) else { return };
        match &entry.place {
            Place::Active => {
                self.active.remove(&(entry.order, entry.pod.uid.clone()));
            }
            Place::BackingOff { until } | Place::Parked { until, .. } => {
                self.parked.remove(uid);
                self.timers.remove(&(*until, entry.pod.uid.clone()));
            }
            Place::Out => {}
        }
    }
}

/// Whether the newer version of a pod may fit where the older did not. What we write into its status is no reason.
fn concerns_scheduling(old: &PodInfo, new: &PodInfo) -> bool {
    old.pod.spec != new.pod.spec || old.labels != new.labels || old.requests != new.requests
}

fn backoff(attempts: u32) -> Duration {
    let factor = 1u32 << attempts.saturating_sub(1).min(10);
    (BACKOFF_FIRST * factor).min(BACKOFF_MOST)
}

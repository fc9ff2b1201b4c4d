//! How long a Job waits before it replaces pods that failed.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use resources::core::pod::PodExt;

const FIRST: Duration = Duration::from_secs(10);
const MAX: Duration = Duration::from_secs(600);

/// The failures since the last success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Backoff {
    pub failures: u32,
    /// When the last of them was.
    pub last: Option<Timestamp>,
}

impl Backoff {
    /// Takes in pods that have ended since.
    pub fn after(self, succeeded: &[&Pod], failed: &[&Pod]) -> Self {
        let success = succeeded.iter().map(|pod| ended_at(pod)).max();
        let failures = failed.iter().map(|pod| ended_at(pod)).filter(|at| success.is_none_or(|s| *at > s));
        let failures: Vec<_> = failures.collect();
        let before = if success.is_some() { Backoff::default() } else { self };
        Backoff {
            failures: before.failures + failures.len() as u32,
            last: failures.into_iter().max().or(before.last),
        }
    }

    /// Until pods may be made again.
    pub fn remaining(&self, now: Timestamp) -> Duration {
        self.last.map_or(Duration::ZERO, |last| remaining(self.failures, last, now))
    }
}

/// The same for so many failures in a row.
pub(super) fn remaining(failures: u32, last: Timestamp, now: Timestamp) -> Duration {
    if failures == 0 {
        return Duration::ZERO;
    }
    let doublings = (failures - 1).min(16);
    let wait = FIRST.saturating_mul(1 << doublings).min(MAX);
    // Clocks of node and controller differ: what is still to come has just been.
    let since = Duration::try_from(now.duration_since(last)).unwrap_or_default();
    wait.saturating_sub(since)
}

/// When a pod ended: its last container did, or it was no longer ready, or it was deleted.
pub(super) fn ended_at(pod: &Pod) -> Timestamp {
    let unready = || {
        let ready = pod.condition("Ready").filter(|c| c.status == "False")?;
        ready.last_transition_time.as_ref().map(|t| t.0)
    };
    let deleted = || {
        let at = pod.metadata.deletion_timestamp.as_ref()?.0;
        let grace = SignedDuration::from_secs(pod.metadata.deletion_grace_period_seconds.unwrap_or(0));
        at.checked_sub(grace).ok()
    };
    let created = || pod.metadata.creation_timestamp.as_ref().map(|t| t.0);
    last_container(pod).or_else(unready).or_else(deleted).or_else(created).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// None unless all of them have ended.
fn last_container(pod: &Pod) -> Option<Timestamp> {
    let statuses = pod.pod_status().container_statuses.iter().flatten();
    let ends = statuses.map(|s| Some(s.state.as_ref()?.terminated.as_ref()?.finished_at.as_ref()?.0));
    ends.collect::<Option<Vec<_>>>()?.into_iter().max()
}

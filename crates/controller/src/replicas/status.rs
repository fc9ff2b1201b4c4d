//! What a controller says about its pods.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use resources::core::pod::PodExt;

use super::{Condition, Observed, Replicated};

/// Why the number of pods could not be brought about.
#[derive(Debug)]
pub(super) struct Failure {
    /// Pods were missing (true) or too many (false).
    pub missing: bool,
    pub message: String,
}

/// The status as it should be.
pub(super) fn observe<K: Replicated>(
    owner: &K,
    active: &[Pod],
    terminating: usize,
    failure: Option<&Failure>,
    now: Timestamp,
) -> Observed {
    let min_ready = owner.min_ready_seconds();
    let old = owner.observed();
    let labels = owner.template().and_then(|t| t.metadata.as_ref()).and_then(|m| m.labels.as_ref());
    let labeled = |pod: &&Pod| {
        let of_pod = pod.metadata.labels.as_ref();
        labels.into_iter().flatten().all(|(k, v)| of_pod.and_then(|l| l.get(k)) == Some(v))
    };
    Observed {
        generation: owner.meta().generation.unwrap_or(0),
        replicas: active.len() as i32,
        fully_labeled: active.iter().filter(labeled).count() as i32,
        ready: active.iter().filter(|p| p.is_ready()).count() as i32,
        available: active.iter().filter(|p| p.is_available(min_ready, now)).count() as i32,
        terminating: terminating as i32,
        conditions: conditions(old.conditions, failure, now),
    }
}

/// ReplicaFailure stays as it first came, until there is no failure.
fn conditions(mut conditions: Vec<Condition>, failure: Option<&Failure>, now: Timestamp) -> Vec<Condition> {
    const REPLICA_FAILURE: &str = "ReplicaFailure";
    let known = conditions.iter().any(|c| c.kind == REPLICA_FAILURE);
    match failure {
        None => conditions.retain(|c| c.kind != REPLICA_FAILURE),
        Some(_) if known => {}
        Some(failure) => conditions.push(Condition {
            kind: REPLICA_FAILURE.into(),
            status: "True".into(),
            reason: Some(if failure.missing { "FailedCreate" } else { "FailedDelete" }.into()),
            message: Some(failure.message.clone()),
            since: Some(Time(now)),
        }),
    }
    conditions
}

/// When the next ready pod becomes available, if nothing happens to it.
pub(crate) fn next_available(active: &[Pod], min_ready_seconds: i32, now: Timestamp) -> Option<Duration> {
    let wait = SignedDuration::from_secs(min_ready_seconds.into());
    let waits = active.iter().filter(|p| p.is_ready() && !p.is_available(min_ready_seconds, now));
    let remaining = waits.filter_map(|pod| {
        let since = pod.condition("Ready")?.last_transition_time.as_ref()?.0;
        Duration::try_from(wait - now.duration_since(since)).ok()
    });
    // A second of grace, since times in objects have no fractions.
    remaining.min().map(|d| d + Duration::from_secs(1))
}

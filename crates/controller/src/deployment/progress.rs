//! What a deployment's status says.

use std::time::Duration;

use apimachinery::Status;
use codec::Kind;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet, ReplicaSetCondition,
};
use resources::apps::deployment::{DeploymentExt, set_condition};

use super::plan::Family;
use super::scale;

const AVAILABLE: &str = "Available";
const PROGRESSING: &str = "Progressing";
const REPLICA_FAILURE: &str = "ReplicaFailure";

const NEW_SET_AVAILABLE: &str = "NewReplicaSetAvailable";
const TIMED_OUT: &str = "ProgressDeadlineExceeded";

/// While nothing is rolled out (paused, being scaled or deleted): counts and availability.
pub fn plain(deployment: &Deployment, family: &Family<'_>, now: Timestamp) -> DeploymentStatus {
    let mut status = counted(deployment, family, now);
    mark_pause(deployment, &mut status, now);
    status
}

/// During a rollout. `created`: the current template's set is about to be made.
pub fn of_rollout(
    deployment: &Deployment,
    family: &Family<'_>,
    created: bool,
    now: Timestamp,
) -> DeploymentStatus {
    let mut status = counted(deployment, family, now);
    mark_pause(deployment, &mut status, now);
    let new = family.new.as_ref();
    if has_deadline(deployment) {
        if created {
            let text = format!("Created new replica set {:?}", new.map_or("", Kind::name));
            set_condition(&mut status, condition(PROGRESSING, "True", "NewReplicaSetCreated", text), now);
        } else if let Some(new) = new.filter(|_| progressing(&status).is_none()) {
            let text = format!("Found new replica set {:?}", new.name());
            set_condition(&mut status, condition(PROGRESSING, "True", "FoundNewReplicaSet", text), now);
        }
        judge(deployment, new, &mut status, now);
    } else {
        remove(&mut status, PROGRESSING);
    }
    match replica_failure(family) {
        Some(failure) => drop(set_condition(&mut status, failure, now)),
        None => remove(&mut status, REPLICA_FAILURE),
    }
    status
}

/// Complete, moving, or stuck?
fn judge(deployment: &Deployment, new: Option<&ReplicaSet>, status: &mut DeploymentStatus, now: Timestamp) {
    let about = match new {
        Some(set) => format!("ReplicaSet {:?}", set.name()),
        None => format!("Deployment {:?}", deployment.name()),
    };
    let current = progressing(status).cloned();
    let finished = status.replicas == status.updated_replicas
        && current.as_ref().is_some_and(|c| c.reason.as_deref() == Some(NEW_SET_AVAILABLE));
    if finished {
        return;
    }
    if is_complete(deployment, status) {
        let text = format!("{about} has successfully progressed.");
        set_condition(status, condition(PROGRESSING, "True", NEW_SET_AVAILABLE, text), now);
    } else if is_moving(deployment, status) {
        let text = format!("{about} is progressing.");
        let next = condition(PROGRESSING, "True", "ReplicaSetUpdated", text);
        // Set anew even with the same reason: its update time is what the deadline counts from.
        let since =
            current.filter(|c| c.status.as_deref() == Some("True")).and_then(|c| c.last_transition_time);
        remove(status, PROGRESSING);
        set_condition(status, next, now);
        if let (Some(since), Some(c)) = (since, status.conditions.iter_mut().flatten().last()) {
            c.last_transition_time = Some(since);
        }
    } else if has_timed_out(deployment, status, now) {
        let text = format!("{about} has timed out progressing.");
        set_condition(status, condition(PROGRESSING, "False", TIMED_OUT, text), now);
    }
}

/// Every wanted pod is of the current template and available, and no other is left.
pub fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let wanted = deployment.replicas();
    let all = |count: Option<i32>| count.unwrap_or(0) == wanted;
    all(status.updated_replicas)
        && all(status.replicas)
        && all(status.available_replicas)
        && status.observed_generation >= deployment.metadata.generation
}

/// More updated, fewer old, more ready or more available pods than before.
fn is_moving(deployment: &Deployment, new: &DeploymentStatus) -> bool {
    let old = deployment.status.clone().unwrap_or_default();
    let n = |count: Option<i32>| count.unwrap_or(0);
    let outdated = |s: &DeploymentStatus| n(s.replicas) - n(s.updated_replicas);
    n(new.updated_replicas) > n(old.updated_replicas)
        || outdated(new) < outdated(&old)
        || n(new.ready_replicas) > n(old.ready_replicas)
        || n(new.available_replicas) > n(old.available_replicas)
}

fn has_timed_out(deployment: &Deployment, status: &DeploymentStatus, now: Timestamp) -> bool {
    let Some(current) = progressing(status) else { return false };
    match current.reason.as_deref() {
        Some(NEW_SET_AVAILABLE) => false,
        Some(TIMED_OUT) => true,
        _ => due(deployment, current).is_some_and(|due| due < now),
    }
}

fn due(deployment: &Deployment, current: &DeploymentCondition) -> Option<Timestamp> {
    let seconds = deployment.spec.progress_deadline_seconds?;
    let updated = current.last_update_time.as_ref()?.0;
    updated.checked_add(SignedDuration::from_secs(seconds.into())).ok()
}

/// How long until the deadline passes, for a rollout that runs.
pub fn deadline(deployment: &Deployment, status: &DeploymentStatus, now: Timestamp) -> Option<Duration> {
    let current = progressing(status).filter(|_| has_deadline(deployment))?;
    if is_complete(deployment, status) || current.reason.as_deref() == Some(TIMED_OUT) {
        return None;
    }
    let left = due(deployment, current)?.duration_since(now);
    // A second more, since the times have no fractions.
    Some(Duration::try_from(left).unwrap_or_default() + Duration::from_secs(1))
}

fn counted(deployment: &Deployment, family: &Family<'_>, now: Timestamp) -> DeploymentStatus {
    let old = deployment.status.clone().unwrap_or_default();
    let of = |set: &ReplicaSet| set.status.clone().unwrap_or_default();
    let sets = family.as_observed();
    let sum = |count: &dyn Fn(&ReplicaSet) -> i32| sets.iter().map(count).sum::<i32>();
    let available = sum(&|set| of(set).available_replicas.unwrap_or(0));
    let wanted_in_all = sum(&scale::spec);
    // Absent and zero are the same in the API; absent is what is stored.
    let some = |count: i32| (count != 0).then_some(count);
    let terminating: Option<i32> = sets.iter().map(|set| of(set).terminating_replicas).sum();
    let mut status = DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: some(sum(&|set| of(set).replicas)),
        updated_replicas: some(family.new_as_observed().map_or(0, |new| of(new).replicas)),
        ready_replicas: some(sum(&|set| of(set).ready_replicas.unwrap_or(0))),
        available_replicas: some(available),
        unavailable_replicas: some((wanted_in_all - available).max(0)),
        terminating_replicas: terminating,
        collision_count: old.collision_count,
        conditions: old.conditions,
    };
    let (_, max_unavailable) = deployment.surge_and_unavailable();
    let availability = match available >= deployment.replicas() - max_unavailable {
        true => {
            let text = "Deployment has minimum availability.";
            condition(AVAILABLE, "True", "MinimumReplicasAvailable", text)
        }
        false => {
            let text = "Deployment does not have minimum availability.";
            condition(AVAILABLE, "False", "MinimumReplicasUnavailable", text)
        }
    };
    set_condition(&mut status, availability, now);
    status
}

/// A paused rollout has no deadline to miss.
fn mark_pause(deployment: &Deployment, status: &mut DeploymentStatus, now: Timestamp) {
    const PAUSED: &str = "DeploymentPaused";
    let reason = progressing(status).and_then(|c| c.reason.clone()).unwrap_or_default();
    if !has_deadline(deployment) || reason == TIMED_OUT {
        return;
    }
    let next = match (deployment.spec.paused == Some(true), reason == PAUSED) {
        (true, false) => condition(PROGRESSING, "Unknown", PAUSED, "Deployment is paused"),
        (false, true) => condition(PROGRESSING, "Unknown", "DeploymentResumed", "Deployment is resumed"),
        _ => return,
    };
    set_condition(status, next, now);
}

/// The new set's failure, or else any.
fn replica_failure(family: &Family<'_>) -> Option<DeploymentCondition> {
    let of = |set: &ReplicaSet| {
        let conditions = set.status.as_ref()?.conditions.as_ref()?;
        conditions.iter().find(|c| c.type_.as_deref() == Some(REPLICA_FAILURE)).cloned()
    };
    let failure: ReplicaSetCondition =
        family.new_as_observed().and_then(of).or_else(|| family.as_observed().iter().find_map(of))?;
    Some(condition(
        REPLICA_FAILURE,
        failure.status.as_deref().unwrap_or_default(),
        failure.reason.as_deref().unwrap_or_default(),
        failure.message.unwrap_or_default(),
    ))
}

/// The current template's set could not be made.
pub fn creation_failed(
    deployment: &Deployment,
    status: &mut DeploymentStatus,
    name: &str,
    error: &Status,
    now: Timestamp,
) {
    not_created_yet(deployment, status);
    if has_deadline(deployment) {
        let text = format!("Failed to create new replica set {name:?}: {error}");
        set_condition(status, condition(PROGRESSING, "False", "ReplicaSetCreateError", text), now);
    }
}

/// Takes back what was to be said about the new set.
pub fn not_created_yet(deployment: &Deployment, status: &mut DeploymentStatus) {
    remove(status, PROGRESSING);
    if let Some(old) = deployment.condition(PROGRESSING) {
        status.conditions.get_or_insert_default().push(old.clone());
    }
}

fn has_deadline(deployment: &Deployment) -> bool {
    deployment.spec.progress_deadline_seconds.is_some_and(|seconds| seconds != i32::MAX)
}

fn progressing(status: &DeploymentStatus) -> Option<&DeploymentCondition> {
    status.conditions.iter().flatten().find(|c| c.type_.as_deref() == Some(PROGRESSING))
}

fn remove(status: &mut DeploymentStatus, kind: &str) {
    let conditions = status.conditions.take().unwrap_or_default();
    let kept: Vec<_> = conditions.into_iter().filter(|c| c.type_.as_deref() != Some(kind)).collect();
    status.conditions = (!kept.is_empty()).then_some(kept);
}

fn condition(kind: &str, status: &str, reason: &str, message: impl Into<String>) -> DeploymentCondition {
    DeploymentCondition {
        type_: Some(kind.into()),
        status: Some(status.into()),
        reason: Some(reason.into()),
        message: Some(message.into()),
        last_transition_time: None,
        last_update_time: None,
    }
}

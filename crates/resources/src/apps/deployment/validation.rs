//! Rules for deployments.

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStrategy};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Round, scaled};
use crate::apps::replica_set::{selector_errors, selector_fixed};
use crate::check::{AnyShown, at_most_all, int_or_percent, non_negative};
use crate::core::replication_controller::template_errors;
use crate::strategy::Part;

/// A new deployment.
pub fn create(deployment: &Deployment) -> ErrorList {
    let path = Path::new("spec");
    let spec = &deployment.spec;
    let mut errs = ErrorList::new();
    errs.extend(non_negative(&path.child("replicas"), spec.replicas.unwrap_or(0)));
    let (selector, bad) = selector_errors(&spec.selector, &path.child("selector"));
    errs.extend(bad);
    if let Some(selector) = selector {
        errs.extend(template_errors(Some(&spec.template), &selector, "ReplicaSet", &path.child("template")));
    }
    errs.extend(strategy_errors(spec.strategy.as_ref(), &path.child("strategy")));
    let min_ready = spec.min_ready_seconds.unwrap_or(0);
    errs.extend(non_negative(&path.child("minReadySeconds"), min_ready));
    if let Some(limit) = spec.revision_history_limit {
        errs.extend(non_negative(&path.child("revisionHistoryLimit"), limit));
    }
    if let Some(deadline) = spec.progress_deadline_seconds {
        let path = path.child("progressDeadlineSeconds");
        errs.extend(non_negative(&path, deadline));
        if deadline <= min_ready {
            errs.push(Error::invalid(&path, deadline, "must be greater than minReadySeconds"));
        }
    }
    errs
}

/// A changed deployment.
pub fn update(new: &Deployment, old: &Deployment, part: Part) -> ErrorList {
    if part == Part::Status {
        return status_errors(new, old);
    }
    let mut errs = create(new);
    errs.extend(selector_fixed(&new.spec.selector, &old.spec.selector));
    errs
}

fn strategy_errors(strategy: Option<&DeploymentStrategy>, path: &Path) -> ErrorList {
    let none = DeploymentStrategy::default();
    let strategy = strategy.unwrap_or(&none);
    let mut errs = ErrorList::new();
    match strategy.type_.as_deref().unwrap_or_default() {
        "Recreate" if strategy.rolling_update.is_some() => errs.push(Error::forbidden(
            &path.child("rollingUpdate"),
            "may not be specified when strategy `type` is 'Recreate'",
        )),
        "Recreate" => {}
        "RollingUpdate" => match &strategy.rolling_update {
            None => errs.push(Error::required(
                &path.child("rollingUpdate"),
                "this should be defaulted and never be nil",
            )),
            Some(rolling) => {
                let zero = IntOrString::Int(0);
                let unavailable = rolling.max_unavailable.as_ref().unwrap_or(&zero);
                let surge = rolling.max_surge.as_ref().unwrap_or(&zero);
                errs.extend(rolling_errors(unavailable, surge, &path.child("rollingUpdate")));
            }
        },
        other => errs.push(Error::not_supported(path, other, &["Recreate", "RollingUpdate"])),
    }
    errs
}

fn rolling_errors(unavailable: &IntOrString, surge: &IntOrString, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    errs.extend(int_or_percent(unavailable, &path.child("maxUnavailable")));
    errs.extend(int_or_percent(surge, &path.child("maxSurge")));
    if scaled(unavailable, 100, Round::Down) == 0 && scaled(surge, 100, Round::Down) == 0 {
        errs.push(Error::invalid(
            &path.child("maxUnavailable"),
            AnyShown(unavailable),
            "may not be 0 when `maxSurge` is 0",
        ));
    }
    errs.extend(at_most_all(unavailable, &path.child("maxUnavailable")));
    errs
}

fn status_errors(new: &Deployment, old: &Deployment) -> ErrorList {
    let path = Path::new("status");
    let status = new.status.clone().unwrap_or_default();
    let count = |value: Option<i32>| value.unwrap_or(0);
    let mut errs = ErrorList::new();
    if let Some(generation) = status.observed_generation.filter(|g| *g < 0) {
        errs.push(Error::invalid(
            &path.child("observedGeneration"),
            generation,
            "must be greater than or equal to 0",
        ));
    }
    for (field, value) in [
        ("replicas", status.replicas),
        ("updatedReplicas", status.updated_replicas),
        ("readyReplicas", status.ready_replicas),
        ("availableReplicas", status.available_replicas),
        ("unavailableReplicas", status.unavailable_replicas),
        ("terminatingReplicas", status.terminating_replicas),
        ("collisionCount", status.collision_count),
    ] {
        errs.extend(non_negative(&path.child(field), count(value)));
    }
    for (field, value) in [
        ("updatedReplicas", status.updated_replicas),
        ("readyReplicas", status.ready_replicas),
        ("availableReplicas", status.available_replicas),
    ] {
        if count(value) > count(status.replicas) {
            let detail = "cannot be greater than status.replicas";
            errs.push(Error::invalid(&path.child(field), count(value), detail));
        }
    }
    if count(status.available_replicas) > count(status.ready_replicas) {
        errs.push(Error::invalid(
            &path.child("availableReplicas"),
            count(status.available_replicas),
            "cannot be greater than readyReplicas",
        ));
    }
    let before = old.status.as_ref().and_then(|s| s.collision_count);
    if count(status.collision_count) < count(before) {
        errs.push(Error::invalid(
            &path.child("collisionCount"),
            count(status.collision_count),
            "cannot be decremented",
        ));
    }
    errs
}

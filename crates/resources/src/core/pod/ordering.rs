//! Which pods a controller gives up first.

use std::cmp::Ordering;
use std::cmp::Ordering::{Equal, Greater, Less};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::ContainerExt;
use super::PodExt;
use super::methods::DELETION_COST_ANNOTATION;
use crate::owner::ObjectMetaExt;
use codec::Kind;

/// A pod and how many pods of the same owner run on its node.
#[derive(Clone, Copy)]
pub struct Ranked<'a> {
    pub pod: &'a Pod,
    pub rank: usize,
}

/// Orders pods so that those to delete first come first, by upstream's rules: unassigned, pending, not ready, cheap,
/// crowded, young, restarting. Ages count by their order of magnitude only, so that the choice is spread.
pub fn deletion_order(a: Ranked<'_>, b: Ranked<'_>, now: Timestamp) -> Ordering {
    let (p, q) = (a.pod, b.pod);
    let assigned = |pod: &Pod| pod.node_name().is_some();
    assigned(p)
        .cmp(&assigned(q))
        .then_with(|| phase_rank(p).cmp(&phase_rank(q)))
        .then_with(|| p.is_ready().cmp(&q.is_ready()))
        .then_with(|| deletion_cost(p).cmp(&deletion_cost(q)))
        .then_with(|| b.rank.cmp(&a.rank))
        .then_with(|| if p.is_ready() { younger_first(ready_since(p), ready_since(q), now) } else { Equal })
        .then_with(|| max_restarts(q, false).cmp(&max_restarts(p, false)))
        .then_with(|| max_restarts(q, true).cmp(&max_restarts(p, true)))
        .then_with(|| younger_first(created(p), created(q), now))
        .then_with(|| p.uid().cmp(q.uid()))
}

fn phase_rank(pod: &Pod) -> u8 {
    match pod.phase() {
        "Pending" => 0,
        "Unknown" => 1,
        _ => 2,
    }
}

/// 0 without the annotation, or with one that is no number.
fn deletion_cost(pod: &Pod) -> i32 {
    pod.metadata.annotation(DELETION_COST_ANNOTATION).and_then(|cost| cost.parse().ok()).unwrap_or(0)
}

fn ready_since(pod: &Pod) -> Option<Timestamp> {
    pod.condition("Ready").filter(|c| c.status == "True")?.last_transition_time.as_ref().map(|t| t.0)
}

fn created(pod: &Pod) -> Option<Timestamp> {
    pod.metadata.creation_timestamp.as_ref().map(|t| t.0)
}

fn younger_first(a: Option<Timestamp>, b: Option<Timestamp>, now: Timestamp) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) if a != b => magnitude(now, a).cmp(&magnitude(now, b)),
        (Some(_), Some(_)) | (None, None) => Equal,
        (None, Some(_)) => Less,
        (Some(_), None) => Greater,
    }
}

/// The binary logarithm of an age.
fn magnitude(now: Timestamp, then: Timestamp) -> i32 {
    match now.duration_since(then).as_nanos() {
        ..=0 => -1,
        age => age.ilog2() as i32,
    }
}

fn max_restarts(pod: &Pod, sidecars: bool) -> i32 {
    let spec = pod.pod_spec();
    let status = pod.pod_status();
    let sidecar =
        |name: &str| spec.init_containers.iter().flatten().any(|c| c.name == name && c.is_restartable_init());
    let statuses = match sidecars {
        true => &status.init_container_statuses,
        false => &status.container_statuses,
    };
    let counted = statuses.iter().flatten().filter(|s| !sidecars || sidecar(&s.name));
    counted.map(|s| s.restart_count).max().unwrap_or(0)
}

#[cfg(test)]
mod tests;

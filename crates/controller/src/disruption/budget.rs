//! How many disruptions a budget allows now. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use codec::Kind;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use resources::apps::deployment::{Round, scaled};
use resources::core::pod::PodExt;
use resources::owner::ObjectMetaExt;
use resources::policy::pod_disruption_budget::set_allowed;

/// A pod that was to be evicted and is not being deleted after this long counts again.
pub const DELETION_TIMEOUT: Duration = Duration::from_secs(2 * 60);

/// What became of judging a budget.
#[derive(Debug)]
pub struct Outcome {
    pub status: PodDisruptionBudgetStatus,
    /// Pods that should have been deleted by now.
    pub overdue: Vec<String>,
    /// When the next pod becomes so.
    pub recheck: Option<Duration>,
}

/// The budget is a share of what the pods' controllers want, not of the pods that are there.
pub fn needs_scales(budget: &PodDisruptionBudget) -> bool {
    let Some(spec) = &budget.spec else { return false };
    spec.max_unavailable.is_some() || matches!(spec.min_available, Some(IntOrString::String(_)))
}

/// `expected`: the pods there are, or the sum of what their controllers want where [`needs_scales`].
pub fn judge(budget: &PodDisruptionBudget, pods: &[Pod], expected: i32, now: Timestamp) -> Outcome {
    let (expected, desired) = desired(budget, expected);
    let disrupted = disrupted(budget, pods, now);
    let healthy = |pod: &&Pod| {
        !pod.metadata.is_deleting() && !disrupted.waiting.contains_key(pod.name()) && pod.is_ready()
    };
    let healthy = pods.iter().filter(healthy).count() as i32;
    // A budget that matches nothing yet allows nothing: its first pods may be there before this controller knows.
    let allowed = if expected > 0 { (healthy - desired).max(0) } else { 0 };
    let old = budget.status.clone().unwrap_or_default();
    let mut status = PodDisruptionBudgetStatus {
        observed_generation: budget.metadata.generation,
        disruptions_allowed: Some(allowed),
        current_healthy: Some(healthy),
        desired_healthy: Some(desired),
        expected_pods: Some(expected),
        disrupted_pods: (!disrupted.waiting.is_empty()).then_some(disrupted.waiting),
        conditions: old.conditions,
    };
    set_allowed(&mut status, now);
    Outcome { status, overdue: disrupted.overdue, recheck: disrupted.recheck }
}

/// How many pods are expected, and how many of them must be healthy.
fn desired(budget: &PodDisruptionBudget, expected: i32) -> (i32, i32) {
    let spec = budget.spec.clone().unwrap_or_default();
    match (&spec.max_unavailable, &spec.min_available) {
        (Some(unavailable), _) => (expected, (expected - scaled(unavailable, expected, Round::Up)).max(0)),
        (None, Some(available)) => (expected, scaled(available, expected, Round::Up)),
        (None, None) => (0, 0),
    }
}

struct Disrupted {
    waiting: BTreeMap<String, Time>,
    overdue: Vec<String>,
    recheck: Option<Duration>,
}

/// Evicted pods whose deletion has not been seen yet.
fn disrupted(budget: &PodDisruptionBudget, pods: &[Pod], now: Timestamp) -> Disrupted {
    let mut found = Disrupted { waiting: BTreeMap::new(), overdue: Vec::new(), recheck: None };
    let noted = budget.status.as_ref().and_then(|s| s.disrupted_pods.as_ref());
    for (name, since) in noted.into_iter().flatten() {
        let there = pods.iter().any(|pod| pod.name() == name && !pod.metadata.is_deleting());
        if !there {
            continue;
        }
        let timeout = SignedDuration::try_from(DELETION_TIMEOUT).unwrap_or_default();
        match Duration::try_from(timeout - now.duration_since(since.0)) {
            Ok(left) => {
                found.waiting.insert(name.clone(), since.clone());
                found.recheck = Some(found.recheck.map_or(left, |r| r.min(left)));
            }
            Err(_) => found.overdue.push(name.clone()),
        }
    }
    // A moment later than due: at the very moment it still counts.
    found.recheck = found.recheck.map(|left| left + Duration::from_secs(1));
    found
}

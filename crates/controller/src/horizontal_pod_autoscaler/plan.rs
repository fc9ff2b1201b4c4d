//! The decision: pure, from what was seen and remembered.

use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscaler, MetricStatus};
use k8s_openapi::api::core::v1::Pod;
use resources::autoscaling::horizontal_pod_autoscaler::HorizontalPodAutoscalerExt;

use super::memory::{Frame, Memory};
use super::proposal::{Reading, Scene};
use super::status::{ABLE, ACTIVE, Draft, LIMITED};

/// How many pods are wanted, and how many there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub wanted: i32,
    pub present: i32,
}

/// What is known of the target.
pub(super) struct Seen<'a> {
    pub size: Size,
    /// Those its scale selects.
    pub pods: &'a [Pod],
    /// One for each metric of the spec.
    pub readings: &'a [Reading],
}

/// What to do.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Decision {
    /// The new size, if there is to be one.
    pub scale_to: Option<i32>,
    /// Why, for the event.
    pub reason: String,
    pub statuses: Vec<MetricStatus>,
    /// Some metrics failed; the others were enough.
    pub partly: Option<String>,
}

/// What is to be done whatever is measured.
pub(super) enum Bound {
    /// Somebody has turned it off by scaling to zero.
    Disabled,
    To(i32, &'static str),
}

/// `None`: the metrics decide.
pub(super) fn bounds(scaler: &HorizontalPodAutoscaler, wanted: i32) -> Option<Bound> {
    let (min, max) = (scaler.min_replicas(), scaler.spec.max_replicas);
    if wanted == 0 && min != 0 {
        return Some(Bound::Disabled);
    }
    if wanted > max {
        return Some(Bound::To(max, "Current number of replicas above Spec.MaxReplicas"));
    }
    (wanted < min).then_some(Bound::To(min, "Current number of replicas below Spec.MinReplicas"))
}

/// The decision of a bound.
pub(super) fn without_metrics(bound: Bound, draft: &mut Draft) -> Result<Decision, String> {
    Ok(match bound {
        Bound::Disabled => {
            let text = "scaling is disabled since the replica count of the target is zero";
            draft.condition(ACTIVE, false, "ScalingDisabled", text);
            Decision::default()
        }
        Bound::To(to, reason) => {
            Decision { scale_to: Some(to), reason: reason.into(), ..Decision::default() }
        }
    })
}

/// The largest of what the metrics ask for, held against what was asked lately and within the bounds. The error is
/// upstream's text: nothing can be decided.
pub(super) fn decide(
    scaler: &HorizontalPodAutoscaler,
    seen: &Seen<'_>,
    memory: &mut Memory,
    draft: &mut Draft,
) -> Result<Decision, String> {
    let current = seen.size.wanted;
    let Asked { replicas, metric, statuses, partly } = asked(scaler, seen, draft)?;
    let mut reason = String::new();
    if replicas > current {
        reason = format!("{metric} above target");
    }
    if replicas < current {
        reason = "All metrics below target".into();
    }
    let behavior = scaler.spec.behavior.as_ref();
    let held = memory.stabilized(replicas, current, behavior, draft.now);
    draft.condition(ABLE, true, held.reason, held.message);
    let frame = Frame { min: scaler.min_replicas(), max: scaler.spec.max_replicas, current };
    let limited = memory.limited(held.replicas, frame, behavior, draft.now);
    draft.condition(LIMITED, limited.changed, limited.reason, limited.message);
    let scale_to = (limited.replicas != current).then_some(limited.replicas);
    Ok(Decision { scale_to, reason, statuses, partly })
}

struct Asked {
    replicas: i32,
    metric: String,
    statuses: Vec<MetricStatus>,
    partly: Option<String>,
}

fn asked(scaler: &HorizontalPodAutoscaler, seen: &Seen<'_>, draft: &mut Draft) -> Result<Asked, String> {
    let scene = Scene::new(scaler, seen.size, seen.pods, draft.now);
    let metrics = scaler.spec.metrics.as_deref().unwrap_or_default();
    let mut asked = Asked { replicas: 0, metric: String::new(), statuses: Vec::new(), partly: None };
    let mut failures = Vec::new();
    for (spec, reading) in metrics.iter().zip(seen.readings) {
        match scene.propose(spec, reading) {
            Ok(proposal) => {
                if asked.replicas == 0 || proposal.replicas > asked.replicas {
                    asked.replicas = proposal.replicas;
                    asked.metric = proposal.metric;
                }
                asked.statuses.push(proposal.status);
            }
            Err(failure) => {
                draft.warn(failure.reason, &*failure.cause);
                failures.push(failure);
                asked.statuses.push(MetricStatus::default());
            }
        }
    }
    let total = metrics.len();
    asked.partly = failures.first().map(|first| {
        let count = failures.len();
        format!("invalid metrics ({count} invalid out of {total}), first error is: {}", first.error)
    });
    // Metrics that are missing might ask for more: without them nothing shrinks.
    if failures.len() >= total || !failures.is_empty() && asked.replicas < seen.size.wanted {
        if let Some(first) = failures.first() {
            let text = format!("the HPA was unable to compute the replica count: {}", first.cause);
            draft.condition(ACTIVE, false, first.reason, text);
        }
        draft.status.current_metrics = (!asked.statuses.is_empty()).then_some(asked.statuses);
        return Err(draft.failed(asked.partly.unwrap_or_default()));
    }
    let text = format!("the HPA was able to successfully calculate a replica count from {}", asked.metric);
    draft.condition(ACTIVE, true, "ValidMetricFound", text);
    Ok(asked)
}

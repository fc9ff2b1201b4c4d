//! What an absent field of a Job means.

use k8s_openapi::api::batch::v1::{Job, JobSpec};

use crate::core::pod;
use crate::fill;

pub(super) fn job(job: &mut Job) {
    let Some(spec) = &mut job.spec else { return };
    // One that works through a queue names parallelism alone, and ends when one of its pods finds the queue empty.
    if spec.completions.is_none() && spec.parallelism.is_none() {
        spec.completions = Some(1);
    }
    spec.parallelism.get_or_insert(1);
    // With a limit for each index, all together may fail as often as they want.
    let limit = if spec.backoff_limit_per_index.is_some() { i32::MAX } else { 6 };
    spec.backoff_limit.get_or_insert(limit);
    fill::text(&mut spec.completion_mode, "NonIndexed");
    spec.suspend.get_or_insert(false);
    spec.manual_selector.get_or_insert(false);
    let replacement = if spec.pod_failure_policy.is_some() { "Failed" } else { "TerminatingOrFailed" };
    spec.pod_replacement_policy.get_or_insert_with(|| replacement.into());
    template(spec);
    // A new Job's labels follow when its template has all of them.
    if job.spec.as_ref().is_some_and(|s| s.selector.is_some()) {
        labels(job);
    }
}

/// The part that holds for Jobs-to-be as well.
pub(crate) fn template(spec: &mut JobSpec) {
    pod::defaults::template(&mut spec.template);
    let rules = spec.pod_failure_policy.iter_mut().flat_map(|p| &mut p.rules);
    for pattern in rules.flat_map(|r| r.on_pod_conditions.iter_mut().flatten()) {
        fill::text(&mut pattern.status, "True");
    }
}

/// A Job without labels has those of its template.
pub(super) fn labels(job: &mut Job) {
    let Some(spec) = &job.spec else { return };
    let labels = spec.template.metadata.as_ref().and_then(|m| m.labels.as_ref()).filter(|l| !l.is_empty());
    if job.metadata.labels.as_ref().is_none_or(|l| l.is_empty())
        && let Some(labels) = labels
    {
        job.metadata.labels = Some(labels.clone());
    }
}

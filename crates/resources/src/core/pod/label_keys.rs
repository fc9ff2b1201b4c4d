//! `matchLabelKeys` and `mismatchLabelKeys`: at creation they become requirements of the selectors beside them, with
//! the values that the pod's own labels have, so that the scheduler has to look at selectors only.

use k8s_openapi::api::core::v1::{Affinity, Pod, PodAffinityTerm, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement, ObjectMeta};

use crate::owner::ObjectMetaExt;

#[cfg(test)]
mod tests;

/// Adds the requirements that the keys stand for.
pub(super) fn resolve(pod: &mut Pod) {
    let Pod { metadata, spec: Some(spec), .. } = pod else { return };
    if let Some(affinity) = &mut spec.affinity {
        terms(affinity).for_each(|term| term_keys(term, metadata));
    }
    spread(spec, metadata);
}

fn terms(affinity: &mut Affinity) -> impl Iterator<Item = &mut PodAffinityTerm> {
    let to = affinity.pod_affinity.as_mut().map(|a| {
        (
            &mut a.required_during_scheduling_ignored_during_execution,
            &mut a.preferred_during_scheduling_ignored_during_execution,
        )
    });
    let from = affinity.pod_anti_affinity.as_mut().map(|a| {
        (
            &mut a.required_during_scheduling_ignored_during_execution,
            &mut a.preferred_during_scheduling_ignored_during_execution,
        )
    });
    to.into_iter().chain(from).flat_map(|(required, preferred)| {
        let preferred = preferred.iter_mut().flatten().map(|w| &mut w.pod_affinity_term);
        required.iter_mut().flatten().chain(preferred)
    })
}

fn term_keys(term: &mut PodAffinityTerm, meta: &ObjectMeta) {
    let Some(selector) = &mut term.label_selector else { return };
    for (keys, operator) in [(&term.match_label_keys, "In"), (&term.mismatch_label_keys, "NotIn")] {
        require(selector, keys.as_deref().unwrap_or_default(), operator, meta);
    }
}

fn spread(spec: &mut PodSpec, meta: &ObjectMeta) {
    for constraint in spec.topology_spread_constraints.iter_mut().flatten() {
        if let Some(selector) = &mut constraint.label_selector {
            require(selector, constraint.match_label_keys.as_deref().unwrap_or_default(), "In", meta);
        }
    }
}

/// A key that the pod has no label for counts for nothing.
fn require(selector: &mut LabelSelector, keys: &[String], operator: &str, meta: &ObjectMeta) {
    for (key, value) in keys.iter().filter_map(|key| Some((key, meta.label(key)?))) {
        selector.match_expressions.get_or_insert_default().push(LabelSelectorRequirement {
            key: key.clone(),
            operator: operator.into(),
            values: Some(vec![value.into()]),
        });
    }
}

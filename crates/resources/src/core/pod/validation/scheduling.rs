//! Rules for where a pod may run: affinities, tolerations, gates.

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;
use k8s_openapi::api::core::v1::{
    Affinity, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PodAffinityTerm,
    PodSpec, Toleration, WeightedPodAffinityTerm,
};

use crate::check::{each, known, one};
use crate::selector;

/// `affinity`
pub(super) fn affinity(affinity: Option<&Affinity>, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let Some(affinity) = affinity else { return errs };
    if let Some(node) = &affinity.node_affinity {
        errs.extend(node_affinity(node, &path.child("nodeAffinity")));
    }
    if let Some(pod) = &affinity.pod_affinity {
        errs.extend(pod_terms(
            pod.required_during_scheduling_ignored_during_execution.as_deref(),
            pod.preferred_during_scheduling_ignored_during_execution.as_deref(),
            &path.child("podAffinity"),
        ));
    }
    if let Some(pod) = &affinity.pod_anti_affinity {
        errs.extend(pod_terms(
            pod.required_during_scheduling_ignored_during_execution.as_deref(),
            pod.preferred_during_scheduling_ignored_during_execution.as_deref(),
            &path.child("podAntiAffinity"),
        ));
    }
    errs
}

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

fn node_affinity(affinity: &NodeAffinity, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    if let Some(selector) = &affinity.required_during_scheduling_ignored_during_execution {
        errs.extend(node_selector(selector, &path.child(REQUIRED)));
    }
    let preferred = affinity.preferred_during_scheduling_ignored_during_execution.iter().flatten();
    for (i, term) in preferred.enumerate() {
        let path = path.child(PREFERRED).index(i);
        errs.extend(weight(term.weight, &path));
        // A wish that no node can meet does no harm, so its values are not looked at.
        errs.extend(node_term(&term.preference, Values::Any, &path.child("preference")));
    }
    errs
}

fn weight(weight: i32, path: &Path) -> ErrorList {
    one(!(1..=100).contains(&weight), || {
        Error::invalid(&path.child("weight"), weight, "must be in the range 1-100")
    })
}

/// Are values checked to be values of labels?
#[derive(Clone, Copy, PartialEq, Eq)]
enum Values {
    Checked,
    Any,
}

pub(crate) fn node_selector(selector: &NodeSelector, path: &Path) -> ErrorList {
    let path = path.child("nodeSelectorTerms");
    let mut errs = ErrorList::new();
    if selector.node_selector_terms.is_empty() {
        errs.push(Error::required(&path, "must have at least one node selector term"));
    }
    for (i, term) in selector.node_selector_terms.iter().enumerate() {
        errs.extend(node_term(term, Values::Checked, &path.index(i)));
    }
    errs
}

fn node_term(term: &NodeSelectorTerm, values: Values, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    for (i, requirement) in term.match_expressions.iter().flatten().enumerate() {
        errs.extend(node_labels(requirement, values, &path.child("matchExpressions").index(i)));
    }
    for (i, requirement) in term.match_fields.iter().flatten().enumerate() {
        errs.extend(node_fields(requirement, &path.child("matchFields").index(i)));
    }
    errs
}

fn node_labels(requirement: &NodeSelectorRequirement, check: Values, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let values = requirement.values.as_deref().unwrap_or_default();
    let at = path.child("values");
    match &*requirement.operator {
        "In" | "NotIn" if values.is_empty() => {
            errs.push(Error::required(&at, "must be specified when `operator` is 'In' or 'NotIn'"));
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => errs.push(Error::forbidden(
            &at,
            "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        )),
        "Gt" | "Lt" if values.len() != 1 => {
            errs.push(Error::required(&at, "must be specified single value when `operator` is 'Lt' or 'Gt'"));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        other => {
            errs.push(Error::invalid(&path.child("operator"), other, "not a valid selector operator"));
        }
    }
    errs.extend(names::label_key(&requirement.key, &path.child("key")));
    if check == Values::Checked {
        for (i, value) in values.iter().enumerate() {
            errs.extend(each(&at.index(i), value, names::label_value(value)));
        }
    }
    errs
}

/// The only field of a node that can be selected is its name.
fn node_fields(requirement: &NodeSelectorRequirement, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let values = requirement.values.as_deref().unwrap_or_default();
    match &*requirement.operator {
        "In" | "NotIn" if values.len() != 1 => errs.push(Error::required(
            &path.child("values"),
            "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
        )),
        "In" | "NotIn" => {}
        other => {
            errs.push(Error::invalid(&path.child("operator"), other, "not a valid selector operator"));
        }
    }
    if requirement.key != "metadata.name" {
        let detail = "not a valid field selector key";
        errs.push(Error::invalid(&path.child("key"), &requirement.key, detail));
        return errs;
    }
    for (i, value) in values.iter().enumerate() {
        errs.extend(each(&path.child("values").index(i), value, names::dns1123_subdomain(value)));
    }
    errs
}

fn pod_terms(
    required: Option<&[PodAffinityTerm]>,
    preferred: Option<&[WeightedPodAffinityTerm]>,
    path: &Path,
) -> ErrorList {
    let mut errs = ErrorList::new();
    for (i, term) in required.unwrap_or_default().iter().enumerate() {
        errs.extend(pod_term(term, &path.child(REQUIRED).index(i)));
    }
    for (i, term) in preferred.unwrap_or_default().iter().enumerate() {
        let path = path.child(PREFERRED).index(i);
        errs.extend(weight(term.weight, &path));
        errs.extend(pod_term(&term.pod_affinity_term, &path.child("podAffinityTerm")));
    }
    errs
}

fn pod_term(term: &PodAffinityTerm, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    for (selector, field) in
        [(&term.label_selector, "labelSelector"), (&term.namespace_selector, "namespaceSelector")]
    {
        if let Some(selector) = selector {
            errs.extend(selector::validate(selector, &path.child(field)));
        }
    }
    for name in term.namespaces.iter().flatten() {
        errs.extend(each(&path.child("namespace"), name, names::dns1123_label(name)));
    }
    errs.extend(label_keys(term, path));
    if term.topology_key.is_empty() {
        errs.push(Error::required(&path.child("topologyKey"), "can not be empty"));
    }
    errs.extend(names::label_key(&term.topology_key, &path.child("topologyKey")));
    errs
}

/// `matchLabelKeys` and `mismatchLabelKeys` refine the selector.
fn label_keys(term: &PodAffinityTerm, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let matching = term.match_label_keys.as_deref().unwrap_or_default();
    let differing = term.mismatch_label_keys.as_deref().unwrap_or_default();
    for (keys, field) in [(matching, "matchLabelKeys"), (differing, "mismatchLabelKeys")] {
        let path = path.child(field);
        if !keys.is_empty() && term.label_selector.is_none() {
            errs.push(Error::forbidden(&path, "must not be specified when labelSelector is not set"));
            continue;
        }
        for (i, key) in keys.iter().enumerate() {
            errs.extend(names::label_key(key, &path.index(i)));
        }
    }
    for (i, key) in matching.iter().enumerate().filter(|(_, key)| differing.contains(key)) {
        let detail = "exists in both matchLabelKeys and mismatchLabelKeys";
        errs.push(Error::invalid(&path.child("matchLabelKeys").index(i), key, detail));
    }
    errs
}

/// `readinessGates` and `schedulingGates`
pub(super) fn gates(spec: &PodSpec, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    for (i, gate) in spec.readiness_gates.iter().flatten().enumerate() {
        let path = path.child("readinessGates").index(i).child("conditionType");
        errs.extend(each(&path, &gate.condition_type, names::qualified_name(&gate.condition_type)));
    }
    let mut seen = BTreeSet::new();
    for (i, gate) in spec.scheduling_gates.iter().flatten().enumerate() {
        let path = path.child("schedulingGates").index(i);
        errs.extend(each(&path, &gate.name, names::qualified_name(&gate.name)));
        if !seen.insert(&gate.name) {
            errs.push(Error::duplicate(&path, &gate.name));
        }
    }
    errs
}

/// `tolerations`
pub(crate) fn tolerations(tolerations: &[Toleration], path: &Path) -> ErrorList {
    const EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];
    let mut errs = ErrorList::new();
    for (i, toleration) in tolerations.iter().enumerate() {
        let path = path.index(i);
        let text = |field: &'_ Option<String>| field.clone().unwrap_or_default();
        let (key, operator) = (text(&toleration.key), text(&toleration.operator));
        let effect = text(&toleration.effect);
        if !key.is_empty() {
            errs.extend(names::label_key(&key, &path.child("key")));
        } else if operator != "Exists" {
            let detail =
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            errs.push(Error::invalid(&path.child("operator"), &operator, detail));
        }
        if toleration.toleration_seconds.is_some() && effect != "NoExecute" {
            let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            errs.push(Error::invalid(&path.child("effect"), &effect, detail));
        }
        errs.extend(toleration_value(&operator, &text(&toleration.value), &path.child("operator")));
        if !effect.is_empty() {
            errs.extend(known(&path.child("effect"), &effect, EFFECTS));
        }
    }
    errs
}

fn toleration_value(operator: &str, value: &str, path: &Path) -> ErrorList {
    let detail = match operator {
        "" | "Equal" => names::label_value(value).join(";"),
        "Exists" if !value.is_empty() => "value must be empty when `operator` is 'Exists'".into(),
        "Exists" => return ErrorList::new(),
        other => return known(path, other, &["Equal", "Exists"]),
    };
    one(!detail.is_empty(), || Error::invalid(path, value, detail))
}

//! Rules for changing a pod: almost nothing of it can be changed.

use apimachinery::field::{Error, ErrorList, Path, Raw};
use k8s_openapi::api::core::v1::{
    Affinity, Container, NodeAffinity, NodeSelectorTerm, Pod, PodSchedulingGate, PodSpec, Toleration,
};
use serde_json::json;

use super::{annotations, scheduling, whole};
use crate::core::pod::PodExt;
use crate::desired;

const CHANGEABLE: &str = "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,\
    `spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be \
    set to 1 if it was previously negative)";

/// Compares a pod with what is stored.
pub fn update(new: &Pod, old: &Pod) -> ErrorList {
    let path = Path::new("spec");
    let mut errs = whole(new);
    errs.extend(annotations::changes(new, old));
    let (after, before) = (new.pod_spec(), old.pod_spec());
    let none = Vec::new();
    let lists = [
        (&after.containers, &before.containers, "containers"),
        (
            after.init_containers.as_ref().unwrap_or(&none),
            before.init_containers.as_ref().unwrap_or(&none),
            "initContainers",
        ),
    ];
    for (after, before, field) in lists {
        if after.len() != before.len() {
            errs.push(Error::forbidden(&path.child(field), "pod updates may not add or remove containers"));
            return errs;
        }
    }
    match deadline(after, before, &path.child("activeDeadlineSeconds")) {
        Deadline::Fine => {}
        Deadline::Wrong(error) => errs.push(error),
        Deadline::Hopeless(error) => {
            errs.push(error);
            return errs;
        }
    }
    errs.extend(only_added_tolerations(
        after.tolerations.as_deref().unwrap_or_default(),
        before.tolerations.as_deref().unwrap_or_default(),
        &path.child("tolerations"),
    ));
    errs.extend(only_removed_gates(
        after.scheduling_gates.as_deref().unwrap_or_default(),
        before.scheduling_gates.as_deref().unwrap_or_default(),
        &path.child("schedulingGates"),
    ));
    errs.extend(nothing_else(new, old, &path));
    errs
}

enum Deadline {
    Fine,
    Wrong(Error),
    /// Nothing more need be said.
    Hopeless(Error),
}

/// A deadline can be set and shortened.
fn deadline(new: &PodSpec, old: &PodSpec, path: &Path) -> Deadline {
    let max = i64::from(i32::MAX);
    match (new.active_deadline_seconds, old.active_deadline_seconds) {
        (Some(new), _) if !(0..=max).contains(&new) => {
            let detail = format!("must be between 0 and {max}, inclusive");
            Deadline::Hopeless(Error::invalid(path, new, detail))
        }
        (Some(new), Some(old)) if old < new => {
            Deadline::Hopeless(Error::invalid(path, new, "must be less than or equal to previous value"))
        }
        (None, Some(_)) => {
            let detail = "must not update from a positive integer to nil value";
            Deadline::Wrong(Error::invalid(path, "null", detail))
        }
        _ => Deadline::Fine,
    }
}

fn only_added_tolerations(new: &[Toleration], old: &[Toleration], path: &Path) -> ErrorList {
    // How long an eviction is put up with may change.
    let timeless = |t: &Toleration| {
        let text = |t: &Option<String>| t.clone().unwrap_or_default();
        (text(&t.key), text(&t.operator), text(&t.value), text(&t.effect))
    };
    let missing = old.iter().any(|old| !new.iter().any(|new| timeless(new) == timeless(old)));
    if missing {
        let detail = "existing toleration can not be modified except its tolerationSeconds";
        return [Error::forbidden(path, detail)].into_iter().collect();
    }
    scheduling::tolerations(new, path)
}

fn only_removed_gates(new: &[PodSchedulingGate], old: &[PodSchedulingGate], path: &Path) -> ErrorList {
    let added = new.iter().enumerate().filter(|(_, gate)| !old.contains(gate));
    added
        .map(|(i, gate)| {
            let detail = format!("only deletion is allowed, but found new scheduling gate '{}'", gate.name);
            Error::forbidden(&path.index(i).child("name"), detail)
        })
        .collect()
}

/// With all that may change put back, the specs have to be equal.
fn nothing_else(new: &Pod, old: &Pod, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let mut munged = Pod { spec: new.spec.clone(), ..Pod::default() };
    let before = old.pod_spec();
    let Some(spec) = &mut munged.spec else { return errs };
    put_back(&mut spec.containers, &before.containers);
    put_back(
        spec.init_containers.as_deref_mut().unwrap_or_default(),
        before.init_containers.as_deref().unwrap_or_default(),
    );
    spec.active_deadline_seconds = before.active_deadline_seconds;
    spec.scheduling_gates.clone_from(&before.scheduling_gates);
    spec.tolerations.clone_from(&before.tolerations);
    let was_negative = before.termination_grace_period_seconds.is_some_and(|s| s < 0);
    if was_negative && spec.termination_grace_period_seconds == Some(1) {
        spec.termination_grace_period_seconds = before.termination_grace_period_seconds;
    }
    if before.scheduling_gates.as_ref().is_some_and(|g| !g.is_empty()) {
        errs.extend(while_gated(spec, before, path));
    }
    let changes = desired::differences(&munged, &Pod { spec: old.spec.clone(), ..Pod::default() }, "spec");
    if !changes.is_empty() {
        let detail =
            format!("pod updates may not change fields other than {CHANGEABLE}\n{}", changes.join("\n"));
        errs.push(Error::forbidden(path, detail));
    }
    errs
}

fn put_back(new: &mut [Container], old: &[Container]) {
    for (new, old) in new.iter_mut().zip(old) {
        new.image.clone_from(&old.image);
    }
}

/// As long as nobody has looked for a node, the search may be narrowed.
fn while_gated(spec: &mut PodSpec, old: &PodSpec, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let none = Default::default();
    let (after, before) =
        (spec.node_selector.as_ref().unwrap_or(&none), old.node_selector.as_ref().unwrap_or(&none));
    if before.iter().any(|(key, value)| after.get(key) != Some(value)) {
        errs.push(Error::invalid(
            &path.child("nodeSelector"),
            Raw(json!(after).to_string()),
            "only additions to spec.nodeSelector are allowed (no mutations or deletions)",
        ));
    }
    spec.node_selector.clone_from(&old.node_selector);
    let node = |s: &PodSpec| s.affinity.as_ref().and_then(|a| a.node_affinity.clone());
    let (after, before) = (node(spec), node(old));
    if after != before {
        errs.extend(affinity_narrowed(
            after.as_ref(),
            before.as_ref(),
            &path.child("affinity").child("nodeAffinity"),
        ));
        spec.affinity.get_or_insert_default().node_affinity = before;
        if spec.affinity == Some(Affinity::default()) && old.affinity.is_none() {
            spec.affinity = None;
        }
    }
    errs
}

fn affinity_narrowed(new: Option<&NodeAffinity>, old: Option<&NodeAffinity>, path: &Path) -> ErrorList {
    let terms = |a: Option<&NodeAffinity>| -> Vec<NodeSelectorTerm> {
        let required = a.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref());
        required.map(|r| r.node_selector_terms.clone()).unwrap_or_default()
    };
    let (after, before) = (terms(new), terms(old));
    let path = path.child("requiredDuringSchedulingIgnoredDuringExecution").child("nodeSelectorTerms");
    let mut errs = ErrorList::new();
    if before.is_empty() {
        return errs;
    }
    if before.len() != after.len() {
        let detail = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
        errs.push(Error::invalid(&path, Raw(shown(&after)), detail));
        return errs;
    }
    for (i, (after, before)) in after.iter().zip(&before).enumerate() {
        let starts = |new: &Option<Vec<_>>, old: &Option<Vec<_>>| {
            let old = old.as_deref().unwrap_or_default();
            new.as_deref().unwrap_or_default().starts_with(old)
        };
        let empty = |t: &NodeSelectorTerm| {
            t.match_expressions.as_ref().is_none_or(|e| e.is_empty())
                && t.match_fields.as_ref().is_none_or(|f| f.is_empty())
        };
        let narrowed = starts(&after.match_expressions, &before.match_expressions)
            && starts(&after.match_fields, &before.match_fields)
            && (!empty(before) || empty(after));
        if !narrowed {
            let detail = "only additions are allowed (no mutations or deletions)";
            errs.push(Error::invalid(&path.index(i), Raw(shown(std::slice::from_ref(after))), detail));
        }
    }
    errs
}

/// Keys and operators; enough to know the term by.
fn shown(terms: &[NodeSelectorTerm]) -> String {
    let requirement = |r: &k8s_openapi::api::core::v1::NodeSelectorRequirement| json!({"key": r.key, "operator": r.operator, "values": r.values.as_deref().unwrap_or_default()});
    let term = |t: &NodeSelectorTerm| {
        let list = |l: &Option<Vec<_>>| l.iter().flatten().map(requirement).collect::<Vec<_>>();
        json!({"matchExpressions": list(&t.match_expressions), "matchFields": list(&t.match_fields)})
    };
    json!(terms.iter().map(term).collect::<Vec<_>>()).to_string()
}

//! Rules for `topologySpreadConstraints`.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;
use k8s_openapi::api::core::v1::{PodSpec, TopologySpreadConstraint};

use crate::check::{known, one};
use crate::selector;

pub(super) fn all(spec: &PodSpec, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let constraints = spec.topology_spread_constraints.as_deref().unwrap_or_default();
    for (i, constraint) in constraints.iter().enumerate() {
        errs.extend(constraint_errors(constraint, &constraints[i + 1..], &path.index(i)));
    }
    errs
}

fn constraint_errors(
    constraint: &TopologySpreadConstraint,
    rest: &[TopologySpreadConstraint],
    path: &Path,
) -> ErrorList {
    const POSITIVE: &str = "must be greater than zero";
    let mut errs = ErrorList::new();
    let (key, action) = (&constraint.topology_key, &constraint.when_unsatisfiable);
    if constraint.max_skew <= 0 {
        errs.push(Error::invalid(&path.child("maxSkew"), constraint.max_skew, POSITIVE));
    }
    errs.extend(one(key.is_empty(), || Error::required(&path.child("topologyKey"), "can not be empty")));
    errs.extend(known(&path.child("whenUnsatisfiable"), action, &["DoNotSchedule", "ScheduleAnyway"]));
    if rest.iter().any(|other| other.topology_key == *key && other.when_unsatisfiable == *action) {
        let path = path.child("{topologyKey, whenUnsatisfiable}");
        errs.push(Error::duplicate(&path, &format!("{{{key}, {action}}}")));
    }
    if let Some(domains) = constraint.min_domains {
        let path = path.child("minDomains");
        if domains <= 0 {
            errs.push(Error::invalid(&path, domains, POSITIVE));
        }
        if action != "DoNotSchedule" {
            let detail = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
            errs.push(Error::invalid(&path, domains, detail));
        }
    }
    for (policy, field) in [
        (&constraint.node_affinity_policy, "nodeAffinityPolicy"),
        (&constraint.node_taints_policy, "nodeTaintsPolicy"),
    ] {
        if let Some(policy) = policy {
            errs.extend(known(&path.child(field), policy, &["Honor", "Ignore"]));
        }
    }
    errs.extend(label_keys(constraint, &path.child("matchLabelKeys")));
    if let Some(selector) = &constraint.label_selector {
        errs.extend(selector::validate(selector, &path.child("labelSelector")));
    }
    errs
}

fn label_keys(constraint: &TopologySpreadConstraint, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let keys = constraint.match_label_keys.as_deref().unwrap_or_default();
    if keys.is_empty() {
        return errs;
    }
    let selector = constraint.label_selector.as_ref();
    if selector.is_none() {
        errs.push(Error::forbidden(path, "must not be specified when labelSelector is not set"));
    }
    let selected = |key: &String| {
        selector.is_some_and(|s| {
            s.match_labels.as_ref().is_some_and(|l| l.contains_key(key))
                || s.match_expressions.iter().flatten().any(|e| e.key == *key)
        })
    };
    for (i, key) in keys.iter().enumerate() {
        errs.extend(names::label_key(key, &path.index(i)));
        if selected(key) {
            let detail = "exists in both matchLabelKeys and labelSelector";
            errs.push(Error::invalid(&path.index(i), key, detail));
        }
    }
    errs
}

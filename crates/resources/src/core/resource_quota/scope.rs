//! Which objects a quota counts: `scopes` and `scopeSelector`.

use std::collections::{BTreeMap, BTreeSet};

use apimachinery::field::{Error, ErrorList, Path, Raw};
use k8s_openapi::api::core::v1::{
    Affinity, PersistentVolumeClaim, Pod, PodAffinityTerm, ResourceQuota, ResourceQuotaSpec,
    ScopedResourceSelectorRequirement,
};

use super::is_standard;
use crate::check::shown_list;
use crate::core::pod::PodExt;

const CLASS: &str = "PriorityClass";
const ATTRIBUTES: &str = "VolumeAttributesClass";
/// Pairs that no object can satisfy together.
const CONFLICTS: [(&str, &str); 2] = [("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")];

/// What a quota has to know of an object to count it or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The scopes that are a matter of yes or no, those that hold.
    holds: BTreeSet<&'static str>,
    /// Scopes with values: the values the object has.
    values: BTreeMap<&'static str, BTreeSet<String>>,
}

impl Facts {
    pub fn of_pod(pod: &Pod) -> Facts {
        let spec = pod.pod_spec();
        let terminating = spec.active_deadline_seconds.is_some_and(|s| s >= 0);
        let best_effort = pod.qos_class() == "BestEffort";
        let mut holds = BTreeSet::from([
            if terminating { "Terminating" } else { "NotTerminating" },
            if best_effort { "BestEffort" } else { "NotBestEffort" },
        ]);
        if spec.affinity.as_ref().is_some_and(crosses_namespaces) {
            holds.insert("CrossNamespacePodAffinity");
        }
        let class = spec.priority_class_name.iter().filter(|c| !c.is_empty()).cloned();
        Facts { holds, values: BTreeMap::from([(CLASS, class.collect())]) }
    }

    pub fn of_claim(claim: &PersistentVolumeClaim) -> Facts {
        let wanted = claim.spec.as_ref().and_then(|s| s.volume_attributes_class_name.clone());
        let status = claim.status.as_ref();
        let current = status.and_then(|s| s.current_volume_attributes_class_name.clone());
        let target = status
            .and_then(|s| s.modify_volume_status.as_ref())
            .and_then(|m| m.target_volume_attributes_class_name.clone());
        let names = [wanted, current, target].into_iter().flatten().filter(|n| !n.is_empty());
        Facts { holds: BTreeSet::new(), values: BTreeMap::from([(ATTRIBUTES, names.collect())]) }
    }

    fn satisfy(&self, requirement: &ScopedResourceSelectorRequirement) -> bool {
        let wanted = requirement.values.as_deref().unwrap_or_default();
        let Some(have) = self.values.get(&*requirement.scope_name) else {
            return self.holds.contains(&*requirement.scope_name);
        };
        let any = have.iter().any(|value| wanted.contains(value));
        match &*requirement.operator {
            "Exists" => !have.is_empty(),
            "DoesNotExist" => have.is_empty(),
            "In" => any,
            "NotIn" => !any,
            _ => false,
        }
    }
}

/// Whether an object is in all scopes of the quota.
pub fn matches(quota: &ResourceQuota, facts: &Facts) -> bool {
    requirements(quota).iter().all(|requirement| facts.satisfy(requirement))
}

/// Whether the quota counts only some objects.
pub fn is_scoped(quota: &ResourceQuota) -> bool {
    !requirements(quota).is_empty()
}

/// Both forms of scopes as one.
fn requirements(quota: &ResourceQuota) -> Vec<ScopedResourceSelectorRequirement> {
    let plain = listed(quota).into_iter().map(|scope| ScopedResourceSelectorRequirement {
        scope_name: scope,
        operator: "Exists".into(),
        values: None,
    });
    let selector = quota.spec.as_ref().and_then(|s| s.scope_selector.as_ref());
    plain.chain(selector.iter().flat_map(|s| s.match_expressions.iter().flatten()).cloned()).collect()
}

/// `spec.scopes`
pub(super) fn listed(quota: &ResourceQuota) -> Vec<String> {
    quota.spec.iter().flat_map(|s| s.scopes.iter().flatten()).cloned().collect()
}

fn crosses_namespaces(affinity: &Affinity) -> bool {
    let mut terms: Vec<&PodAffinityTerm> = Vec::new();
    if let Some(a) = &affinity.pod_affinity {
        terms.extend(a.required_during_scheduling_ignored_during_execution.iter().flatten());
        let soft = a.preferred_during_scheduling_ignored_during_execution.iter().flatten();
        terms.extend(soft.map(|t| &t.pod_affinity_term));
    }
    if let Some(a) = &affinity.pod_anti_affinity {
        terms.extend(a.required_during_scheduling_ignored_during_execution.iter().flatten());
        let soft = a.preferred_during_scheduling_ignored_during_execution.iter().flatten();
        terms.extend(soft.map(|t| &t.pod_affinity_term));
    }
    terms
        .iter()
        .any(|t| t.namespace_selector.is_some() || t.namespaces.as_ref().is_some_and(|n| !n.is_empty()))
}

/// Whether a scope says anything about `resource`.
pub fn applies(scope: &str, resource: &str) -> bool {
    const COMPUTE: &[&str] =
        &["cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"];
    match scope {
        "BestEffort" => resource == "pods",
        "Terminating" | "NotTerminating" | "NotBestEffort" | CLASS | "CrossNamespacePodAffinity" => {
            resource == "pods" || COMPUTE.contains(&resource)
        }
        ATTRIBUTES => matches!(resource, "persistentvolumeclaims" | "requests.storage"),
        _ => true,
    }
}

fn is_known(scope: &str) -> bool {
    matches!(
        scope,
        "Terminating"
            | "NotTerminating"
            | "BestEffort"
            | "NotBestEffort"
            | "CrossNamespacePodAffinity"
            | CLASS
            | ATTRIBUTES
    )
}

pub(super) fn errors(spec: &ResourceQuotaSpec, path: &Path) -> ErrorList {
    let hard: Vec<&str> = spec.hard.iter().flatten().map(|(k, _)| k.as_str()).collect();
    let misfits = |scope: &str| hard.iter().filter(|r| is_standard(r) && !applies(scope, r)).count();
    let mut errs = plain_errors(spec, &misfits, &path.child("scopes"));
    let Some(selector) = &spec.scope_selector else { return errs };
    let path = path.child("scopeSelector").child("matchExpressions");
    let mut seen = BTreeSet::new();
    for requirement in selector.match_expressions.iter().flatten() {
        let scope = &*requirement.scope_name;
        if !is_known(scope) {
            errs.push(Error::invalid(&path.child("scopeName"), scope, "unsupported scope"));
        }
        let shown = serde_json::to_string(selector).unwrap_or_default();
        for _ in 0..misfits(scope) {
            errs.push(Error::invalid(&path, Raw(shown.clone()), "unsupported scope applied to resource"));
        }
        errs.extend(requirement_errors(requirement, &path));
        seen.insert(scope);
    }
    let shown = || Raw(serde_json::to_string(&spec.scopes).unwrap_or_default());
    for (a, b) in CONFLICTS {
        if seen.contains(a) && seen.contains(b) {
            errs.push(Error::invalid(&path, shown(), "conflicting scopes"));
        }
    }
    errs
}

fn plain_errors(spec: &ResourceQuotaSpec, misfits: &dyn Fn(&str) -> usize, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let scopes = spec.scopes.as_deref().unwrap_or_default();
    let shown = || shown_list(scopes);
    for scope in scopes {
        if !is_known(scope) {
            errs.push(Error::invalid(path, shown(), "unsupported scope"));
        }
        for _ in 0..misfits(scope) {
            errs.push(Error::invalid(path, shown(), "unsupported scope applied to resource"));
        }
    }
    let has = |scope: &str| scopes.iter().any(|s| s == scope);
    for (a, b) in CONFLICTS {
        if has(a) && has(b) {
            errs.push(Error::invalid(path, shown(), "conflicting scopes"));
        }
    }
    errs
}

fn requirement_errors(requirement: &ScopedResourceSelectorRequirement, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let operator = &*requirement.operator;
    let values = requirement.values.as_deref().unwrap_or_default();
    let flag = !matches!(&*requirement.scope_name, CLASS | ATTRIBUTES) && is_known(&requirement.scope_name);
    if flag && operator != "Exists" {
        errs.push(Error::invalid(
            &path.child("operator"),
            operator,
            "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, \
             ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or \
             ResourceQuotaScopeCrossNamespacePodAffinity",
        ));
    }
    match operator {
        "In" | "NotIn" if values.is_empty() => errs.push(Error::required(
            &path.child("values"),
            "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
        )),
        "Exists" | "DoesNotExist" if !values.is_empty() => errs.push(Error::invalid(
            &path.child("values"),
            shown_list(values),
            "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
        )),
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        other => errs.push(Error::invalid(&path.child("operator"), other, "not a valid selector operator")),
    }
    errs
}

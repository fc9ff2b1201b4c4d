//! Rules for what failed pods mean, what success means, and when pods are replaced.

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path, Raw};
use apimachinery::names;
use k8s_openapi::api::batch::v1::{
    JobSpec, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyOnPodConditionsPattern,
    PodFailurePolicyRule, SuccessPolicyRule,
};
use serde_json::json;

use crate::batch::indexes;
use crate::batch::job::is_indexed;
use crate::check::{each, known, non_negative, one};

const MAX_RULES: usize = 20;
const MAX_EXIT_CODES: usize = 255;
const MAX_PATTERNS: usize = 20;
const MAX_INDEXES_BYTES: usize = 64 * 1024;

/// `field.OmitValueType`: there is nothing to show.
fn no_value() -> Raw {
    Raw(String::new())
}

pub(super) fn failure(spec: &JobSpec, path: &Path) -> ErrorList {
    let Some(policy) = &spec.pod_failure_policy else { return ErrorList::new() };
    let rules = path.child("rules");
    let mut errs = too_many(&rules, policy.rules.len(), MAX_RULES);
    let pod = spec.template.spec.as_ref();
    let containers =
        pod.into_iter().flat_map(|p| p.containers.iter().chain(p.init_containers.iter().flatten()));
    let containers: BTreeSet<&str> = containers.map(|c| c.name.as_str()).collect();
    for (i, rule) in policy.rules.iter().enumerate() {
        errs.extend(failure_rule(spec, rule, &containers, &rules.index(i)));
    }
    errs
}

fn too_many(path: &Path, count: usize, max: usize) -> ErrorList {
    one(count > max, || Error::too_many(path, count, max))
}

fn failure_rule(
    spec: &JobSpec,
    rule: &PodFailurePolicyRule,
    containers: &BTreeSet<&str>,
    path: &Path,
) -> ErrorList {
    const ACTIONS: &[&str] = &["Count", "FailIndex", "FailJob", "Ignore"];
    let action = path.child("action");
    let mut errs = match &*rule.action {
        "FailIndex" => one(spec.backoff_limit_per_index.is_none(), || {
            Error::invalid(&action, "FailIndex", "requires the backoffLimitPerIndex to be set")
        }),
        other => one_of(&action, other, ACTIONS),
    };
    let patterns = rule.on_pod_conditions.as_deref().unwrap_or_default();
    if let Some(codes) = &rule.on_exit_codes {
        errs.extend(exit_codes(codes, containers, &path.child("onExitCodes")));
    }
    errs.extend(pod_conditions(patterns, &path.child("onPodConditions")));
    match (rule.on_exit_codes.is_some(), !patterns.is_empty()) {
        (true, true) => errs.push(Error::invalid(
            path,
            no_value(),
            "specifying both OnExitCodes and OnPodConditions is not supported",
        )),
        (false, false) => errs.push(Error::invalid(
            path,
            no_value(),
            "specifying one of OnExitCodes and OnPodConditions is required",
        )),
        _ => {}
    }
    errs
}

/// As [`known`], with a missing value told what it could be.
fn one_of(path: &Path, value: &str, supported: &[&str]) -> ErrorList {
    match value {
        "" => {
            let list: Vec<_> = supported.iter().map(|s| format!("{s:?}")).collect();
            one(true, || Error::required(path, format!("valid values: [{}]", list.join(" "))))
        }
        value => known(path, value, supported),
    }
}

fn pod_conditions(patterns: &[PodFailurePolicyOnPodConditionsPattern], path: &Path) -> ErrorList {
    let mut errs = too_many(path, patterns.len(), MAX_PATTERNS);
    for (i, pattern) in patterns.iter().enumerate() {
        let path = path.index(i);
        errs.extend(each(&path.child("type"), &pattern.type_, names::qualified_name(&pattern.type_)));
        let status = pattern.status.as_deref().unwrap_or_default();
        errs.extend(one_of(&path.child("status"), status, &["False", "True", "Unknown"]));
    }
    errs
}

fn exit_codes(
    codes: &PodFailurePolicyOnExitCodesRequirement,
    containers: &BTreeSet<&str>,
    path: &Path,
) -> ErrorList {
    let mut errs = one_of(&path.child("operator"), &codes.operator, &["In", "NotIn"]);
    if let Some(name) = codes.container_name.as_deref().filter(|name| !containers.contains(name)) {
        let detail = "must be one of the container or initContainer names in the pod template";
        errs.push(Error::invalid(&path.child("containerName"), name, detail));
    }
    let values = path.child("values");
    let shown = || Raw(json!(codes.values).to_string());
    if codes.values.is_empty() {
        errs.push(Error::invalid(&values, shown(), "at least one value is required"));
    }
    errs.extend(too_many(&values, codes.values.len(), MAX_EXIT_CODES));
    let mut seen = BTreeSet::new();
    for (i, code) in codes.values.iter().enumerate() {
        if codes.operator == "In" && *code == 0 {
            errs.push(Error::invalid(&values.index(i), 0, "must not be 0 for the In operator"));
        }
        errs.extend(one(!seen.insert(code), || Error::duplicate(&values.index(i), *code)));
    }
    errs.extend(one(!codes.values.is_sorted(), || Error::invalid(&values, shown(), "must be ordered")));
    errs
}

pub(super) fn success(spec: &JobSpec, path: &Path) -> ErrorList {
    let Some(policy) = &spec.success_policy else { return ErrorList::new() };
    if !is_indexed(spec) {
        let rules: Vec<_> = policy.rules.iter().map(rule_shown).collect();
        let shown = Raw(json!({"Rules": rules}).to_string());
        return one(true, || Error::invalid(path, shown, "requires indexed completion mode"));
    }
    let rules = path.child("rules");
    let mut errs = one(policy.rules.is_empty(), || {
        Error::required(&rules, "at least one rules must be specified when the successPolicy is specified")
    });
    errs.extend(too_many(&rules, policy.rules.len(), MAX_RULES));
    for (i, rule) in policy.rules.iter().enumerate() {
        errs.extend(success_rule(spec.completions.unwrap_or(0), rule, &rules.index(i)));
    }
    errs
}

/// As Go shows its internal form.
fn rule_shown(rule: &SuccessPolicyRule) -> serde_json::Value {
    json!({"SucceededIndexes": rule.succeeded_indexes, "SucceededCount": rule.succeeded_count})
}

fn success_rule(completions: i32, rule: &SuccessPolicyRule, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    if rule.succeeded_count.is_none() && rule.succeeded_indexes.is_none() {
        let detail = "at least one of succeededCount or succeededIndexes must be specified";
        errs.push(Error::required(path, detail));
    }
    let mut named = None;
    if let Some(text) = &rule.succeeded_indexes {
        let path = path.child("succeededIndexes");
        errs.extend(one(text.len() > MAX_INDEXES_BYTES, || Error::too_long(&path, MAX_INDEXES_BYTES)));
        let counted = indexes::count(text, completions);
        named = Some(*counted.as_ref().unwrap_or(&0));
        if let Err(why) = counted {
            errs.push(Error::invalid(&path, text, format!("error parsing succeededIndexes: {why}")));
        }
    }
    if let Some(count) = rule.succeeded_count {
        let path = path.child("succeededCount");
        errs.extend(non_negative(&path, count));
        let mut at_most = |max: i32, what: &str| {
            if count > max {
                let detail = format!("must be less than or equal to {max} (the number of {what})");
                errs.push(Error::invalid(&path, count, detail));
            }
        };
        at_most(completions, "specified completions");
        if let Some(named) = named {
            at_most(named, "indexes in the specified succeededIndexes field");
        }
    }
    errs
}

pub(super) fn replacement(spec: &JobSpec, path: &Path) -> ErrorList {
    let Some(policy) = &spec.pod_replacement_policy else { return ErrorList::new() };
    // Exit codes of pods that have not ended cannot be judged.
    let supported: &[&str] = match spec.pod_failure_policy {
        Some(_) => &["Failed"],
        None => &["Failed", "TerminatingOrFailed"],
    };
    known(path, policy, supported)
}

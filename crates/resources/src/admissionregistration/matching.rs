//! Which requests webhooks and policies are about: rules, selectors, conditions.

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;
use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MatchResources, NamedRuleWithOperations, RuleWithOperations,
};

use crate::check::{each, known, one, required, shown_list};
use crate::{fill, selector};

const OPERATIONS: &[&str] = &["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
const SCOPES: &[&str] = &["*", "Cluster", "Namespaced"];
const CONDITIONS_MAX: usize = 64;
pub(super) const FAILURE_POLICIES: &[&str] = &["Fail", "Ignore"];
pub(super) const MATCH_POLICIES: &[&str] = &["Equivalent", "Exact"];

/// Fills what a rule leaves open: its scope.
pub(super) fn default_scope(scope: &mut Option<String>) {
    fill::text(scope, "*");
}

/// Fills what resource matching leaves open.
pub(super) fn default_match(resources: &mut MatchResources) {
    fill::text(&mut resources.match_policy, "Equivalent");
    resources.namespace_selector.get_or_insert_default();
    resources.object_selector.get_or_insert_default();
    let rules = resources.resource_rules.iter_mut().chain(resources.exclude_resource_rules.iter_mut());
    rules.flatten().for_each(|rule| default_scope(&mut rule.scope));
}

/// A rule of a webhook.
pub(super) fn rule(rule: &RuleWithOperations, path: &Path) -> ErrorList {
    let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    rule_errors(
        &list(&rule.operations),
        &list(&rule.api_groups),
        &list(&rule.api_versions),
        &list(&rule.resources),
        rule.scope.as_deref(),
        path,
    )
}

fn named_rule(rule: &NamedRuleWithOperations, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let mut seen = BTreeSet::new();
    for (i, name) in rule.resource_names.iter().flatten().enumerate() {
        let path = path.child("resourceNames").index(i);
        errs.extend(each(&path, name, names::path_segment(name)));
        errs.extend(one(!seen.insert(name), || Error::duplicate(&path, name)));
    }
    let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    errs.extend(rule_errors(
        &list(&rule.operations),
        &list(&rule.api_groups),
        &list(&rule.api_versions),
        &list(&rule.resources),
        rule.scope.as_deref(),
        path,
    ));
    errs
}

fn rule_errors(
    operations: &[String],
    groups: &[String],
    versions: &[String],
    resources: &[String],
    scope: Option<&str>,
    path: &Path,
) -> ErrorList {
    let mut errs = wild_alone(operations, &path.child("operations"), "operations");
    for (i, operation) in operations.iter().enumerate() {
        errs.extend(known(&path.child("operations").index(i), operation, OPERATIONS));
    }
    errs.extend(wild_alone(groups, &path.child("apiGroups"), "API groups"));
    errs.extend(wild_alone(versions, &path.child("apiVersions"), "API versions"));
    for (i, version) in versions.iter().enumerate() {
        errs.extend(required(&path.child("apiVersions").index(i), version));
    }
    errs.extend(resource_errors(resources, &path.child("resources")));
    if let Some(scope) = scope {
        errs.extend(known(&path.child("scope"), scope, SCOPES));
    }
    errs
}

/// The list is there, and `*` has no company in it.
fn wild_alone(list: &[String], path: &Path, what: &str) -> ErrorList {
    let wild = list.iter().any(|item| item == "*");
    match list.len() {
        0 => one(true, || Error::required(path, "")),
        1 => ErrorList::new(),
        _ => one(wild, || {
            let why = format!("if '*' is present, must not specify other {what}");
            Error::invalid(path, shown_list(list), why)
        }),
    }
}

/// `pods`, `pods/log`, `*`, `pods/*`, `*/scale`, `*/*`: none says what another one has said.
fn resource_errors(resources: &[String], path: &Path) -> ErrorList {
    let mut errs = one(resources.is_empty(), || Error::required(path, ""));
    let (mut all_of, mut of_all) = (BTreeSet::new(), BTreeSet::new());
    for (i, text) in resources.iter().enumerate() {
        let path = path.index(i);
        if text.is_empty() {
            errs.push(Error::required(&path, ""));
        }
        let Some((resource, sub)) = text.split_once('/') else { continue };
        if all_of.contains(resource) {
            let why = format!("if '{resource}/*' is present, must not specify {text}");
            errs.push(Error::invalid(&path, text, why));
        }
        if of_all.contains(sub) {
            let why = format!("if '*/{sub}' is present, must not specify {text}");
            errs.push(Error::invalid(&path, text, why));
        }
        if sub == "*" {
            all_of.insert(resource);
        }
        if resource == "*" {
            of_all.insert(sub);
        }
    }
    let has = |wanted: &str| resources.iter().any(|r| r == wanted);
    if resources.len() > 1 && has("*/*") {
        let why = "if '*/*' is present, must not specify other resources";
        errs.push(Error::invalid(path, shown_list(resources), why));
    }
    if has("*") && resources.iter().any(|r| !r.contains('/') && r != "*") {
        let why = "if '*' is present, must not specify other resources without subresources";
        errs.push(Error::invalid(path, shown_list(resources), why));
    }
    errs
}

/// What a policy or its binding is about.
pub(super) fn resources(given: &MatchResources, path: &Path) -> ErrorList {
    let mut errs = match given.match_policy.as_deref() {
        None => one(true, || Error::required(&path.child("matchPolicy"), "")),
        Some(policy) => known(&path.child("matchPolicy"), policy, MATCH_POLICIES),
    };
    for (field, selector) in
        [("namespaceSelector", &given.namespace_selector), ("objectSelector", &given.object_selector)]
    {
        let path = path.child(field);
        errs.extend(match selector {
            None => one(true, || Error::required(&path, "")),
            Some(selector) => selector::validate(selector, &path),
        });
    }
    for (i, rule) in given.resource_rules.iter().flatten().enumerate() {
        errs.extend(named_rule(rule, &path.child("resourceRules").index(i)));
    }
    for (i, rule) in given.exclude_resource_rules.iter().flatten().enumerate() {
        errs.extend(named_rule(rule, &path.child("excludeResourceRules").index(i)));
    }
    errs
}

/// Conditions in CEL: named, and there.
pub(super) fn conditions(conditions: Option<&[MatchCondition]>, path: &Path) -> ErrorList {
    let conditions = conditions.unwrap_or_default();
    let mut errs =
        one(conditions.len() > CONDITIONS_MAX, || Error::too_many(path, conditions.len(), CONDITIONS_MAX));
    let mut seen = BTreeSet::new();
    for (i, condition) in conditions.iter().enumerate() {
        let path = path.index(i);
        errs.extend(required(&path.child("expression"), condition.expression.trim()));
        let at = path.child("name");
        errs.extend(required(&at, &condition.name));
        if !condition.name.is_empty() {
            errs.extend(each(&at, &condition.name, names::qualified_name(&condition.name)));
            errs.extend(one(!seen.insert(&condition.name), || Error::duplicate(&at, &condition.name)));
        }
    }
    errs
}

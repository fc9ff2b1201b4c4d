//! Roles and cluster roles: one strategy for both.

use std::marker::PhantomData;

use apimachinery::field::{Error, ErrorList, Path};
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use serde_json::{Value, json};

use crate::columns::NAME;
use crate::selector;
use crate::strategy::{Column, NameRule, Part};

#[cfg(test)]
mod tests;

/// What the two kinds have in common.
pub trait AnyRole: Kind {
    fn rules(&self) -> &[PolicyRule];

    /// Cluster roles may name URLs, and be made of other cluster roles.
    fn more_errors(&self) -> ErrorList {
        ErrorList::new()
    }

    /// Rules may be about URLs that are no resources.
    const URLS: bool;
}

impl AnyRole for Role {
    fn rules(&self) -> &[PolicyRule] {
        self.rules.as_deref().unwrap_or_default()
    }

    const URLS: bool = false;
}

impl AnyRole for ClusterRole {
    fn rules(&self) -> &[PolicyRule] {
        self.rules.as_deref().unwrap_or_default()
    }

    fn more_errors(&self) -> ErrorList {
        let mut errs = ErrorList::new();
        let Some(aggregation) = &self.aggregation_rule else { return errs };
        let path = Path::new("aggregationRule").child("clusterRoleSelectors");
        let selectors = aggregation.cluster_role_selectors.as_deref().unwrap_or_default();
        if selectors.is_empty() {
            errs.push(Error::required(
                &path,
                "at least one clusterRoleSelector required if aggregationRule is non-nil",
            ));
        }
        for (i, selector) in selectors.iter().enumerate() {
            errs.extend(selector::validate(selector, &path.index(i)));
        }
        errs
    }

    const URLS: bool = true;
}

/// The rules of roles.
pub struct Strategy<R>(PhantomData<fn() -> R>);

impl<R> Default for Strategy<R> {
    fn default() -> Self {
        Strategy(PhantomData)
    }
}

impl<R: AnyRole> crate::Strategy for Strategy<R> {
    type Kind = R;

    fn name_rule(&self) -> NameRule {
        NameRule::PathSegment
    }

    fn validate(&self, role: &R) -> ErrorList {
        let mut errs = ErrorList::new();
        for (i, rule) in role.rules().iter().enumerate() {
            errs.extend(rule_errors(rule, R::URLS, &Path::new("rules").index(i)));
        }
        errs.extend(role.more_errors());
        errs
    }

    fn validate_update(&self, new: &R, _: &R, _: Part) -> ErrorList {
        self.validate(new)
    }

    fn allow_create_on_update(&self) -> bool {
        true
    }

    fn columns(&self) -> &'static [Column] {
        const CREATED: Column = Column {
            name: "Created At",
            kind: "date",
            format: "",
            priority: 0,
            description: "When the role was created.",
        };
        const COLUMNS: &[Column] = &[NAME, CREATED];
        COLUMNS
    }

    fn row(&self, role: &R, _: Timestamp) -> Vec<Value> {
        let created = role.meta().creation_timestamp.as_ref().map(|t| seconds(t.0)).unwrap_or_default();
        vec![json!(role.name()), json!(created)]
    }
}

/// RFC 3339 without fractions.
fn seconds(time: Timestamp) -> String {
    time.round(jiff::Unit::Second).unwrap_or(time).to_string()
}

fn rule_errors(rule: &PolicyRule, urls: bool, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let none = |list: &Option<Vec<String>>| list.as_ref().is_none_or(|l| l.is_empty());
    if rule.verbs.is_empty() {
        errs.push(Error::required(&path.child("verbs"), "verbs must contain at least one value"));
    }
    if !none(&rule.non_resource_urls) {
        let field = path.child("nonResourceURLs");
        let shown = || apimachinery::field::Raw(json!(rule.non_resource_urls).to_string());
        if !urls {
            errs.push(Error::invalid(&field, shown(), "namespaced rules cannot apply to non-resource URLs"));
        }
        if !none(&rule.api_groups) || !none(&rule.resources) || !none(&rule.resource_names) {
            errs.push(Error::invalid(
                &field,
                shown(),
                "rules cannot apply to both regular resources and non-resource URLs",
            ));
        }
        return errs;
    }
    if none(&rule.api_groups) {
        errs.push(Error::required(
            &path.child("apiGroups"),
            "resource rules must supply at least one api group",
        ));
    }
    if none(&rule.resources) {
        errs.push(Error::required(
            &path.child("resources"),
            "resource rules must supply at least one resource",
        ));
    }
    errs
}

//! `meta/v1.LabelSelector`: what it selects, whether it is well formed, how tables show it.

use std::collections::BTreeMap;

use apimachinery::Selector;
use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;
use apimachinery::selector::Expression;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

/// What a label selector selects.
pub trait LabelSelectorExt {
    /// An empty selector selects everything. The error is upstream's text.
    fn compile(&self) -> Result<Selector, String>;

    /// No labels and no expressions.
    fn selects_everything(&self) -> bool;
}

impl LabelSelectorExt for LabelSelector {
    fn compile(&self) -> Result<Selector, String> {
        Selector::from_label_selector(
            self.match_labels.iter().flatten(),
            self.match_expressions.iter().flatten().map(|e| Expression {
                key: &e.key,
                operator: &e.operator,
                values: e.values.as_deref().unwrap_or_default(),
            }),
        )
    }

    fn selects_everything(&self) -> bool {
        let labels = self.match_labels.as_ref().map_or(0, |l| l.len());
        labels + self.match_expressions.as_ref().map_or(0, |e| e.len()) == 0
    }
}

/// An optional selector; an absent one selects nothing.
pub fn compile(selector: Option<&LabelSelector>) -> Result<Selector, String> {
    selector.map_or_else(|| Ok(Selector::nothing()), LabelSelectorExt::compile)
}

/// The selector of a replication controller or service: exactly these labels; none select nothing.
pub fn of_map(labels: Option<&BTreeMap<String, String>>) -> Selector {
    match labels {
        Some(labels) if !labels.is_empty() => Selector::from_set(labels),
        _ => Selector::nothing(),
    }
}

/// Keys, operators and values.
pub fn validate(selector: &LabelSelector, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    for (key, value) in selector.match_labels.iter().flatten() {
        errs.extend(names::label_key(key, &path.child("matchLabels")));
        for message in names::label_value(value) {
            errs.push(Error::invalid(&path.child("matchLabels"), value, message));
        }
    }
    for (i, requirement) in selector.match_expressions.iter().flatten().enumerate() {
        errs.extend(validate_requirement(requirement, &path.child("matchExpressions").index(i)));
    }
    errs
}

fn validate_requirement(requirement: &LabelSelectorRequirement, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let values = requirement.values.as_deref().unwrap_or_default();
    match &*requirement.operator {
        "In" | "NotIn" if values.is_empty() => errs.push(Error::required(
            &path.child("values"),
            "must be specified when `operator` is 'In' or 'NotIn'",
        )),
        "Exists" | "DoesNotExist" if !values.is_empty() => errs.push(Error::forbidden(
            &path.child("values"),
            "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        )),
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        other => {
            errs.push(Error::invalid(&path.child("operator"), other, "not a valid selector operator"));
        }
    }
    errs.extend(names::label_key(&requirement.key, &path.child("key")));
    for (i, value) in values.iter().enumerate() {
        for message in names::label_value(value) {
            errs.push(Error::invalid(&path.child("values").index(i), value, message));
        }
    }
    errs
}

/// As tables show labels: `a=b,c=d`, or `<none>`.
pub fn show_labels(labels: Option<&BTreeMap<String, String>>) -> String {
    match labels {
        Some(labels) if !labels.is_empty() => {
            labels.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",")
        }
        _ => "<none>".into(),
    }
}

/// As tables show a selector: `a=b,c in (d,e)`, `<none>` for an empty one, `<error>` for a broken one.
pub fn show(selector: &LabelSelector) -> String {
    match selector.compile() {
        Ok(compiled) if compiled.is_empty() => "<none>".into(),
        Ok(compiled) => compiled.to_string(),
        Err(_) => "<error>".into(),
    }
}

#[cfg(test)]
mod tests;

//! Replica sets.

use apimachinery::Selector;
use apimachinery::field::{Error, ErrorList, Path, Raw};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::{Value, json};

use crate::check::non_negative;
use crate::columns::{REPLICAS, replicas};
use crate::conditions;
use crate::core::pod;
use crate::core::replication_controller::{Counts, template_errors};
use crate::desired;
use crate::selector::{self, LabelSelectorExt};
use crate::strategy::{Column, Part, ScaleView};

#[cfg(test)]
mod tests;

/// What replica sets are asked.
pub trait ReplicaSetExt {
    /// Which pods it counts. The error is upstream's text.
    fn selector(&self) -> Result<Selector, String>;
    /// How many pods it shall keep.
    fn replicas(&self) -> i32;
    fn condition(&self, kind: &str) -> Option<&ReplicaSetCondition>;
}

impl ReplicaSetExt for ReplicaSet {
    fn selector(&self) -> Result<Selector, String> {
        self.spec.selector.compile()
    }

    fn replicas(&self) -> i32 {
        self.spec.replicas.unwrap_or(1)
    }

    fn condition(&self, kind: &str) -> Option<&ReplicaSetCondition> {
        conditions::find(&self.status.as_ref()?.conditions, kind)
    }
}

/// Sets a condition. The transition time moves only when the status does. True when anything changed.
pub fn set_condition(status: &mut ReplicaSetStatus, condition: ReplicaSetCondition, now: Timestamp) -> bool {
    conditions::set(&mut status.conditions, condition, now)
}

/// The rules of replica sets.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = ReplicaSet;

    fn default(&self, rs: &mut ReplicaSet) {
        rs.spec.replicas.get_or_insert(1);
        if let Some(template) = &mut rs.spec.template {
            pod::defaults::template(template);
        }
    }

    fn prepare_create(&self, rs: &mut ReplicaSet) {
        rs.status = Some(ReplicaSetStatus::default());
        rs.metadata.generation = Some(1);
    }

    fn prepare_update(&self, new: &mut ReplicaSet, old: &ReplicaSet, part: Part) {
        match part {
            Part::Status => new.spec.clone_from(&old.spec),
            _ => {
                new.status.clone_from(&old.status);
                desired::bump_generation(new, old, "spec");
            }
        }
    }

    fn validate(&self, rs: &ReplicaSet) -> ErrorList {
        spec_errors(rs)
    }

    fn validate_update(&self, new: &ReplicaSet, old: &ReplicaSet, part: Part) -> ErrorList {
        if part == Part::Status {
            return status_errors(new);
        }
        let mut errs = spec_errors(new);
        errs.extend(selector_fixed(&new.spec.selector, &old.spec.selector));
        errs
    }

    fn warnings(&self, rs: &ReplicaSet) -> Vec<String> {
        pod::warnings::of_template(rs, rs.spec.template.as_ref())
    }

    fn fields(&self, rs: &ReplicaSet) -> Vec<(&'static str, String)> {
        vec![("status.replicas", rs.status.as_ref().map_or(0, |s| s.replicas).to_string())]
    }

    fn field_names(&self) -> &'static [&'static str] {
        &["status.replicas"]
    }

    fn columns(&self) -> &'static [Column] {
        REPLICAS
    }

    fn row(&self, rs: &ReplicaSet, now: Timestamp) -> Vec<Value> {
        let status = rs.status.as_ref();
        replicas(
            rs,
            now,
            rs.spec.template.as_ref(),
            selector::show(&rs.spec.selector),
            [
                rs.replicas(),
                status.map_or(0, |s| s.replicas),
                status.and_then(|s| s.ready_replicas).unwrap_or(0),
            ],
        )
    }

    fn scale(&self, rs: &ReplicaSet) -> Option<ScaleView> {
        Some(ScaleView {
            spec_replicas: rs.replicas(),
            status_replicas: rs.status.as_ref().map_or(0, |s| s.replicas),
            selector: rs.selector().map(|s| s.to_string()).unwrap_or_default(),
        })
    }

    fn set_scale(&self, rs: &mut ReplicaSet, replicas: i32) {
        rs.spec.replicas = Some(replicas);
    }
}

fn spec_errors(rs: &ReplicaSet) -> ErrorList {
    let path = Path::new("spec");
    let mut errs = ErrorList::new();
    errs.extend(non_negative(&path.child("replicas"), rs.spec.replicas.unwrap_or(0)));
    errs.extend(non_negative(
        &path.child("minReadySeconds"),
        i64::from(rs.spec.min_ready_seconds.unwrap_or(0)),
    ));
    let (selector, bad) = selector_errors(&rs.spec.selector, &path.child("selector"));
    errs.extend(bad);
    if let Some(selector) = selector {
        let template = rs.spec.template.as_ref();
        errs.extend(template_errors(template, &selector, "ReplicaSet", &path.child("template")));
    }
    errs
}

/// The compiled selector of a workload, and what is wrong with it. An empty one cannot be told from an absent one,
/// which is what it is in all likelihood: that selects nothing.
pub(super) fn selector_errors(selector: &LabelSelector, path: &Path) -> (Option<Selector>, ErrorList) {
    if selector.selects_everything() {
        return (Some(Selector::nothing()), [Error::required(path, "")].into_iter().collect());
    }
    let mut errs = selector::validate(selector, path);
    let compiled = selector.compile();
    if compiled.is_err() {
        errs.push(Error::invalid(path, Raw(selector_json(selector)), "invalid label selector"));
    }
    (compiled.ok(), errs)
}

pub(crate) fn selector_json(selector: &LabelSelector) -> String {
    let mut fields = serde_json::Map::new();
    if let Some(labels) = selector.match_labels.as_ref().filter(|l| !l.is_empty()) {
        fields.insert("matchLabels".into(), json!(labels));
    }
    let expressions: Vec<Value> = selector
        .match_expressions
        .iter()
        .flatten()
        .map(|e| match e.values.as_deref() {
            Some(values) if !values.is_empty() => {
                json!({"key": e.key, "operator": e.operator, "values": values})
            }
            _ => json!({"key": e.key, "operator": e.operator}),
        })
        .collect();
    if !expressions.is_empty() {
        fields.insert("matchExpressions".into(), expressions.into());
    }
    Value::Object(fields).to_string()
}

/// A workload's selector is for life.
pub(super) fn selector_fixed(new: &LabelSelector, old: &LabelSelector) -> ErrorList {
    let (new, old) = (selector_json(new), selector_json(old));
    let path = Path::new("spec").child("selector");
    let error = Error::invalid(&path, Raw(new.clone()), "field is immutable");
    (new != old).then_some(error).into_iter().collect()
}

fn status_errors(rs: &ReplicaSet) -> ErrorList {
    let status = rs.status.clone().unwrap_or_default();
    let counts = Counts {
        replicas: status.replicas,
        fully_labeled: status.fully_labeled_replicas.unwrap_or(0),
        ready: status.ready_replicas.unwrap_or(0),
        available: status.available_replicas.unwrap_or(0),
        observed_generation: status.observed_generation.unwrap_or(0),
    };
    let path = Path::new("status");
    let mut errs = counts.errors(&path);
    errs.extend(non_negative(
        &path.child("terminatingReplicas"),
        i64::from(status.terminating_replicas.unwrap_or(0)),
    ));
    errs
}

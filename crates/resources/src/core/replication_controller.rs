//! Replication controllers.

use apimachinery::Selector;
use apimachinery::field::{Error, ErrorList, Path, Raw};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PodTemplateSpec, ReplicationController, ReplicationControllerStatus};
use serde_json::Value;

use crate::check::non_negative;
use crate::columns::{REPLICAS, replicas};
use crate::core::{pod, pod_template};
use crate::desired;
use crate::selector;
use crate::strategy::{Column, Part, ScaleView};

#[cfg(test)]
mod tests;

/// What replication controllers are asked.
pub trait ReplicationControllerExt {
    /// Which pods it counts; none when the selector is empty.
    fn selector(&self) -> Selector;
    /// How many pods it shall keep.
    fn replicas(&self) -> i32;
}

impl ReplicationControllerExt for ReplicationController {
    fn selector(&self) -> Selector {
        selector::of_map(self.spec.as_ref().and_then(|s| s.selector.as_ref()))
    }

    fn replicas(&self) -> i32 {
        self.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1)
    }
}

/// The rules of replication controllers.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = ReplicationController;

    fn default(&self, rc: &mut ReplicationController) {
        let Some(spec) = &mut rc.spec else { return };
        spec.replicas.get_or_insert(1);
        let Some(template) = &mut spec.template else { return };
        pod::defaults::template(template);
        let labels = template.metadata.as_ref().and_then(|m| m.labels.as_ref()).filter(|l| !l.is_empty());
        if let Some(labels) = labels {
            if spec.selector.as_ref().is_none_or(|s| s.is_empty()) {
                spec.selector = Some(labels.clone());
            }
            if rc.metadata.labels.as_ref().is_none_or(|l| l.is_empty()) {
                rc.metadata.labels = Some(labels.clone());
            }
        }
    }

    fn prepare_create(&self, rc: &mut ReplicationController) {
        rc.status = Some(ReplicationControllerStatus::default());
        rc.metadata.generation = Some(1);
    }

    fn prepare_update(&self, new: &mut ReplicationController, old: &ReplicationController, part: Part) {
        match part {
            Part::Status => new.spec.clone_from(&old.spec),
            _ => {
                new.status.clone_from(&old.status);
                desired::bump_generation(new, old, "spec");
            }
        }
    }

    fn validate(&self, rc: &ReplicationController) -> ErrorList {
        spec_errors(rc)
    }

    fn validate_update(
        &self,
        new: &ReplicationController,
        old: &ReplicationController,
        part: Part,
    ) -> ErrorList {
        match part {
            Part::Status => status_errors(new, old),
            _ => spec_errors(new),
        }
    }

    fn warnings(&self, rc: &ReplicationController) -> Vec<String> {
        pod::warnings::of_template(rc, rc.spec.as_ref().and_then(|s| s.template.as_ref()))
    }

    fn fields(&self, rc: &ReplicationController) -> Vec<(&'static str, String)> {
        vec![("status.replicas", rc.status.as_ref().map_or(0, |s| s.replicas).to_string())]
    }

    fn field_names(&self) -> &'static [&'static str] {
        &["status.replicas"]
    }

    fn columns(&self) -> &'static [Column] {
        REPLICAS
    }

    fn row(&self, rc: &ReplicationController, now: Timestamp) -> Vec<Value> {
        let (spec, status) = (rc.spec.as_ref(), rc.status.as_ref());
        let selector = selector::show_labels(spec.and_then(|s| s.selector.as_ref()));
        replicas(
            rc,
            now,
            spec.and_then(|s| s.template.as_ref()),
            selector,
            [
                rc.replicas(),
                status.map_or(0, |s| s.replicas),
                status.and_then(|s| s.ready_replicas).unwrap_or(0),
            ],
        )
    }

    fn scale(&self, rc: &ReplicationController) -> Option<ScaleView> {
        Some(ScaleView {
            spec_replicas: rc.replicas(),
            status_replicas: rc.status.as_ref().map_or(0, |s| s.replicas),
            selector: rc.selector().to_string(),
        })
    }

    fn set_scale(&self, rc: &mut ReplicationController, replicas: i32) {
        rc.spec.get_or_insert_default().replicas = Some(replicas);
    }
}

fn spec_errors(rc: &ReplicationController) -> ErrorList {
    let path = Path::new("spec");
    let spec = rc.spec.clone().unwrap_or_default();
    let mut errs = ErrorList::new();
    errs.extend(non_negative(&path.child("minReadySeconds"), spec.min_ready_seconds.unwrap_or(0)));
    let labels = spec.selector.unwrap_or_default();
    if labels.is_empty() {
        errs.push(Error::required(&path.child("selector"), ""));
    }
    errs.extend(non_negative(&path.child("replicas"), spec.replicas.unwrap_or(0)));
    let selector = Selector::from_set(&labels);
    let template = spec.template.as_ref();
    errs.extend(template_errors(template, &selector, "ReplicationController", &path.child("template")));
    errs
}

/// A template whose pods its own controller, of this `kind`, would count, and that can run forever.
pub(crate) fn template_errors(
    template: Option<&PodTemplateSpec>,
    selector: &Selector,
    kind: &str,
    path: &Path,
) -> ErrorList {
    let mut errs = ErrorList::new();
    let Some(template) = template else {
        errs.push(Error::required(path, ""));
        return errs;
    };
    let labels = template.metadata.as_ref().and_then(|m| m.labels.clone());
    if !selector.is_empty() && !selector.matches(&labels) {
        let shown = Raw(serde_json::json!(labels).to_string());
        errs.push(Error::invalid(
            &path.child("metadata").child("labels"),
            shown,
            "`selector` does not match template `labels`",
        ));
    }
    errs.extend(pod_template::validate(template, path));
    errs.extend(run_forever(template, kind, path));
    errs
}

fn run_forever(template: &PodTemplateSpec, kind: &str, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let spec = template.spec.as_ref();
    match spec.and_then(|s| s.restart_policy.as_deref()).unwrap_or_default() {
        "Always" => {}
        policy => {
            errs.push(Error::not_supported(&path.child("spec").child("restartPolicy"), policy, &["Always"]))
        }
    }
    if spec.is_some_and(|s| s.active_deadline_seconds.is_some()) {
        errs.push(Error::forbidden(
            &path.child("spec").child("activeDeadlineSeconds"),
            format!("activeDeadlineSeconds in {kind} is not Supported"),
        ));
    }
    errs
}

/// The counts of a replica set or replication controller.
pub(crate) struct Counts {
    pub replicas: i32,
    pub fully_labeled: i32,
    pub ready: i32,
    pub available: i32,
    pub observed_generation: i64,
}

impl Counts {
    /// None is negative, and the parts are not more than the whole.
    pub fn errors(&self, path: &Path) -> ErrorList {
        let mut errs = ErrorList::new();
        errs.extend(non_negative(&path.child("replicas"), self.replicas));
        errs.extend(non_negative(&path.child("fullyLabeledReplicas"), self.fully_labeled));
        errs.extend(non_negative(&path.child("readyReplicas"), self.ready));
        errs.extend(non_negative(&path.child("availableReplicas"), self.available));
        if self.observed_generation < 0 {
            errs.push(Error::invalid(
                &path.child("observedGeneration"),
                self.observed_generation,
                "must be greater than or equal to 0",
            ));
        }
        const MORE: &str = "cannot be greater than status.replicas";
        for (field, value) in [
            ("fullyLabeledReplicas", self.fully_labeled),
            ("readyReplicas", self.ready),
            ("availableReplicas", self.available),
        ] {
            if value > self.replicas {
                errs.push(Error::invalid(&path.child(field), value, MORE));
            }
        }
        if self.available > self.ready {
            errs.push(Error::invalid(
                &path.child("availableReplicas"),
                self.available,
                "cannot be greater than readyReplicas",
            ));
        }
        errs
    }
}

fn status_errors(new: &ReplicationController, _: &ReplicationController) -> ErrorList {
    let status = new.status.clone().unwrap_or_default();
    let counts = Counts {
        replicas: status.replicas,
        fully_labeled: status.fully_labeled_replicas.unwrap_or(0),
        ready: status.ready_replicas.unwrap_or(0),
        available: status.available_replicas.unwrap_or(0),
        observed_generation: status.observed_generation.unwrap_or(0),
    };
    counts.errors(&Path::new("status"))
}

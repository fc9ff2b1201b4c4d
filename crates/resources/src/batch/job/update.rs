//! Rules for changing a Job: what decides which pods count, and what they are made from, is for life. While a Job is
//! suspended and has no pods, queueing systems may direct where they will run.

use apimachinery::field::{Error, ErrorList, Path, Raw};
use codec::Kind;
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{Affinity, Container, PodTemplate, PodTemplateSpec, ResourceRequirements};
use serde_json::{Value, json};

use super::{CONTROLLER_UID_LABEL, JOB_NAME_LABEL, JobExt, is_indexed, validation};
use crate::apps::replica_set::selector_json;
use crate::check::one;
use crate::desired;
use crate::owner::ObjectMetaExt;

const IMMUTABLE: &str = "field is immutable";

/// Compares a Job with what is stored.
pub(super) fn update(new: &Job, old: &Job) -> ErrorList {
    let path = Path::new("spec");
    let (after, before) = (new.job_spec(), old.job_spec());
    // Jobs from before the labels with prefix do not have them.
    let meta = before.template.metadata.clone().unwrap_or_default();
    let prefixed = meta.label(JOB_NAME_LABEL).is_some() && meta.label(CONTROLLER_UID_LABEL).is_some();
    let mut errs = validation::job(new, prefixed);
    errs.extend(completions(after, before, &path.child("completions")));
    let selector = |spec: &JobSpec| spec.selector.as_ref().map(selector_json);
    errs.extend(fixed(&path.child("selector"), selector(after), selector(before)));
    errs.extend(template(after, old, &path.child("template")));
    let text = |value: &Option<String>| value.as_ref().map(|v| json!(v).to_string());
    let number = |value: Option<i32>| value.map(|v| v.to_string());
    let part = |job: &Job, field: &str| part(job, field).map(|v| v.to_string());
    for (field, after, before) in [
        ("completionMode", text(&after.completion_mode), text(&before.completion_mode)),
        ("podFailurePolicy", part(new, "podFailurePolicy"), part(old, "podFailurePolicy")),
        (
            "backoffLimitPerIndex",
            number(after.backoff_limit_per_index),
            number(before.backoff_limit_per_index),
        ),
        ("managedBy", text(&after.managed_by), text(&before.managed_by)),
        ("successPolicy", part(new, "successPolicy"), part(old, "successPolicy")),
    ] {
        errs.extend(fixed(&path.child(field), after, before));
    }
    errs
}

/// A field of the spec as JSON.
fn part(job: &Job, field: &str) -> Option<Value> {
    let mut value: Value = serde_json::from_slice(&job.to_json()).ok()?;
    Some(value["spec"][field].take()).filter(|v| !v.is_null())
}

/// Both sides as they are shown.
fn fixed(path: &Path, new: Option<String>, old: Option<String>) -> ErrorList {
    one(new != old, || Error::invalid(path, Raw(new.unwrap_or_else(|| "\"null\"".into())), IMMUTABLE))
}

/// An indexed Job can grow and shrink, all its indexes at once.
fn completions(new: &JobSpec, old: &JobSpec, path: &Path) -> ErrorList {
    if !is_indexed(new) {
        let shown = |spec: &JobSpec| spec.completions.map(|c| c.to_string());
        return fixed(path, shown(new), shown(old));
    }
    match new.completions {
        Some(wanted) if new.completions != old.completions && new.completions != new.parallelism => {
            let detail = "can only be modified in tandem with spec.parallelism";
            one(true, || Error::invalid(path, wanted, detail))
        }
        _ => ErrorList::new(),
    }
}

fn template(new: &JobSpec, old: &Job, path: &Path) -> ErrorList {
    let status = old.job_status();
    let idle = status.active.unwrap_or(0) == 0 && (status.start_time.is_none() || old.is("Suspended"));
    let mut before = old.job_spec().template.clone();
    if old.is_suspended() && idle {
        allow_directives(&mut before, &new.template);
        allow_resources(&mut before, &new.template);
    }
    let carrier =
        |template: &PodTemplateSpec| PodTemplate { template: Some(template.clone()), ..Default::default() };
    let (after, before) = (carrier(&new.template), carrier(&before));
    one(desired::changed(&after, &before, "template"), || {
        let value: Option<Value> = serde_json::from_slice(&after.to_json()).ok();
        let shown = value.map(|mut v| v["template"].take().to_string()).unwrap_or_default();
        Error::invalid(path, Raw(shown), IMMUTABLE)
    })
}

/// Takes over from `new` what says where pods run, and their labels and annotations.
fn allow_directives(old: &mut PodTemplateSpec, new: &PodTemplateSpec) {
    let (old_spec, new_spec) = (old.spec.get_or_insert_default(), new.spec.clone().unwrap_or_default());
    let wanted = new_spec.affinity.as_ref().and_then(|a| a.node_affinity.clone());
    let kept = Affinity { node_affinity: wanted, ..old_spec.affinity.take().unwrap_or_default() };
    old_spec.affinity = (kept != Affinity::default()).then_some(kept);
    old_spec.node_selector = new_spec.node_selector;
    old_spec.tolerations = new_spec.tolerations;
    old_spec.scheduling_gates = new_spec.scheduling_gates;
    let (old_meta, new_meta) =
        (old.metadata.get_or_insert_default(), new.metadata.clone().unwrap_or_default());
    old_meta.labels = new_meta.labels;
    old_meta.annotations = new_meta.annotations;
}

/// Takes over from `new` what containers request and may use.
fn allow_resources(old: &mut PodTemplateSpec, new: &PodTemplateSpec) {
    let (Some(old), Some(new)) = (&mut old.spec, &new.spec) else { return };
    let init = (old.init_containers.as_deref_mut(), new.init_containers.as_deref());
    let pairs: [(&mut [Container], &[Container]); 2] =
        [(&mut old.containers, &new.containers), (init.0.unwrap_or_default(), init.1.unwrap_or_default())];
    for (old, new) in pairs {
        for (old, new) in old.iter_mut().zip(new).filter(|(old, new)| old.name == new.name) {
            let wanted = new.resources.clone().unwrap_or_default();
            let kept = old.resources.take().unwrap_or_default();
            old.resources =
                Some(ResourceRequirements { requests: wanted.requests, limits: wanted.limits, ..kept });
        }
    }
}

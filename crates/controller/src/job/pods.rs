//! The pods that a Job makes.

use codec::Kind;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Container, EnvVar, EnvVarSource, ObjectFieldSelector, Pod};
use resources::batch::job::{COMPLETION_INDEX, JobExt, TRACKING_FINALIZER};

use super::observe::{FAILURE_COUNT, Facts, IGNORED_COUNT, failure_count, ignored_count};
use super::policy::Failure;
use crate::replicas;

/// The name of a pod is made of at most so much of what we give.
const PREFIX_MAX: usize = 58;
const INDEX_VARIABLE: &str = "JOB_COMPLETION_INDEX";

/// A pod, of an index if the Job is indexed, that replaces the failed pod `before`.
pub(super) fn make(facts: &Facts<'_>, index: Option<u32>, before: Option<&Pod>) -> Pod {
    let job = facts.job;
    let mut pod = replicas::pods::from_template(job, &job.job_spec().template);
    let finalizers = pod.metadata.finalizers.get_or_insert_default();
    if !finalizers.iter().any(|f| f == TRACKING_FINALIZER) {
        finalizers.push(TRACKING_FINALIZER.into());
    }
    if let Some(index) = index {
        indexed(&mut pod, job, index);
        if facts.has_limit_per_index() {
            count_failures(facts, &mut pod, before);
        }
    }
    pod
}

fn indexed(pod: &mut Pod, job: &Job, index: u32) {
    let text = index.to_string();
    pod.metadata.annotations.get_or_insert_default().insert(COMPLETION_INDEX.into(), text.clone());
    pod.metadata.labels.get_or_insert_default().insert(COMPLETION_INDEX.into(), text);
    pod.metadata.generate_name = Some(prefix(job.name(), index));
    let spec = pod.spec.get_or_insert_default();
    spec.hostname = Some(format!("{}-{index}", job.name()));
    for container in spec.init_containers.iter_mut().flatten().chain(&mut spec.containers) {
        add_variable(container);
    }
}

fn prefix(name: &str, index: u32) -> String {
    let end = format!("-{index}-");
    let mut kept = name.len().min(PREFIX_MAX.saturating_sub(end.len()));
    while !name.is_char_boundary(kept) {
        kept -= 1;
    }
    format!("{}{end}", &name[..kept])
}

fn add_variable(container: &mut Container) {
    let env = container.env.get_or_insert_default();
    if env.iter().any(|v| v.name == INDEX_VARIABLE) {
        return;
    }
    let field_path = format!("metadata.labels['{COMPLETION_INDEX}']");
    let source = EnvVarSource {
        field_ref: Some(ObjectFieldSelector { api_version: None, field_path }),
        ..EnvVarSource::default()
    };
    env.push(EnvVar { name: INDEX_VARIABLE.into(), value: None, value_from: Some(source) });
}

/// How often the index has failed goes from pod to pod.
fn count_failures(facts: &Facts<'_>, pod: &mut Pod, before: Option<&Pod>) {
    let (counted, ignored) = match before {
        None => (0, 0),
        Some(before) => match facts.judge(before) {
            Failure::Ignored => (failure_count(before), ignored_count(before).saturating_add(1)),
            _ => (failure_count(before).saturating_add(1), ignored_count(before)),
        },
    };
    let annotations = pod.metadata.annotations.get_or_insert_default();
    annotations.insert(FAILURE_COUNT.into(), counted.to_string());
    if ignored > 0 {
        annotations.insert(IGNORED_COUNT.into(), ignored.to_string());
    }
}

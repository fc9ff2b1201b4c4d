//! Jobs. What a Job is asked by its controllers and printers: [`JobExt`].

use std::sync::LazyLock;

use apimachinery::Selector;
use apimachinery::field::{ErrorList, Path};
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobCondition, JobSpec, JobStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use crate::columns::{AGE, CONTAINERS, IMAGES, NAME, containers, text, wide};
use crate::core::pod;
use crate::desired;
use crate::owner::ObjectMetaExt;
use crate::selector;
use crate::strategy::{Column, Part, age, human_duration};

pub(crate) mod defaults;
mod status;
mod update;
pub(crate) mod validation;

#[cfg(test)]
mod tests;

/// The finalizer that keeps a Job's pod until the Job has counted it.
pub const TRACKING_FINALIZER: &str = "batch.kubernetes.io/job-tracking";
/// Which of a Job's indexes a pod works on: an annotation and a label.
pub const COMPLETION_INDEX: &str = "batch.kubernetes.io/job-completion-index";
pub const JOB_NAME_LABEL: &str = "batch.kubernetes.io/job-name";
pub const CONTROLLER_UID_LABEL: &str = "batch.kubernetes.io/controller-uid";
/// The labels' names before labels of the project got prefixes.
pub const LEGACY_JOB_NAME_LABEL: &str = "job-name";
pub const LEGACY_CONTROLLER_UID_LABEL: &str = "controller-uid";
/// Who controls a Job that names nobody in `managedBy`.
pub const CONTROLLER_NAME: &str = "kubernetes.io/job-controller";

/// More completions of an indexed Job than this need limits.
const COMPLETIONS_SOFT_MAX: i32 = 100_000;
const PARALLELISM_SOFT_MAX: i32 = 10_000;

/// What Jobs are asked.
pub trait JobExt {
    /// The spec; an empty one when it is missing, which validation never lets into the store.
    fn job_spec(&self) -> &JobSpec;
    fn job_status(&self) -> &JobStatus;
    /// Which pods it counts. The error is upstream's text.
    fn selector(&self) -> Result<Selector, String>;
    fn condition(&self, kind: &str) -> Option<&JobCondition>;
    /// The condition is there and true.
    fn is(&self, condition: &str) -> bool;
    /// Complete or Failed: nothing of it will ever run again.
    fn is_finished(&self) -> bool;
    fn is_suspended(&self) -> bool;
    /// Each pod has a completion index.
    fn is_indexed(&self) -> bool;
    /// A pod that is being deleted is replaced, and counted, only when it has ended.
    fn replaces_ended_only(&self) -> bool;
    /// When it became Complete or Failed.
    fn finished_at(&self) -> Option<Timestamp>;
    /// Who controls it, if not the Job controller.
    fn external_manager(&self) -> Option<&str>;
}

static NO_SPEC: LazyLock<JobSpec> = LazyLock::new(JobSpec::default);
static NO_STATUS: LazyLock<JobStatus> = LazyLock::new(JobStatus::default);

impl JobExt for Job {
    fn job_spec(&self) -> &JobSpec {
        self.spec.as_ref().unwrap_or(&NO_SPEC)
    }

    fn job_status(&self) -> &JobStatus {
        self.status.as_ref().unwrap_or(&NO_STATUS)
    }

    fn selector(&self) -> Result<Selector, String> {
        selector::compile(self.job_spec().selector.as_ref())
    }

    fn condition(&self, kind: &str) -> Option<&JobCondition> {
        self.job_status().conditions.iter().flatten().find(|c| c.type_ == kind)
    }

    fn is(&self, condition: &str) -> bool {
        self.condition(condition).is_some_and(|c| c.status == "True")
    }

    fn is_finished(&self) -> bool {
        self.is("Complete") || self.is("Failed")
    }

    fn is_suspended(&self) -> bool {
        self.job_spec().suspend == Some(true)
    }

    fn is_indexed(&self) -> bool {
        is_indexed(self.job_spec())
    }

    fn replaces_ended_only(&self) -> bool {
        let spec = self.job_spec();
        spec.pod_replacement_policy.as_deref() == Some("Failed") || spec.pod_failure_policy.is_some()
    }

    fn finished_at(&self) -> Option<Timestamp> {
        let done = ["Complete", "Failed"].into_iter().filter_map(|kind| self.condition(kind));
        let done = done.into_iter().find(|c| c.status == "True")?;
        done.last_transition_time.as_ref().map(|t| t.0)
    }

    fn external_manager(&self) -> Option<&str> {
        self.job_spec().managed_by.as_deref().filter(|name| *name != CONTROLLER_NAME)
    }
}

pub(crate) fn is_indexed(spec: &JobSpec) -> bool {
    spec.completion_mode.as_deref() == Some("Indexed")
}

/// Sets a condition that is not yet as told, with the time of now. One that is not there is not set to false. True
/// when anything changed.
pub fn set_condition(
    status: &mut JobStatus,
    kind: &str,
    to: bool,
    reason: &str,
    message: &str,
    now: Timestamp,
) -> bool {
    let condition = JobCondition {
        type_: kind.into(),
        status: if to { "True" } else { "False" }.into(),
        reason: Some(reason.into()).filter(|r: &String| !r.is_empty()),
        message: Some(message.into()).filter(|m: &String| !m.is_empty()),
        last_probe_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    };
    let conditions = status.conditions.get_or_insert_default();
    match conditions.iter_mut().find(|c| c.type_ == kind) {
        Some(old)
            if (&old.status, &old.reason, &old.message)
                == (&condition.status, &condition.reason, &condition.message) =>
        {
            false
        }
        Some(old) => {
            *old = condition;
            true
        }
        None if to => {
            conditions.push(condition);
            true
        }
        None => false,
    }
}

/// The rules of Jobs.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = Job;

    fn default(&self, job: &mut Job) {
        defaults::job(job);
    }

    fn prepare_create(&self, job: &mut Job) {
        generate_selector(job);
        defaults::labels(job);
        job.status = Some(JobStatus::default());
        job.metadata.generation = Some(1);
        if let Some(spec) = &mut job.spec {
            // An alpha feature that is off here, as it is upstream.
            spec.scheduling = None;
        }
    }

    fn prepare_update(&self, new: &mut Job, old: &Job, part: Part) {
        if part == Part::Status {
            new.spec.clone_from(&old.spec);
            return;
        }
        new.status.clone_from(&old.status);
        if let Some(spec) = &mut new.spec {
            spec.scheduling.clone_from(&old.job_spec().scheduling);
        }
        desired::bump_generation(new, old, "spec");
    }

    fn validate(&self, job: &Job) -> ErrorList {
        validation::job(job, true)
    }

    fn validate_update(&self, new: &Job, old: &Job, part: Part) -> ErrorList {
        match part {
            Part::Status => status::update(new, old),
            _ => update::update(new, old),
        }
    }

    fn warnings(&self, job: &Job) -> Vec<String> {
        warnings(job, job.job_spec(), &Path::new("spec"))
    }

    fn fields(&self, job: &Job) -> Vec<(&'static str, String)> {
        vec![("status.successful", job.job_status().succeeded.unwrap_or(0).to_string())]
    }

    fn field_names(&self) -> &'static [&'static str] {
        &["status.successful"]
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            text("Status", "Status of the job."),
            text("Completions", "How many pods have succeeded, of how many."),
            text("Duration", "Time required to complete the job."),
            AGE,
            CONTAINERS,
            IMAGES,
            wide("Selector", "Which pods are counted."),
        ];
        COLUMNS
    }

    fn row(&self, job: &Job, now: Timestamp) -> Vec<Value> {
        let spec = job.job_spec();
        let (names, images) = containers(Some(&spec.template));
        let selector = spec.selector.as_ref().map_or_else(|| "<none>".into(), selector::show);
        vec![
            json!(job.name()),
            json!(status_text(job)),
            json!(completions_text(job)),
            json!(duration_text(job, now)),
            json!(age(&job.metadata, now)),
            json!(names),
            json!(images),
            json!(selector),
        ]
    }
}

/// For whatever makes pods after the Job's template. `path` is that of the spec.
pub(crate) fn warnings<K: Kind>(maker: &K, spec: &JobSpec, path: &Path) -> Vec<String> {
    let mut texts = pod::warnings::of_maker(maker);
    let (completions, parallelism) = (spec.completions.unwrap_or(0), spec.parallelism.unwrap_or(0));
    if is_indexed(spec) && completions > COMPLETIONS_SOFT_MAX && parallelism > PARALLELISM_SOFT_MAX {
        texts.push(format!(
            "{path}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than \
             10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
        ));
    }
    texts.extend(pod::warnings::of_template_at(&spec.template, &path.child("template")));
    texts
}

/// A selector that only this Job's pods match: by labels that the template gets.
fn generate_selector(job: &mut Job) {
    let (name, uid) = (job.name().to_owned(), job.uid().to_owned());
    let Some(spec) = job.spec.as_mut().filter(|s| s.manual_selector != Some(true)) else { return };
    let labels = spec.template.metadata.get_or_insert_default().labels.get_or_insert_default();
    // What the user has set stays, for validation to judge.
    for (label, value) in [
        (LEGACY_JOB_NAME_LABEL, &name),
        (JOB_NAME_LABEL, &name),
        (LEGACY_CONTROLLER_UID_LABEL, &uid),
        (CONTROLLER_UID_LABEL, &uid),
    ] {
        labels.entry(label.into()).or_insert_with(|| value.clone());
    }
    let selected = spec.selector.get_or_insert_default().match_labels.get_or_insert_default();
    selected.entry(CONTROLLER_UID_LABEL.into()).or_insert(uid);
}

fn status_text(job: &Job) -> &'static str {
    match () {
        () if job.is("Complete") => "Complete",
        () if job.is("Failed") => "Failed",
        () if job.metadata.is_deleting() => "Terminating",
        () if job.is("Suspended") => "Suspended",
        () if job.is("FailureTarget") => "FailureTarget",
        () if job.is("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    }
}

fn completions_text(job: &Job) -> String {
    let succeeded = job.job_status().succeeded.unwrap_or(0);
    match (job.job_spec().completions, job.job_spec().parallelism.unwrap_or(0)) {
        (Some(wanted), _) => format!("{succeeded}/{wanted}"),
        (None, parallelism) if parallelism > 1 => format!("{succeeded}/1 of {parallelism}"),
        (None, _) => format!("{succeeded}/1"),
    }
}

fn duration_text(job: &Job, now: Timestamp) -> String {
    let status = job.job_status();
    let Some(start) = &status.start_time else { return String::new() };
    let end = status.completion_time.as_ref().map_or(now, |t| t.0);
    human_duration(end.duration_since(start.0).as_secs())
}

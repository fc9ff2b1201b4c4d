//! CronJobs.

use apimachinery::field::{ErrorList, Path};
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{CronJob, CronJobStatus};
use serde_json::{Value, json};

use super::job;
use crate::columns::{AGE, CONTAINERS, IMAGES, NAME, containers, number, since, text, wide};
use crate::desired;
use crate::fill;
use crate::selector;
use crate::strategy::{Column, Part, age};

mod validation;

#[cfg(test)]
mod tests;

/// When a Job should have been made, on the Job: RFC 3339 in the CronJob's zone.
pub const SCHEDULED_TIMESTAMP: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// The rules of CronJobs.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = CronJob;

    fn default(&self, cron_job: &mut CronJob) {
        let spec = &mut cron_job.spec;
        fill::text(&mut spec.concurrency_policy, "Allow");
        spec.suspend.get_or_insert(false);
        spec.successful_jobs_history_limit.get_or_insert(3);
        spec.failed_jobs_history_limit.get_or_insert(1);
        if let Some(spec) = &mut spec.job_template.spec {
            job::defaults::template(spec);
        }
    }

    fn prepare_create(&self, cron_job: &mut CronJob) {
        cron_job.status = Some(CronJobStatus::default());
        cron_job.metadata.generation = Some(1);
        if let Some(spec) = &mut cron_job.spec.job_template.spec {
            // An alpha feature that is off here, as it is upstream.
            spec.scheduling = None;
        }
    }

    fn prepare_update(&self, new: &mut CronJob, old: &CronJob, part: Part) {
        if part == Part::Status {
            new.spec.clone_from(&old.spec);
            return;
        }
        new.status.clone_from(&old.status);
        if let Some(spec) = &mut new.spec.job_template.spec {
            spec.scheduling = old.spec.job_template.spec.as_ref().and_then(|s| s.scheduling.clone());
        }
        desired::bump_generation(new, old, "spec");
    }

    fn validate(&self, cron_job: &CronJob) -> ErrorList {
        validation::create(cron_job)
    }

    fn validate_update(&self, new: &CronJob, old: &CronJob, part: Part) -> ErrorList {
        match part {
            Part::Status => ErrorList::new(),
            _ => validation::update(new, old),
        }
    }

    fn warnings(&self, cron_job: &CronJob) -> Vec<String> {
        let path = Path::new("spec");
        let none = Default::default();
        let spec = cron_job.spec.job_template.spec.as_ref().unwrap_or(&none);
        let mut texts = job::warnings(cron_job, spec, &path.child("jobTemplate").child("spec"));
        if cron_job.spec.schedule.contains("TZ") {
            texts.push(format!(
                "CRON_TZ or TZ used in {} is not officially supported, see \
                 https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details",
                path.child("schedule")
            ));
        }
        texts
    }

    fn columns(&self) -> &'static [Column] {
        const SUSPEND: Column =
            Column { kind: "boolean", ..text("Suspend", "Whether no further jobs are to be made.") };
        const COLUMNS: &[Column] = &[
            NAME,
            text("Schedule", "When jobs are made, as cron writes it."),
            text("Timezone", "The zone that the schedule's times are of."),
            SUSPEND,
            number("Active", "How many jobs are running."),
            text("Last Schedule", "How long ago a job was last made."),
            AGE,
            CONTAINERS,
            IMAGES,
            wide("Selector", "Which pods are counted."),
        ];
        COLUMNS
    }

    fn row(&self, cron_job: &CronJob, now: Timestamp) -> Vec<Value> {
        let (spec, status) = (&cron_job.spec, cron_job.status.clone().unwrap_or_default());
        let job_spec = spec.job_template.spec.as_ref();
        let (names, images) = containers(job_spec.map(|s| &s.template));
        let selector = job_spec.and_then(|s| s.selector.as_ref());
        let last = status.last_schedule_time.as_ref();
        vec![
            json!(cron_job.name()),
            json!(spec.schedule),
            json!(spec.time_zone.as_deref().unwrap_or("<none>")),
            json!(spec.suspend.map_or("<unset>", |s| if s { "True" } else { "False" })),
            json!(status.active.map_or(0, |a| a.len())),
            json!(last.map_or_else(|| "<none>".into(), |t| since(Some(t), now))),
            json!(age(&cron_job.metadata, now)),
            json!(names),
            json!(images),
            json!(selector.map_or_else(|| "<none>".into(), selector::show)),
        ]
    }
}

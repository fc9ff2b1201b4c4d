//! Rules for CronJobs.

use apimachinery::field::{Error, ErrorList, Path, Raw};
use codec::Kind;
use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec, JobTemplateSpec};

use crate::apps::replica_set::selector_json;
use crate::batch::job::validation as job;
use crate::batch::schedule::{Schedule, time_zone};
use crate::check::{non_negative, one, one_of};

/// A Job's name is that of its CronJob, a dash and ten digits.
const MAX_NAME: usize = 52;

/// A new CronJob.
pub(super) fn create(cron_job: &CronJob) -> ErrorList {
    let mut errs = spec(&cron_job.spec, None);
    errs.extend(one(cron_job.name().len() > MAX_NAME, || {
        let path = Path::new("metadata").child("name");
        Error::invalid(&path, cron_job.name(), "must be no more than 52 characters")
    }));
    errs
}

/// A changed one.
pub(super) fn update(new: &CronJob, old: &CronJob) -> ErrorList {
    spec(&new.spec, Some(&old.spec))
}

fn spec(spec: &CronJobSpec, old: Option<&CronJobSpec>) -> ErrorList {
    let path = Path::new("spec");
    let mut errs = schedule(spec, old, &path.child("schedule"));
    if let Some(seconds) = spec.starting_deadline_seconds {
        errs.extend(non_negative(&path.child("startingDeadlineSeconds"), seconds));
    }
    if let Some(zone) =
        spec.time_zone.as_deref().filter(|_| old.is_none_or(|o| o.time_zone != spec.time_zone))
    {
        errs.extend(zone_errors(zone, &path.child("timeZone")));
    }
    let policy = spec.concurrency_policy.as_deref().unwrap_or_default();
    errs.extend(one_of(&path.child("concurrencyPolicy"), policy, &["Allow", "Forbid", "Replace"]));
    errs.extend(template(&spec.job_template, &path.child("jobTemplate").child("spec")));
    for (field, value) in [
        ("successfulJobsHistoryLimit", spec.successful_jobs_history_limit),
        ("failedJobsHistoryLimit", spec.failed_jobs_history_limit),
    ] {
        if let Some(value) = value {
            errs.extend(non_negative(&path.child(field), value));
        }
    }
    errs
}

fn schedule(spec: &CronJobSpec, old: Option<&CronJobSpec>, path: &Path) -> ErrorList {
    let text = &spec.schedule;
    if text.is_empty() {
        return one(true, || Error::required(path, ""));
    }
    let mut errs = ErrorList::new();
    if let Err(why) = Schedule::parse(text) {
        errs.push(Error::invalid(path, text, why));
    }
    // A zone within the schedule was never meant to work; who has one keeps it.
    let had = old.is_some_and(|o| o.schedule.contains("TZ"));
    if text.contains("TZ") && !had {
        let detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
        errs.push(Error::invalid(path, text, detail));
    } else if text.contains("TZ") && spec.time_zone.is_some() {
        let detail = "cannot use both timeZone field and TZ or CRON_TZ in schedule";
        errs.push(Error::invalid(path, text, detail));
    }
    errs
}

fn zone_errors(zone: &str, path: &Path) -> ErrorList {
    if zone.is_empty() {
        return one(true, || Error::invalid(path, zone, "timeZone must be nil or non-empty string"));
    }
    let fine = |part: &str| {
        !matches!(part, "." | "..")
            && !part.starts_with('-')
            && (1..=14).contains(&part.len())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || ".-_+".contains(c))
    };
    if !zone.split('/').all(fine) {
        return one(true, || Error::invalid(path, zone, format!("unknown time zone {zone}")));
    }
    if zone.eq_ignore_ascii_case("local") {
        let detail = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
        return one(true, || Error::invalid(path, zone, detail));
    }
    time_zone(zone).err().map(|why| Error::invalid(path, zone, why)).into_iter().collect()
}

/// Selectors are made when Jobs are.
fn template(template: &JobTemplateSpec, path: &Path) -> ErrorList {
    let none = Default::default();
    let spec = template.spec.as_ref().unwrap_or(&none);
    let mut errs = job::spec(spec, path);
    if let Some(selector) = &spec.selector {
        let shown = Raw(selector_json(selector));
        errs.push(Error::invalid(&path.child("selector"), shown, "`selector` will be auto-generated"));
    }
    errs.extend(one(spec.manual_selector == Some(true), || {
        Error::not_supported(&path.child("manualSelector"), true, &["nil", "false"])
    }));
    errs
}

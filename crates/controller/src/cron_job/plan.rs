//! What a CronJob has to do now.

use std::collections::HashSet;
use std::time::Duration;

use client::EventType;
use codec::Kind;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use k8s_openapi::api::batch::v1::{CronJob, CronJobStatus, Job};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use resources::batch::cron_job::SCHEDULED_TIMESTAMP;
use resources::batch::job::JobExt;
use resources::batch::schedule::{Schedule, time_zone};
use resources::owner::{ObjectMetaExt, controller_ref};

use super::times::Times;

/// What a decision is based on.
pub(super) struct Facts<'a> {
    pub cron_job: &'a CronJob,
    /// Those that it controls.
    pub jobs: &'a [Job],
    /// Uids in its list of active Jobs that the API does not know any more.
    pub missing: &'a HashSet<String>,
    pub now: Timestamp,
    /// The zone of schedules that name none.
    pub local: &'a TimeZone,
}

#[derive(Debug, Default)]
pub(super) struct Plan<'a> {
    pub status: CronJobStatus,
    pub events: Vec<(EventType, &'static str, String)>,
    /// Finished Jobs beyond what is kept, the oldest first.
    pub history: Vec<&'a Job>,
    pub run: Option<Run>,
    /// Until the next time. `None`: only a change can bring it about.
    pub wait: Option<Duration>,
}

/// A Job to make.
#[derive(Debug)]
pub(super) struct Run {
    pub at: Timestamp,
    pub job: Job,
    /// Active ones that have to go first.
    pub replace: Vec<ObjectReference>,
}

pub(super) fn plan<'a>(facts: &Facts<'a>) -> Plan<'a> {
    let mut plan = Plan {
        status: facts.cron_job.status.clone().unwrap_or_default(),
        history: history(facts),
        ..Plan::default()
    };
    plan.observe(facts);
    if !facts.cron_job.metadata.is_deleting() {
        plan.schedule(facts);
    }
    plan
}

/// The zone of a CronJob's schedule. The error is for an event.
pub(super) fn zone(cron_job: &CronJob, local: &TimeZone) -> Result<TimeZone, String> {
    match &cron_job.spec.time_zone {
        Some(name) => time_zone(name).map_err(|why| format!("invalid timeZone: {name:?}: {why}")),
        None => Ok(local.clone()),
    }
}

impl Plan<'_> {
    fn warn(&mut self, reason: &'static str, message: String) {
        self.events.push((EventType::Warning, reason, message));
    }

    /// Brings the list of active Jobs up to date.
    fn observe(&mut self, facts: &Facts<'_>) {
        let mut active = self.status.active.take().unwrap_or_default();
        for job in facts.jobs {
            let listed = active.iter().position(|a| a.uid.as_deref() == Some(job.uid()));
            match (listed, job.is_finished()) {
                (Some(at), true) => {
                    active.remove(at);
                    let condition = if job.is("Complete") { "Complete" } else { "Failed" };
                    let message = format!("Saw completed job: {}, condition: {condition}", job.name());
                    self.events.push((EventType::Normal, "SawCompletedJob", message));
                }
                (None, false) => {
                    let message =
                        format!("Saw a job that the controller did not create or forgot: {}", job.name());
                    self.warn("UnexpectedJob", message);
                }
                _ => {}
            }
            let done = job.job_status().completion_time.as_ref().filter(|_| job.is("Complete"));
            let before = self.status.last_successful_time.as_ref();
            if done.is_some_and(|done| before.is_none_or(|before| done.0 > before.0)) {
                self.status.last_successful_time = done.cloned();
            }
        }
        let gone = |a: &ObjectReference| a.uid.as_ref().is_some_and(|uid| facts.missing.contains(uid));
        for job in active.extract_if(.., |a| gone(a)) {
            let message = format!("Active job went missing: {}", job.name.unwrap_or_default());
            self.events.push((EventType::Normal, "MissingJob", message));
        }
        self.status.active = (!active.is_empty()).then_some(active);
    }

    fn schedule(&mut self, facts: &Facts<'_>) {
        let spec = &facts.cron_job.spec;
        let zone = match zone(facts.cron_job, facts.local) {
            Ok(zone) => zone,
            Err(message) => return self.warn("UnknownTimeZone", message),
        };
        if spec.suspend == Some(true) {
            return;
        }
        let schedule = match Schedule::parse(&spec.schedule) {
            Ok(schedule) => schedule,
            Err(why) => {
                let message = format!("unparseable schedule: {:?} : {why}", spec.schedule);
                return self.warn("UnparseableSchedule", message);
            }
        };
        if spec.schedule.contains("TZ") {
            self.warn(
                "UnsupportedSchedule",
                format!(
                    "CRON_TZ or TZ used in schedule {:?} is not officially supported, see \
                     https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details",
                    spec.schedule
                ),
            );
        }
        let times = Times { schedule: &schedule, zone: &zone };
        match times.due(facts.cron_job, facts.now) {
            Err(why) => {
                return self.warn("InvalidSchedule", format!("invalid schedule: {} : {why}", spec.schedule));
            }
            Ok(None) => {}
            Ok(Some(due)) => {
                if due.too_many_missed {
                    let message = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or \
                                   check clock skew";
                    self.warn("TooManyMissedTimes", message.into());
                }
                self.run = self.due(facts, due.at);
            }
        }
        self.wait = times.wait(facts.cron_job, facts.now);
    }

    /// The Job for this time, unless it has been made, or may not be.
    fn due(&mut self, facts: &Facts<'_>, at: Timestamp) -> Option<Run> {
        let spec = &facts.cron_job.spec;
        let late = |seconds: i64| {
            at.checked_add(jiff::SignedDuration::from_secs(seconds)).is_ok_and(|latest| latest < facts.now)
        };
        if spec.starting_deadline_seconds.is_some_and(late) {
            let when = at.strftime("%a, %d %b %Y %H:%M:%S +0000");
            self.warn("MissSchedule", format!("Missed scheduled time to start a job: {when}"));
            return None;
        }
        let job = job(facts.cron_job, at);
        let active = self.status.active.as_deref().unwrap_or_default();
        let made = active.iter().any(|a| a.name.as_deref() == Some(job.name()))
            || self.status.last_schedule_time.as_ref().is_some_and(|t| t.0 == at);
        if made {
            return None;
        }
        let policy = spec.concurrency_policy.as_deref();
        if policy == Some("Forbid") && !active.is_empty() {
            let message =
                "Not starting job because prior execution is running and concurrency policy is Forbid";
            self.events.push((EventType::Normal, "JobAlreadyActive", message.into()));
            return None;
        }
        let replace = if policy == Some("Replace") { active.to_vec() } else { Vec::new() };
        Some(Run { at, job, replace })
    }
}

/// A Job of the template. Its name comes from the time, so that it cannot be made twice.
fn job(cron_job: &CronJob, at: Timestamp) -> Job {
    let template = &cron_job.spec.job_template;
    let meta = template.metadata.clone().unwrap_or_default();
    let mut annotations = meta.annotations.unwrap_or_default();
    annotations.insert(SCHEDULED_TIMESTAMP.into(), scheduled(cron_job, at));
    Job {
        metadata: ObjectMeta {
            name: Some(format!("{}-{}", cron_job.name(), at.as_second().div_euclid(60))),
            namespace: Some(cron_job.namespace().to_owned()),
            labels: meta.labels,
            annotations: Some(annotations),
            owner_references: Some(vec![controller_ref(cron_job)]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    }
}

/// RFC 3339, in the zone that the CronJob names, else UTC.
fn scheduled(cron_job: &CronJob, at: Timestamp) -> String {
    let at = at.to_zoned(zone(cron_job, &TimeZone::UTC).unwrap_or(TimeZone::UTC));
    let offset = if at.offset().is_zero() { "Z".into() } else { at.strftime("%:z").to_string() };
    format!("{}{offset}", at.strftime("%Y-%m-%dT%H:%M:%S"))
}

fn history<'a>(facts: &Facts<'a>) -> Vec<&'a Job> {
    let spec = &facts.cron_job.spec;
    let beyond = |kind: &str, limit: Option<i32>| {
        let mut jobs: Vec<&Job> = facts.jobs.iter().filter(|j| j.is(kind) && j.is_finished()).collect();
        // Those that never started are the newest.
        jobs.sort_by_key(|j| {
            let start = j.job_status().start_time.as_ref().map(|t| t.0);
            (start.is_none(), start, j.name().to_owned())
        });
        let keep = limit.map_or(jobs.len(), |l| usize::try_from(l).unwrap_or(0));
        jobs.truncate(jobs.len().saturating_sub(keep));
        jobs
    };
    let mut jobs = beyond("Complete", spec.successful_jobs_history_limit);
    jobs.extend(beyond("Failed", spec.failed_jobs_history_limit));
    jobs
}

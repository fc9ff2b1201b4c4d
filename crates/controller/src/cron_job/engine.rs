//! Wakes on changes and at the times of the schedules, reads, plans, acts.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use apimachinery::{ObjectKey, Status};
use client::transport::Change;
use client::{Api, DeleteOptions, EventRecorder, EventType, Informer, Propagation, Requeue, WorkQueue};
use codec::Kind;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use k8s_openapi::api::batch::v1::{CronJob, CronJobStatus, Job};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use resources::batch::job::JobExt;
use resources::batch::schedule::Schedule;
use resources::owner::ObjectMetaExt;
use stdx::clock::SharedClock;

use super::plan::{Facts, Run, plan, zone};
use super::times::Times;
use crate::context::{Component, object, synced};
use crate::replicas;

const WORKERS: usize = 5;

struct Engine {
    cron_jobs: Informer<CronJob>,
    jobs: Informer<Job>,
    cron_job_api: Api<CronJob>,
    job_api: Api<Job>,
    events: EventRecorder,
    queue: WorkQueue<ObjectKey>,
    clock: SharedClock,
    local: TimeZone,
}

pub fn start(component: Component) {
    let engine = Arc::new(Engine {
        cron_jobs: component.informer(),
        jobs: component.informer(),
        cron_job_api: component.api(),
        job_api: component.api(),
        events: component.recorder("cronjob-controller"),
        queue: component.queue(),
        clock: component.clock.clone(),
        local: TimeZone::system(),
    });
    let on_cron_job = engine.clone();
    component.on(&engine.cron_jobs, move |change| on_cron_job.cron_job_changed(change));
    let on_job = engine.clone();
    component.on(&engine.jobs, move |change| on_job.job_changed(change));
    let wait = vec![synced(&engine.cron_jobs), synced(&engine.jobs)];
    let queue = engine.queue.clone();
    component.run(wait, &queue, WORKERS, move |key| {
        let engine = engine.clone();
        async move { engine.reconcile(&key).await }
    });
}

impl Engine {
    fn cron_job_changed(&self, change: &Change) {
        let Some(seen) = object(change) else { return };
        let wait = match (&change.old, &change.new) {
            (Some(old), Some(new)) => self.new_schedule(old, new),
            _ => None,
        };
        // A new schedule counts from its next time on: what it would have named before was not missed.
        self.queue.add_after(seen.key.clone(), wait.unwrap_or(Duration::ZERO));
    }

    /// Until the next time, when the schedule has changed.
    fn new_schedule(&self, old: &cache::Object, new: &cache::Object) -> Option<Duration> {
        let old: CronJob = client::informer::decode(old)?;
        let new: CronJob = client::informer::decode(new)?;
        if (&old.spec.schedule, &old.spec.time_zone) == (&new.spec.schedule, &new.spec.time_zone) {
            return None;
        }
        let schedule = Schedule::parse(&new.spec.schedule).ok()?;
        let zone = zone(&new, &self.local).ok()?;
        Times { schedule: &schedule, zone: &zone }.wait(&new, self.clock.now())
    }

    fn job_changed(&self, change: &Change) {
        for job in [&change.old, &change.new].into_iter().flatten() {
            let Some(controller) = job.meta.controller() else { continue };
            if *controller.kind == *CronJob::KIND && *controller.api_version == *CronJob::API_VERSION {
                let (namespace, name) = (job.key.namespace.clone(), controller.name.clone());
                self.queue.add(ObjectKey { namespace, name });
            }
        }
    }

    async fn reconcile(&self, key: &ObjectKey) -> anyhow::Result<Requeue> {
        let Some(mut cron_job) = self.cron_jobs.get(key) else { return Ok(Requeue::Never) };
        let uid = cron_job.uid().to_owned();
        let jobs =
            self.jobs.list_where(&key.namespace, |meta| meta.controller().is_some_and(|c| *c.uid == *uid));
        if jobs.iter().any(|job| !job.is_finished() && !is_active(&cron_job, job)) {
            // We may have made it just now, and not yet see that we wrote it down.
            match self.cron_job_api.find(key).await?.filter(|fresh| fresh.uid() == uid) {
                Some(fresh) => cron_job = fresh,
                None => return Ok(Requeue::Never),
            }
        }
        let missing = self.missing(&cron_job, &jobs).await.context("look for active jobs")?;
        let (now, local) = (self.clock.now(), &self.local);
        let facts = Facts { cron_job: &cron_job, jobs: &jobs, missing: &missing, now, local };
        let mut plan = plan(&facts);
        for (kind, reason, message) in plan.events.drain(..) {
            self.tell(&cron_job, kind, reason, message);
        }
        for job in &plan.history {
            // The next sync tries those again that could not be deleted.
            self.delete(&cron_job, job).await;
        }
        let result = match &plan.run {
            Some(run) => self.run(&cron_job, run, &mut plan.status).await,
            None => Ok(()),
        };
        if plan.status != cron_job.status.clone().unwrap_or_default() {
            let mut new = cron_job.clone();
            new.status = Some(plan.status);
            match self.cron_job_api.update_status(&new).await {
                Err(status) if status.is_not_found() => {}
                written => drop(written.context("update status")?),
            }
        }
        result.context("start a job")?;
        Ok(plan.wait.map_or(Requeue::Never, Requeue::After))
    }

    /// Uids of active Jobs that are not there any more. Our view alone may just be late.
    async fn missing(&self, cron_job: &CronJob, jobs: &[Job]) -> Result<HashSet<String>, Status> {
        let active = cron_job.status.iter().flat_map(|s| s.active.iter().flatten());
        let mut missing = HashSet::new();
        for reference in active {
            let uid = reference.uid.clone().unwrap_or_default();
            if jobs.iter().any(|job| job.uid() == uid) {
                continue;
            }
            let name = reference.name.as_deref().unwrap_or_default();
            let found = self.job_api.find(&ObjectKey::new(cron_job.namespace(), name)).await?;
            if found.is_none_or(|job| job.uid() != uid) {
                missing.insert(uid);
            }
        }
        Ok(missing)
    }

    async fn run(&self, cron_job: &CronJob, run: &Run, status: &mut CronJobStatus) -> Result<(), Status> {
        for reference in &run.replace {
            let name = reference.name.as_deref().unwrap_or_default();
            let found = self.job_api.find(&ObjectKey::new(cron_job.namespace(), name)).await?;
            if let Some(job) = found.filter(|job| Some(job.uid()) == reference.uid.as_deref())
                && !self.delete(cron_job, &job).await
            {
                let place = format!("{}/{}", job.namespace(), job.name());
                return Err(Status::internal(format!("could not replace job {place}")));
            }
            status.active.iter_mut().for_each(|list| list.retain(|a| a.uid != reference.uid));
        }
        let job = match self.job_api.create(&run.job).await {
            Ok(job) => {
                let message = format!("Created job {}", job.name());
                self.tell(cron_job, EventType::Normal, "SuccessfulCreate", message);
                job
            }
            // Made before, but not written down; or by somebody else, who then has to see to it.
            Err(status) if status.is_already_exists() => {
                let job = self.job_api.get(run.job.namespace(), run.job.name()).await?;
                if !job.metadata.is_controlled_by(cron_job.uid()) {
                    return Ok(());
                }
                job
            }
            Err(status) => {
                if !replicas::is_namespace_terminating(&status) {
                    let message = format!("Error creating job: {status}");
                    self.tell(cron_job, EventType::Warning, "FailedCreate", message);
                }
                return Err(status);
            }
        };
        note(status, &job, run.at);
        Ok(())
    }

    /// Deletes a Job and its pods; whether it is gone.
    async fn delete(&self, cron_job: &CronJob, job: &Job) -> bool {
        let options =
            DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::uid(job.uid()) };
        match self.job_api.delete(job.namespace(), job.name(), &options).await {
            Err(status) if !status.is_not_found() => {
                let message = format!("Deleted job: {status}");
                self.tell(cron_job, EventType::Warning, "FailedDelete", message);
                false
            }
            _ => {
                let message = format!("Deleted job {}", job.name());
                self.tell(cron_job, EventType::Normal, "SuccessfulDelete", message);
                true
            }
        }
    }

    fn tell(&self, cron_job: &CronJob, kind: EventType, reason: &str, message: String) {
        match kind {
            EventType::Normal => self.events.normal(cron_job, reason, message),
            EventType::Warning => self.events.warning(cron_job, reason, message),
        }
    }
}

fn is_active(cron_job: &CronJob, job: &Job) -> bool {
    let active = cron_job.status.iter().flat_map(|s| s.active.iter().flatten());
    active.into_iter().any(|a| a.uid.as_deref() == Some(job.uid()))
}

/// Writes down that the Job runs.
fn note(status: &mut CronJobStatus, job: &Job, at: Timestamp) {
    let active = status.active.get_or_insert_default();
    if !active.iter().any(|a| a.uid.as_deref() == Some(job.uid())) {
        active.push(ObjectReference {
            api_version: Some(Job::API_VERSION.into()),
            kind: Some(Job::KIND.into()),
            namespace: Some(job.namespace().to_owned()),
            name: Some(job.name().to_owned()),
            uid: Some(job.uid().to_owned()),
            resource_version: job.metadata.resource_version.clone(),
            field_path: None,
        });
    }
    status.last_schedule_time = Some(Time(at));
}

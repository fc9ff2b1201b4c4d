//! Finished Jobs go when their `ttlSecondsAfterFinished` are over.

use std::sync::Arc;
use std::time::Duration;

use apimachinery::ObjectKey;
use client::{Api, DeleteOptions, Informer, Propagation, Requeue};
use codec::Kind;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use resources::batch::job::JobExt;
use resources::owner::ObjectMetaExt;
use stdx::clock::SharedClock;

use crate::context::{Component, object, synced};

const WORKERS: usize = 5;

struct Reaper {
    jobs: Informer<Job>,
    api: Api<Job>,
    clock: SharedClock,
}

pub fn start(component: Component) {
    let queue = component.queue::<ObjectKey>();
    let reaper =
        Arc::new(Reaper { jobs: component.informer(), api: component.api(), clock: component.clock.clone() });
    let wakes = queue.clone();
    component.on(&reaper.jobs, move |change| {
        if let Some(job) = object(change) {
            wakes.add(job.key.clone());
        }
    });
    let wait = vec![synced(&reaper.jobs)];
    component.run(wait, &queue, WORKERS, move |key| {
        let reaper = reaper.clone();
        async move { reaper.reconcile(&key).await }
    });
}

impl Reaper {
    async fn reconcile(&self, key: &ObjectKey) -> anyhow::Result<Requeue> {
        let Some(job) = self.jobs.get(key) else { return Ok(Requeue::Never) };
        match remaining(&job, self.clock.now()) {
            None => return Ok(Requeue::Never),
            Some(wait) if !wait.is_zero() => return Ok(Requeue::After(wait)),
            Some(_) => {}
        }
        // The view may be old, and what is deleted by mistake is lost.
        let Some(fresh) = self.api.find(key).await? else { return Ok(Requeue::Never) };
        match remaining(&fresh, self.clock.now()) {
            None => return Ok(Requeue::Never),
            Some(wait) if !wait.is_zero() => return Ok(Requeue::After(wait)),
            Some(_) => {}
        }
        let options =
            DeleteOptions { propagation: Some(Propagation::Foreground), ..DeleteOptions::uid(fresh.uid()) };
        match self.api.delete(&key.namespace, &key.name, &options).await {
            Err(status) if !status.is_not_found() => Err(status.into()),
            _ => Ok(Requeue::Never),
        }
    }
}

/// Until the Job is to go. `None` unless it has ended, has a time to live, and is not going already.
fn remaining(job: &Job, now: Timestamp) -> Option<Duration> {
    let seconds = job.job_spec().ttl_seconds_after_finished.filter(|_| !job.metadata.is_deleting())?;
    let left = SignedDuration::from_secs(seconds.into()) - now.duration_since(job.finished_at()?);
    Some(Duration::try_from(left).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests;

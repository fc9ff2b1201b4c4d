//! Wakes on changes, reads, decides, acts, writes down.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use apimachinery::{ObjectKey, Status};
use client::transport::Change;
use client::{Api, EventRecorder, EventType, Informer, Requeue, WorkQueue};
use codec::Kind;
use futures::future::join_all;
use k8s_openapi::api::batch::v1::{Job, JobStatus};
use k8s_openapi::api::core::v1::Pod;
use resources::batch::job::{JobExt, TRACKING_FINALIZER};
use resources::core::pod::PodExt;
use stdx::clock::SharedClock;

use super::account::{self, Done, Ledger};
use super::backoff::Backoff;
use super::observe::{Facts, Observed, observe};
use super::orphans::{Orphans, release};
use super::plan::{Action, plan};
use super::pods::make;
use super::released::Released;
use crate::claim;
use crate::context::{Component, object, synced};
use crate::expectations::Expectations;
use crate::replicas;

const WORKERS: usize = 5;
/// Pods tend to change together; one look at all of them is enough.
const BATCH: Duration = Duration::from_millis(100);

/// What is remembered of a Job from look to look.
#[derive(Clone, Copy, Default)]
struct Memory {
    backoff: Backoff,
    /// The resourceVersion of our last write. An older view of the Job has pods in no list that are counted since, and would
    /// have them replaced.
    written: u64,
}

struct Engine {
    jobs: Informer<Job>,
    pods: Informer<Pod>,
    job_api: Api<Job>,
    pod_api: Api<Pod>,
    events: EventRecorder,
    expectations: Expectations,
    released: Released,
    memory: Mutex<HashMap<ObjectKey, Memory>>,
    queue: WorkQueue<ObjectKey>,
    /// Pods that may have to be let go.
    orphans: WorkQueue<ObjectKey>,
    clock: SharedClock,
}

pub fn start(component: Component) {
    let engine = Arc::new(Engine {
        jobs: component.informer(),
        pods: component.informer(),
        job_api: component.api(),
        pod_api: component.api(),
        events: component.recorder("job-controller"),
        expectations: Expectations::new(component.clock.clone()),
        released: Released::default(),
        memory: Mutex::default(),
        queue: component.queue(),
        orphans: component.queue(),
        clock: component.clock.clone(),
    });
    let on_job = engine.clone();
    component.on(&engine.jobs, move |change| on_job.job_changed(change));
    let on_pod = engine.clone();
    component.on(&engine.pods, move |change| on_pod.pod_changed(change));
    let wait = || vec![synced(&engine.jobs), synced(&engine.pods)];
    let orphans = Arc::new(Orphans {
        jobs: engine.jobs.clone(),
        pods: engine.pods.clone(),
        job_api: engine.job_api.clone(),
        pod_api: engine.pod_api.clone(),
    });
    component.run(wait(), &engine.orphans, 1, move |key| {
        let orphans = orphans.clone();
        async move { orphans.reconcile(&key).await }
    });
    let (wait, queue) = (wait(), engine.queue.clone());
    component.run(wait, &queue, WORKERS, move |key| {
        let engine = engine.clone();
        async move { engine.reconcile(&key).await }
    });
}

impl Engine {
    fn memory(&self) -> MutexGuard<'_, HashMap<ObjectKey, Memory>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn job_changed(&self, change: &Change) {
        let Some(seen) = object(change) else { return };
        let Change { old, new } = change;
        if let Some(old) = old.as_ref().filter(|o| new.as_ref().is_none_or(|n| n.meta.uid != o.meta.uid)) {
            self.forget(&old.key);
            self.let_go(&old.meta.uid);
        }
        self.queue.add(seen.key.clone());
    }

    /// Looks again at the pods of a Job that will not count them.
    fn let_go(&self, uid: &str) {
        for pod in self.pods.view().by_index("owner", uid) {
            if is_tracked(&pod) {
                self.orphans.add(pod.key.clone());
            }
        }
    }

    fn forget(&self, key: &ObjectKey) {
        self.expectations.forget(key);
        self.released.forget(key);
        self.memory().remove(key);
    }

    fn pod_changed(&self, change: &Change) {
        let Change { old, new } = change;
        let (old_owner, new_owner) = (old.as_ref().and_then(job_of), new.as_ref().and_then(job_of));
        if let (Some(owner), None) = (&new_owner, old) {
            self.expectations.created(owner);
        }
        for (owner, pod) in [(&old_owner, old), (&new_owner, new)] {
            let (Some(owner), Some(pod)) = (owner, pod) else { continue };
            if new.as_ref().is_none_or(|new| new.meta.deleting) {
                self.expectations.deleted(owner, &pod.meta.uid);
            }
            if new.as_ref().is_none_or(|new| !is_tracked(new)) {
                self.released.seen(owner, &pod.meta.uid);
            }
            self.queue.add_after(owner.clone(), BATCH);
        }
        let Some(new) = new else { return };
        let known = new_owner.as_ref().and_then(|owner| self.jobs.get(owner));
        if is_tracked(new) && known.is_none_or(|job| job.is_finished()) {
            self.orphans.add(new.key.clone());
        }
        if new.meta.controller().is_none() && !new.meta.deleting {
            let relabelled =
                old.as_ref().is_none_or(|o| o.meta.labels != new.meta.labels || old_owner.is_some());
            if relabelled {
                self.offer_orphan(new);
            }
        }
    }

    fn offer_orphan(&self, pod: &cache::Object) {
        for job in self.jobs.list(&pod.key.namespace) {
            if !job.is_finished() && job.selector().is_ok_and(|s| !s.is_empty() && s.matches(&pod.meta)) {
                self.queue.add(ObjectKey::new(job.namespace(), job.name()));
            }
        }
    }

    async fn reconcile(&self, key: &ObjectKey) -> anyhow::Result<Requeue> {
        let Some(job) = self.jobs.get(key) else {
            self.forget(key);
            return Ok(Requeue::Never);
        };
        if job.external_manager().is_some() {
            return Ok(Requeue::Never);
        }
        if job.is_finished() {
            self.forget(key);
            self.let_go(job.uid());
            return Ok(Requeue::Never);
        }
        let memory = self.memory().get(key).copied().unwrap_or_default();
        if revision(&job) < memory.written {
            // The change that we wait for wakes us.
            return Ok(Requeue::Never);
        }
        // Before reading pods: what is seen after these questions only makes the answers truer.
        let settled = self.expectations.satisfied(key);
        let released = self.released.of(key);
        let selector = match job.selector() {
            Ok(selector) => selector,
            Err(error) => {
                // Only a change of the object can mend it.
                tracing::error!(%key, "invalid selector: {error}");
                return Ok(Requeue::Never);
            }
        };
        let candidates = claim::candidates(&self.pods, &job, &selector);
        let (jobs, pods) = (&self.job_api, &self.pod_api);
        let pods = claim::claim_finalized(jobs, pods, &job, &selector, candidates, Some(TRACKING_FINALIZER))
            .await
            .context("claim pods")?;
        let facts = Facts {
            job: &job,
            pods: &pods,
            released: &released,
            settled,
            backoff: memory.backoff,
            now: self.clock.now(),
        };
        let observed = observe(&facts);
        let action = plan(&facts, &observed);
        let (done, failure) = self.act(key, &facts, &observed, &action).await;
        let ledger = account::open(&facts, &observed, &action, &done);
        self.write(key, &facts, observed.backoff, ledger).await?;
        if let Some(status) = failure {
            return Err(status.into());
        }
        let wait = if let Action::Wait(wait) = action { Some(wait) } else { None };
        let deadline = observed.deadline_in.filter(|_| observed.end.is_none());
        let next = wait.into_iter().chain(deadline).min();
        // A little late rather than a little early, and then again.
        Ok(next.map_or(Requeue::Never, |next| Requeue::After(next + Duration::from_millis(10))))
    }

    async fn act(
        &self,
        key: &ObjectKey,
        facts: &Facts<'_>,
        observed: &Observed<'_>,
        action: &Action<'_>,
    ) -> (Done, Option<Status>) {
        match action {
            Action::Stop(pods) => remove(pods, |pod| self.delete(facts.job, pod)).await,
            Action::Remove(pods) => {
                self.expectations.expect(key, 0, pods.iter().map(|pod| pod.uid().to_owned()));
                remove(pods, |pod| self.give_up(key, facts.job, pod)).await
            }
            Action::Create(indexes) => {
                self.expectations.expect(key, indexes.len(), []);
                let pods = indexes.iter().map(|index| {
                    let before = observed.indexes.as_ref().and_then(|s| s.waiting.get(&(*index)?)).copied();
                    make(facts, *index, before)
                });
                self.create(key, facts.job, &pods.collect::<Vec<_>>()).await
            }
            Action::Wait(_) | Action::Nothing | Action::NotNow => (Done::default(), None),
        }
    }

    async fn create(&self, key: &ObjectKey, job: &Job, pods: &[Pod]) -> (Done, Option<Status>) {
        let next = AtomicUsize::new(0);
        let (created, failure) = replicas::pods::slow_start(pods.len(), || {
            let pod = pods.get(next.fetch_add(1, Ordering::Relaxed));
            async move {
                match pod {
                    Some(pod) => replicas::pods::create(&self.pod_api, &self.events, job, pod).await,
                    None => Ok(()),
                }
            }
        })
        .await;
        // Those not made will not be seen either.
        (created..pods.len()).for_each(|_| self.expectations.created(key));
        let failure = failure.filter(|status| !replicas::is_namespace_terminating(status));
        (Done { created: created as i32, ..Done::default() }, failure)
    }

    async fn delete(&self, job: &Job, pod: &Pod) -> Result<(), Status> {
        match replicas::pods::delete(&self.pod_api, &self.events, job, pod).await {
            Err(status) if !status.is_not_found() => Err(status),
            _ => Ok(()),
        }
    }

    /// Deletes a pod that shall not count.
    async fn give_up(&self, key: &ObjectKey, job: &Job, pod: &Pod) -> Result<(), Status> {
        let result = match release(&self.pod_api, pod).await {
            Ok(()) => replicas::pods::delete(&self.pod_api, &self.events, job, pod).await,
            failed => failed,
        };
        match result {
            Ok(()) => Ok(()),
            Err(status) => {
                // Nothing will be seen of it, or was before.
                self.expectations.deleted(key, pod.uid());
                if status.is_not_found() { Ok(()) } else { Err(status) }
            }
        }
    }

    /// See [`account`]. A conflict means that our view was old: then nothing of this is true, and it is tried again.
    async fn write(
        &self,
        key: &ObjectKey,
        facts: &Facts<'_>,
        backoff: Backoff,
        mut ledger: Ledger<'_>,
    ) -> anyhow::Result<()> {
        let mut job = facts.job.clone();
        if ledger.status != *facts.job.job_status() {
            job =
                self.put(key, &job, ledger.status.clone()).await.context("list ended pods in the status")?;
            self.memory().entry(key.clone()).or_default().backoff = backoff;
        }
        self.tell(&job, std::mem::take(&mut ledger.events));
        let (released, failure) = self.release(key, &ledger.release).await;
        let (status, events) = ledger.close(&job, &released, self.clock.now());
        if status != *job.job_status() {
            job = self.put(key, &job, status).await.context("count ended pods in the status")?;
        }
        self.tell(&job, events);
        match failure {
            Some(status) => Err(anyhow::Error::from(status).context("remove the tracking finalizer")),
            None => Ok(()),
        }
    }

    async fn put(&self, key: &ObjectKey, job: &Job, status: JobStatus) -> Result<Job, Status> {
        let mut job = job.clone();
        job.status = Some(status);
        let job = self.job_api.update_status(&job).await?;
        self.memory().entry(key.clone()).or_default().written = revision(&job);
        Ok(job)
    }

    fn tell(&self, job: &Job, events: Vec<(EventType, String, String)>) {
        for (kind, reason, message) in events {
            match kind {
                EventType::Normal => self.events.normal(job, &reason, message),
                EventType::Warning => self.events.warning(job, &reason, message),
            }
        }
    }

    /// The uids of those that have lost the finalizer, and the first failure.
    async fn release(&self, key: &ObjectKey, pods: &[&Pod]) -> (HashSet<String>, Option<Status>) {
        pods.iter().for_each(|pod| self.released.expect(key, pod.uid()));
        let results = join_all(pods.iter().map(|pod| release(&self.pod_api, pod))).await;
        let mut released = HashSet::new();
        let mut failure = None;
        for (pod, result) in pods.iter().zip(results) {
            match result {
                Ok(()) => drop(released.insert(pod.uid().to_owned())),
                Err(status) => {
                    self.released.seen(key, pod.uid());
                    failure = failure.or(Some(status));
                }
            }
        }
        (released, failure)
    }
}

/// Removes each by `how`; what came of it, and the first failure.
async fn remove<'a, F, Fut>(pods: &[&'a Pod], how: F) -> (Done, Option<Status>)
where
    F: Fn(&'a Pod) -> Fut,
    Fut: Future<Output = Result<(), Status>>,
{
    let results = join_all(pods.iter().map(|pod| how(pod))).await;
    let mut done = Done::default();
    let mut failure = None;
    for (pod, result) in pods.iter().zip(results) {
        match result {
            Ok(()) => {
                done.removed += 1;
                done.ready += i32::from(pod.is_ready());
            }
            Err(status) => failure = failure.or(Some(status)),
        }
    }
    (done, failure)
}

/// 0 for what is no number, which then is never waited for.
fn revision(job: &Job) -> u64 {
    job.metadata.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The Job that controls a pod.
fn job_of(pod: &Arc<cache::Object>) -> Option<ObjectKey> {
    let controller = pod.meta.controller()?;
    let ours = *controller.kind == *Job::KIND && *controller.api_version == *Job::API_VERSION;
    ours.then(|| ObjectKey { namespace: pod.key.namespace.clone(), name: controller.name.clone() })
}

fn is_tracked(pod: &cache::Object) -> bool {
    pod.meta.finalizers.iter().any(|f| **f == *TRACKING_FINALIZER)
}

//! Beginning what the plan asks for, and taking note of how it went.

use std::sync::Arc;
use std::time::Duration;

use apimachinery::Status;
use client::EventType;
use codec::Kind as _;
use futures::FutureExt as _;
use k8s_openapi::api::core::v1::{Pod, PodStatus};

use super::start::Started;
use super::{PullBackOff, Worker};
use crate::observed::Failure;
use crate::plan::Action;
use crate::volumes::{SetUp, VolumeError};

/// The end of a job.
pub enum Done {
    Prepared(Result<SetUp, VolumeError>, u64),
    /// Volumes brought up to date while the pod runs.
    Refreshed(Result<SetUp, VolumeError>, u64),
    Sandbox(Result<String, String>),
    SandboxStopped(Result<(), String>),
    Started(Box<Started>),
    Killed(String),
    /// With the pod and the containers it was about.
    Resized(Result<(), String>, Arc<Pod>, Vec<String>),
    TornDown(Result<(), String>),
    Removed,
    Cleaned,
    Written(Result<Box<Pod>, Status>),
    Finished(Result<(), Status>),
    Purged(Result<(), String>),
}

/// A pod-wide step failed: the first wait and the longest.
const POD_RETRY: Duration = Duration::from_millis(500);
const POD_RETRY_MAX: Duration = Duration::from_secs(10);
/// A failed pull shows as ErrImagePull for so long, then as a back-off.
const PULL_ERROR_SHOWN: Duration = Duration::from_secs(2);
const PULL_RETRY: Duration = Duration::from_secs(10);
const PULL_RETRY_MAX: Duration = Duration::from_secs(300);

impl Worker {
    pub(super) fn begin(&mut self, action: Action, status: &PodStatus) {
        match action {
            Action::Prepare => self.prepare(),
            Action::CreateSandbox { attempt } => self.create_sandbox(attempt),
            Action::StopSandbox { id } => self.stop_sandbox(id),
            Action::Start(start) => self.start(start),
            Action::Kill(kill) => self.kill(kill),
            Action::Resize { names } => self.resize(names),
            Action::Remove { id } => self.remove_container(id),
            Action::TearDown => self.tear_down(),
            Action::Finish => self.finish(status),
            Action::Purge => self.purge(),
        }
    }

    pub(super) fn done(&mut self, done: Done) {
        match done {
            Done::Prepared(result, version) => {
                self.observed.work.pod_job = false;
                self.prepared(result, version);
            }
            Done::Refreshed(result, version) => {
                self.observed.work.pod_job = false;
                self.refreshed(result, version);
            }
            Done::Sandbox(result) => self.pod_step(result.map(|id| self.mailbox.add(Some(&id), None))),
            Done::SandboxStopped(result) => self.pod_step(result),
            Done::TornDown(result) => {
                if result.is_ok() {
                    self.context.allocations.release(&self.uid);
                }
                self.observed.work.torn_down = result.is_ok();
                self.observed.work.prepared = false;
                self.pod_step(result);
            }
            Done::Started(started) => self.started(*started),
            Done::Killed(id) => drop(self.observed.work.killing.remove(&id)),
            Done::Resized(result, pod, names) => self.resized(result, &pod, &names),
            Done::Removed => self.observed.work.pod_job = false,
            Done::Cleaned => self.cleaning = false,
            Done::Written(result) => self.written(result),
            Done::Finished(result) => self.finished(result),
            Done::Purged(result) => {
                self.purged = result.is_ok();
                self.pod_step(result);
            }
        }
    }

    /// The end of a step of the whole pod; after a failure the next one waits.
    fn pod_step(&mut self, result: Result<(), String>) {
        self.observed.work.pod_job = false;
        match result {
            Ok(()) => {
                self.pod_failures = 0;
                self.observed.retry_pod_at = None;
            }
            Err(e) => {
                tracing::warn!(pod = self.pod.name(), namespace = self.pod.namespace(), "{e}");
                self.pod_failed();
            }
        }
    }

    fn pod_failed(&mut self) {
        let wait = (POD_RETRY * 2_u32.pow(self.pod_failures.min(8))).min(POD_RETRY_MAX);
        self.pod_failures += 1;
        self.observed.retry_pod_at = Some(self.later(wait));
    }

    fn prepared(&mut self, result: Result<SetUp, VolumeError>, version: u64) {
        match result {
            Ok(done) => {
                self.observed.work.prepared = true;
                if let Err(e) = self.context.allocations.save(&self.uid) {
                    tracing::warn!(pod = self.pod.name(), "cannot write down what a pod was given: {e}");
                }
                self.shown = version;
                self.renew_at = done.again_at;
                self.pod_failures = 0;
            }
            Err(e) => {
                self.context.pod_event(&self.pod, EventType::Warning, "FailedMount", e.0);
                self.pod_failed();
                if self.objects.version() != version {
                    // What it waits for may have come while it said so.
                    self.objects_changed();
                }
            }
        }
    }

    fn refreshed(&mut self, result: Result<SetUp, VolumeError>, version: u64) {
        match result {
            Ok(done) => {
                self.renew_at = done.again_at;
                self.shown = version;
            }
            Err(e) => {
                // Containers go on with what they have. Tried again with the next change, or soon.
                self.context.pod_event(&self.pod, EventType::Warning, "FailedMount", e.0);
                self.shown = version;
                self.renew_at = Some(self.later(Duration::from_secs(30)));
            }
        }
    }

    /// A container was started, or not.
    fn started(&mut self, started: Started) {
        self.observed.work.starting = None;
        if let Some(id) = &started.container {
            self.mailbox.add(None, Some(id));
        }
        let name = started.name;
        self.observed.resize.restarting.clear();
        match started.result {
            Ok(()) => {
                self.note_actuated(&started.pod, &name);
                self.observed.failures.remove(&name);
                self.pulls.remove(&name);
            }
            Err(failed) => {
                let retry = if failed.pull { self.pull_failed(&name, &failed.message) } else { failed.retry };
                let failure = match failed.reason {
                    // The end of the back-off is known already.
                    "ImagePullBackOff" => {
                        self.pulls.get(&name).map_or_else(|| self.later(retry), |p| p.until)
                    }
                    _ => self.later(retry),
                };
                let failure =
                    Failure { reason: failed.reason.into(), message: failed.message, retry_at: failure };
                self.observed.failures.insert(name, failure);
            }
        }
    }

    fn pull_failed(&mut self, name: &str, error: &str) -> Duration {
        let delay = self.pulls.get(name).map_or(PULL_RETRY, |p| (p.delay * 2).min(PULL_RETRY_MAX));
        let error = format!("ErrImagePull: {error}");
        self.pulls.insert(name.into(), PullBackOff { delay, until: self.later(delay), error });
        PULL_ERROR_SHOWN
    }

    /// Why no pull is made now, if none is.
    pub(super) fn pull_back_off(&self, name: &str) -> Option<String> {
        let now = self.context.clock.now();
        self.pulls.get(name).filter(|p| p.until > now).map(|p| p.error.clone())
    }

    fn remove_container(&mut self, id: String) {
        self.observed.work.pod_job = true;
        let context = self.context.clone();
        self.jobs.push(
            async move {
                if let Err(e) = context.runtime.remove_container(&id).await {
                    tracing::warn!(container = id, "cannot remove a container: {e}");
                    context.clock.sleep(POD_RETRY).await;
                }
                Done::Removed
            }
            .boxed(),
        );
    }
}

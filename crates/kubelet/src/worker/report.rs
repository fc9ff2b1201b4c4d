//! Writing the pod's status: one write at a time, each with all that has changed since the last.

use std::sync::Arc;
use std::time::Duration;

use apimachinery::Status;
use client::{DeleteOptions, PatchType};
use codec::Kind as _;
use futures::FutureExt as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};

use super::Worker;
use super::jobs::Done;
use crate::statics;
use crate::status::patch::status_patch;

/// How reporting goes.
#[derive(Default)]
pub struct Report {
    writing: bool,
    failures: u32,
    pub retry_at: Option<Timestamp>,
}

/// A mirror that is in the way goes soon.
const MIRROR_RETRY: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(10);

impl Worker {
    /// Writes the status if it differs from the API's, unless a write is under way.
    pub(super) fn report(&mut self, status: &PodStatus) {
        let now = self.context.clock.now();
        if self.status.writing || self.observed.gone || self.status.retry_at.is_some_and(|at| at > now) {
            return;
        }
        self.status.retry_at = None;
        if statics::is_static(&self.pod) {
            return self.report_static(status);
        }
        let old = self.pod.status.clone().unwrap_or_default();
        let Some(patch) = status_patch(&self.uid, &old, status) else { return };
        self.status.writing = true;
        let (api, pod) = (self.context.pods.clone(), self.pod.clone());
        self.jobs.push(
            async move {
                let written =
                    api.patch_status(pod.namespace(), pod.name(), PatchType::Strategic, &patch).await;
                Done::Written(written.map(Box::new))
            }
            .boxed(),
        );
    }

    /// Into the mirror, which is made when there is none.
    fn report_static(&mut self, status: &PodStatus) {
        let (context, pod) = (self.context.clone(), self.pod.clone());
        let Some(mirror) = self.mirror.clone() else {
            self.status.writing = true;
            let made =
                async move { Done::Written(statics::create_mirror(&context, &pod).await.map(Box::new)) };
            return self.jobs.push(made.boxed());
        };
        let old = mirror.status.clone().unwrap_or_default();
        let Some(patch) = status_patch(mirror.uid(), &old, status) else { return };
        self.status.writing = true;
        let api = context.pods.clone();
        self.jobs.push(
            async move {
                let written =
                    api.patch_status(mirror.namespace(), mirror.name(), PatchType::Strategic, &patch).await;
                Done::Written(written.map(Box::new))
            }
            .boxed(),
        );
    }

    pub(super) fn written(&mut self, result: Result<Box<Pod>, Status>) {
        self.status.writing = false;
        match result {
            Ok(pod) => {
                self.status.failures = 0;
                let pod = Arc::new(*pod);
                if statics::is_static(&self.pod) {
                    return self.take_mirror(Some(pod));
                }
                if is_newer(&pod, &self.pod) {
                    self.set_pod(pod);
                }
            }
            // Gone, or another of that name: the view will say so.
            Err(e) if e.is_not_found() || e.is_conflict() => {
                let wait = if statics::is_static(&self.pod) { MIRROR_RETRY } else { RETRY_MAX };
                self.status.retry_at = Some(self.later(wait))
            }
            Err(e) => {
                tracing::warn!(pod = self.pod.name(), "cannot write a pod's status: {e}");
                self.status.failures += 1;
                let wait = Duration::from_millis(200 << self.status.failures.min(6)).min(RETRY_MAX);
                self.status.retry_at = Some(self.later(wait));
            }
        }
    }

    /// The last status, and the end of the object in the API.
    pub(super) fn finish(&mut self, status: &PodStatus) {
        if self.status.writing {
            return; // Its end brings us here again.
        }
        let old = self.pod.status.clone().unwrap_or_default();
        let patch = status_patch(&self.uid, &old, status);
        let (api, pod, uid) = (self.context.pods.clone(), self.pod.clone(), self.uid.clone());
        self.observed.work.reported = true;
        self.status.writing = true;
        self.jobs.push(
            async move {
                if let Some(patch) = patch
                    && let Err(e) =
                        api.patch_status(pod.namespace(), pod.name(), PatchType::Strategic, &patch).await
                    && !e.is_not_found()
                    && !e.is_conflict()
                {
                    return Done::Finished(Err(e));
                }
                let options = DeleteOptions { grace_seconds: Some(0), ..DeleteOptions::uid(&uid) };
                Done::Finished(api.delete(pod.namespace(), pod.name(), &options).await)
            }
            .boxed(),
        );
    }

    pub(super) fn finished(&mut self, result: Result<(), Status>) {
        self.status.writing = false;
        match result {
            Err(e) if !e.is_not_found() && !e.is_conflict() => {
                tracing::warn!(pod = self.pod.name(), "cannot delete a pod: {e}");
                self.observed.work.reported = false;
                self.status.failures += 1;
                let wait = Duration::from_millis(200 << self.status.failures.min(6)).min(RETRY_MAX);
                let at = self.later(wait);
                self.status.retry_at = Some(at);
                self.observed.retry_pod_at = Some(at);
            }
            // A finalizer may keep it; the view tells when it goes.
            _ => self.status.failures = 0,
        }
    }
}

/// By resourceVersion: the API's numbers grow.
pub fn is_newer(a: &Pod, b: &Pod) -> bool {
    let version = |pod: &Pod| pod.metadata.resource_version.as_deref().and_then(|v| v.parse::<u64>().ok());
    match (version(a), version(b)) {
        (Some(a), Some(b)) => a > b,
        _ => true,
    }
}

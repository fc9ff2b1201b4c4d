//! Pods that no Job will count any more lose the finalizer, so that they can go.

use apimachinery::{ObjectKey, Status};
use client::{Api, Informer, PatchType, Requeue};
use codec::Kind;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use resources::batch::job::{JobExt, TRACKING_FINALIZER};
use resources::owner::ObjectMetaExt;
use serde_json::json;

/// Decides on one pod, and acts.
pub(super) struct Orphans {
    pub jobs: Informer<Job>,
    pub pods: Informer<Pod>,
    pub job_api: Api<Job>,
    pub pod_api: Api<Pod>,
}

impl Orphans {
    pub async fn reconcile(&self, key: &ObjectKey) -> anyhow::Result<Requeue> {
        let Some(pod) = self.pods.get(key) else { return Ok(Requeue::Never) };
        if pod.metadata.has_finalizer(TRACKING_FINALIZER) && self.is_orphan(&pod).await? {
            // Only the pod as it was judged: a Job may be adopting it just now, and counts on the finalizer.
            let version = pod.metadata.resource_version.as_deref();
            release_as_of(&self.pod_api, &pod, version).await?;
        }
        Ok(Requeue::Never)
    }

    async fn is_orphan(&self, pod: &Pod) -> Result<bool, Status> {
        let Some(owner) = pod.metadata.controller() else { return Ok(true) };
        if owner.kind != Job::KIND || owner.api_version != Job::API_VERSION {
            return Ok(false);
        }
        let key = ObjectKey::new(pod.namespace(), &owner.name);
        let same = |job: &Job| job.uid() == owner.uid;
        // Where our view has no such Job it may just be late.
        let job = match self.jobs.get(&key).filter(same) {
            Some(job) => Some(job),
            None => self.job_api.find(&key).await?.filter(same),
        };
        Ok(job.is_none_or(|job| job.is_finished() && job.external_manager().is_none()))
    }
}

/// Takes the finalizer away. A pod that is gone is as good.
pub(super) async fn release(api: &Api<Pod>, pod: &Pod) -> Result<(), Status> {
    release_as_of(api, pod, None).await
}

async fn release_as_of(api: &Api<Pod>, pod: &Pod, version: Option<&str>) -> Result<(), Status> {
    let mut patch = json!({"metadata": {
        "uid": pod.uid(),
        "$deleteFromPrimitiveList/finalizers": [TRACKING_FINALIZER],
    }});
    if let Some(version) = version {
        patch["metadata"]["resourceVersion"] = version.into();
    }
    match api.patch(pod.namespace(), pod.name(), PatchType::Strategic, &patch).await {
        Ok(_) => Ok(()),
        Err(e) if e.is_not_found() => Ok(()),
        // A conflict must not pass for done, or the pod would be counted twice. If another has its name our view will say so.
        Err(e) => Err(e),
    }
}

//! Making and removing pods.

use apimachinery::Status;
use client::{Api, DeleteOptions, EventRecorder};
use codec::Kind;
use futures::future::join_all;
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use resources::owner::controller_ref;

/// A pod of the template, owned by `owner`, named after it.
pub(crate) fn from_template<K: Kind>(owner: &K, template: &PodTemplateSpec) -> Pod {
    let meta = template.metadata.clone().unwrap_or_default();
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", owner.name())),
            namespace: Some(owner.namespace().to_owned()),
            labels: meta.labels,
            annotations: meta.annotations,
            finalizers: meta.finalizers,
            owner_references: Some(vec![controller_ref(owner)]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        ..Pod::default()
    }
}

/// Calls `create` up to `count` times, in batches that double as long as all of one succeed: when the API refuses pods (a
/// quota, say) it is not asked for hundreds. How many succeeded, and the first failure.
pub(crate) async fn slow_start<F, Fut>(count: usize, create: F) -> (usize, Option<Status>)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<(), Status>>,
{
    let (mut done, mut batch) = (0, 1);
    while done < count {
        let results = join_all((0..batch.min(count - done)).map(|_| create())).await;
        let failed = results.iter().filter(|r| r.is_err()).count();
        done += results.len() - failed;
        if let Some(Err(status)) = results.into_iter().find(Result::is_err) {
            return (done, Some(status));
        }
        batch *= 2;
    }
    (done, None)
}

/// Creates one pod and tells of it.
pub(crate) async fn create<K: Kind>(
    api: &Api<Pod>,
    events: &EventRecorder,
    owner: &K,
    pod: &Pod,
) -> Result<(), Status> {
    match api.create(pod).await {
        Ok(created) => {
            events.normal(owner, "SuccessfulCreate", format!("Created pod: {}", created.name()));
            Ok(())
        }
        Err(status) => {
            // In a namespace that is going away nobody needs to be told.
            if !is_namespace_terminating(&status) {
                events.warning(owner, "FailedCreate", format!("Error creating: {status}"));
            }
            Err(status)
        }
    }
}

/// Deletes one pod and tells of it. Gone already is an error like any other, but nothing to tell.
pub(crate) async fn delete<K: Kind>(
    api: &Api<Pod>,
    events: &EventRecorder,
    owner: &K,
    pod: &Pod,
) -> Result<(), Status> {
    match api.delete(pod.namespace(), pod.name(), &DeleteOptions::uid(pod.uid())).await {
        Ok(()) => {
            events.normal(owner, "SuccessfulDelete", format!("Deleted pod: {}", pod.name()));
            Ok(())
        }
        Err(status) if status.is_not_found() => Err(status),
        Err(status) => {
            events.warning(owner, "FailedDelete", format!("Error deleting: {status}"));
            Err(status)
        }
    }
}

/// The API refused because the namespace is being deleted.
pub(crate) fn is_namespace_terminating(status: &Status) -> bool {
    status.details.iter().flat_map(|d| &d.causes).any(|c| c.reason == "NamespaceTerminating")
}

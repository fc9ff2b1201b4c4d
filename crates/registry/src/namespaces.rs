//! Namespaces: nothing new in one that ends, and their own two-step deletion.

use apimachinery::status::{Cause, Details};
use apimachinery::{ObjectKey, Status};
use codec::AnyObject;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::registry::{Registry, Target};
use crate::rows::Guard;

/// The guards of a create within a namespace: it exists, and is not terminating when the create is committed.
/// `again`: what the cache has has not held.
pub(crate) async fn open(
    registry: &Registry,
    target: &Target<'_>,
    again: bool,
) -> Result<Vec<Guard>, Status> {
    if !target.resource.namespaced() {
        return Ok(Vec::new());
    }
    let Some(resource) = registry.resource("", "v1", "namespaces") else { return Ok(Vec::new()) };
    let key = ObjectKey::cluster(target.namespace);
    let cached = registry.rows.current(resource, &key).filter(|_| !again);
    let found = match cached {
        Some(cached) => Some(cached),
        None => registry.rows.latest(resource, &key).await?,
    };
    let Some(namespace) = found else {
        return Err(Status::not_found(&resource.gvr.group_resource(), target.namespace));
    };
    if namespace.meta.deleting {
        return Err(terminating(target));
    }
    Ok(vec![Guard { resource: resource.clone(), key, revision: namespace.revision }])
}

fn terminating(target: &Target<'_>) -> Status {
    let namespace = target.namespace;
    let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
    let mut status = Status::forbidden(&target.group_resource(), target.name, &why);
    let cause = Cause {
        reason: "NamespaceTerminating".into(),
        message: format!("namespace {namespace} is being terminated"),
        field: "metadata.namespace".into(),
    };
    match &mut status.details {
        Some(details) => details.causes.push(cause),
        details => *details = Some(Box::new(Details { causes: vec![cause], ..Details::default() })),
    }
    status
}

/// `spec.finalizers`: the namespace controller's own hold.
pub(crate) fn finalizers(namespace: &Namespace) -> &[String] {
    namespace.spec.as_ref().and_then(|s| s.finalizers.as_deref()).unwrap_or_default()
}

/// A deletion of a namespace first makes it Terminating. Other objects stay as they are.
pub(crate) fn terminate(object: &mut dyn AnyObject, now: Timestamp) {
    let Some(namespace) = object.downcast_mut::<Namespace>() else { return };
    if namespace.metadata.deletion_timestamp.is_none() {
        namespace.metadata.deletion_timestamp = Some(Time(now));
    }
    namespace.status.get_or_insert_default().phase = Some("Terminating".into());
}

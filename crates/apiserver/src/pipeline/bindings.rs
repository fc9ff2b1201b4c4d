//! The old way to bind a pod to a node: a Binding posted to its namespace, not below the pod.

use std::sync::Arc;

use apimachinery::Status;
use bytes::Bytes;
use codec::Kind;
use k8s_openapi::api::core::v1::Binding;
use registry::{Registry, Target};

use super::dispatch::unknown_resource;
use super::virtuals::{Virtual, VirtualRequest};

/// The row of `bindings`.
pub fn row(registry: Arc<Registry>) -> Virtual {
    Virtual {
        group: "",
        resource: "bindings",
        subresource: "",
        namespaced: true,
        kind: Binding::gvk(),
        handler: Arc::new(move |request| {
            let registry = registry.clone();
            Box::pin(async move { bind(&registry, request).await })
        }),
    }
}

async fn bind(registry: &Registry, request: VirtualRequest) -> Result<Bytes, Status> {
    let binding = Binding::from_json(&request.body).map_err(|e| Status::bad_request(e.to_string()))?;
    let pods = registry.resource("", "v1", "pods").ok_or_else(unknown_resource)?;
    let name = binding.name().to_owned();
    let target = Target { resource: pods, namespace: &request.namespace, name: &name };
    let status = registry.bind(&target, binding, &request.options).await?;
    Ok(serde_json::to_vec(&status).map_err(Status::internal)?.into())
}

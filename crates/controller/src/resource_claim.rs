//! Device claims of pods: a claim for each template that a pod names, noted in the pod's status; it goes with the pod.
//! Who uses a claim no longer leaves its list. Giving devices to claims is not done here, nor yet anywhere.
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/>

use std::sync::Arc;

use anyhow::Context as _;
use apimachinery::ObjectKey;
use client::{Api, EventRecorder, Informer, PatchType, Requeue};
use codec::Kind;
use k8s_openapi::api::core::v1::{Pod, PodResourceClaim};
use k8s_openapi::api::resource::v1::{ResourceClaim, ResourceClaimTemplate};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use resources::prelude::*;
use serde_json::json;

use crate::context::{Component, object, synced};

const WORKERS: usize = 10;
/// Which of the pod's claims it was made for.
const POD_CLAIM_NAME: &str = "resource.kubernetes.io/pod-claim-name";

struct Claims {
    pods: Informer<Pod>,
    claims: Informer<ResourceClaim>,
    templates: Informer<ResourceClaimTemplate>,
    api: Api<ResourceClaim>,
    pod_api: Api<Pod>,
    events: EventRecorder,
}

pub fn start(component: Component) {
    let state = Arc::new(Claims {
        pods: component.informer(),
        claims: component.informer(),
        templates: component.informer(),
        api: component.api(),
        pod_api: component.api(),
        events: component.recorder("resource_claim"),
    });
    let queue = component.queue::<ObjectKey>();
    let wakes = queue.clone();
    let pods = state.clone();
    component.on(&state.pods, move |change| {
        if let Some(pod) = object(change) {
            let claims = pods.pods.get(&pod.key).map(|p| p.pod_spec().resource_claims.is_some());
            // Of a pod that is gone nobody knows; its claims are garbage.
            if claims == Some(true) {
                wakes.add(pod.key.clone());
            }
        }
    });
    let (wakes, pods) = (queue.clone(), state.clone());
    component.on(&state.templates, move |change| {
        let Some(template) = &change.new else { return };
        let waits = |pod: &Pod| {
            let mut claims = pod.pod_spec().resource_claims.iter().flatten();
            claims.any(|c| c.resource_claim_template_name.as_deref() == Some(&*template.key.name))
        };
        for pod in pods.pods.list(&template.key.namespace).into_iter().filter(waits) {
            wakes.add(ObjectKey::new(pod.namespace(), pod.name()));
        }
    });
    let wait = vec![synced(&state.pods), synced(&state.claims), synced(&state.templates)];
    component.run(wait, &queue, WORKERS, move |key| {
        let state = state.clone();
        async move { state.pod(&key).await }
    });
}

impl Claims {
    async fn pod(&self, key: &ObjectKey) -> anyhow::Result<Requeue> {
        let Some(pod) = self.pods.get(key).filter(|p| !p.metadata.is_deleting() && !p.is_terminal()) else {
            return Ok(Requeue::Never);
        };
        let mut made = Vec::new();
        for wanted in pod.pod_spec().resource_claims.iter().flatten() {
            let Some(template) = &wanted.resource_claim_template_name else { continue };
            if noted(&pod, &wanted.name) {
                continue;
            }
            match self.claim(&pod, wanted, template).await {
                Ok(name) => made.push(json!({"name": wanted.name, "resourceClaimName": name})),
                Err(error) => {
                    let text = format!("PodResourceClaim {}: {error:#}", wanted.name);
                    self.events.warning(&pod, "FailedResourceClaimCreation", text);
                    return Err(error);
                }
            }
        }
        if made.is_empty() {
            return Ok(Requeue::Never);
        }
        let patch = json!({"metadata": {"uid": pod.uid()}, "status": {"resourceClaimStatuses": made}});
        let done = self.pod_api.patch_status(&key.namespace, &key.name, PatchType::Strategic, &patch).await;
        match done {
            Err(status) if !status.is_not_found() => Err(status).context("note a pod's claims"),
            _ => Ok(Requeue::Never),
        }
    }

    /// The name of the pod's claim, which is made unless it is there.
    async fn claim(&self, pod: &Pod, wanted: &PodResourceClaim, template: &str) -> anyhow::Result<String> {
        let ours = |claim: &ResourceClaim| {
            let annotations = claim.metadata.annotations.as_ref();
            annotations.and_then(|a| a.get(POD_CLAIM_NAME)) == Some(&wanted.name)
        };
        if let Some(there) = self.claims.owned_by(pod.uid()).into_iter().find(ours) {
            return Ok(there.name().to_owned());
        }
        let key = ObjectKey::new(pod.namespace(), template);
        let found = self.templates.get(&key).with_context(|| {
            format!("resource claim template {template:?}: resourceclaimtemplate.resource.k8s.io {template:?} not found")
        })?;
        let claim = generated(pod, &wanted.name, found);
        let made = self.api.create(&claim).await.context("create the claim")?;
        Ok(made.name().to_owned())
    }
}

fn noted(pod: &Pod, claim: &str) -> bool {
    let statuses = pod.status.as_ref().and_then(|s| s.resource_claim_statuses.as_ref());
    statuses.into_iter().flatten().any(|s| s.name == claim)
}

/// The claim that a template makes for a pod.
fn generated(pod: &Pod, claim: &str, template: ResourceClaimTemplate) -> ResourceClaim {
    let spec = template.spec.unwrap_or_default();
    let meta = spec.metadata.unwrap_or_default();
    let mut annotations = meta.annotations.unwrap_or_default();
    annotations.insert(POD_CLAIM_NAME.into(), claim.into());
    let owner = OwnerReference {
        api_version: Pod::API_VERSION.into(),
        kind: Pod::KIND.into(),
        name: pod.name().into(),
        uid: pod.uid().into(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    };
    ResourceClaim {
        metadata: ObjectMeta {
            namespace: Some(pod.namespace().into()),
            generate_name: Some(format!("{}-{claim}-", pod.name())),
            labels: meta.labels,
            annotations: Some(annotations),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: spec.spec,
        ..ResourceClaim::default()
    }
}

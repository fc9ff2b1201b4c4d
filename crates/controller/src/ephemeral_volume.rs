//! A pod's generic ephemeral volumes: a claim for each, from the template in the volume, which goes with the pod.
//! <https://kubernetes.io/docs/concepts/storage/ephemeral-volumes/#generic-ephemeral-volumes>

use std::sync::Arc;

use anyhow::Context as _;
use apimachinery::ObjectKey;
use client::{Api, EventRecorder, Informer, Requeue};
use codec::Kind;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Volume};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use resources::prelude::*;

use crate::context::{Component, object, synced};

const WORKERS: usize = 4;

struct Ephemeral {
    pods: Informer<Pod>,
    claims: Informer<PersistentVolumeClaim>,
    api: Api<PersistentVolumeClaim>,
    events: EventRecorder,
}

pub fn start(component: Component) {
    let queue = component.queue::<ObjectKey>();
    let state = Arc::new(Ephemeral {
        pods: component.informer(),
        claims: component.informer(),
        api: component.api(),
        events: component.recorder("ephemeral_volume"),
    });
    let woken = queue.clone();
    component.on(&state.pods, move |change| {
        // Volumes never change: only a new pod is news.
        if let (Some(pod), None) = (&change.new, &change.old) {
            woken.add(pod.key.clone());
        }
    });
    let woken = queue.clone();
    component.on(&state.claims, move |change| {
        let gone = object(change).filter(|_| change.new.is_none());
        let Some(claim) = gone.and_then(|o| client::informer::decode::<PersistentVolumeClaim>(o)) else {
            return;
        };
        for owner in claim.metadata.owner_references.iter().flatten().filter(|o| o.kind == "Pod") {
            woken.add(ObjectKey::new(claim.namespace(), &owner.name));
        }
    });
    let wait = vec![synced(&state.pods), synced(&state.claims)];
    component.run(wait, &queue, WORKERS, move |key| {
        let state = state.clone();
        async move { state.pod(&key).await }
    });
}

impl Ephemeral {
    async fn pod(&self, key: &ObjectKey) -> anyhow::Result<Requeue> {
        let Some(pod) = self.pods.get(key).filter(|p| !p.metadata.is_deleting() && !p.is_terminal()) else {
            return Ok(Requeue::Never);
        };
        for claim in pod.pod_spec().volumes.iter().flatten().filter_map(|v| claim_of(&pod, v)) {
            let key = ObjectKey::new(pod.namespace(), claim.name());
            match self.claims.get(&key) {
                Some(there) if is_of(&there, &pod) => continue,
                Some(_) => return Err(self.taken(&pod, claim.name())),
                None => {}
            }
            match self.api.create(&claim).await {
                Ok(_) => {}
                // Ours that the view does not show yet; or somebody else's, which it will show.
                Err(e) if e.is_already_exists() => return Ok(Requeue::RateLimited),
                Err(e) if crate::replicas::is_namespace_terminating(&e) => return Ok(Requeue::Never),
                Err(e) => {
                    let text = format!("ephemeral volume: create PVC {}: {e}", claim.name());
                    self.events.warning(&pod, "FailedBinding", text);
                    return Err(e).context("create the claim of a pod's volume");
                }
            }
        }
        Ok(Requeue::Never)
    }

    fn taken(&self, pod: &Pod, claim: &str) -> anyhow::Error {
        let (namespace, name) = (pod.namespace(), pod.name());
        let text =
            format!("PVC {namespace}/{claim} was not created for pod {namespace}/{name} (pod is not owner)");
        self.events.warning(pod, "FailedBinding", format!("ephemeral volume: {text}"));
        anyhow::anyhow!(text)
    }
}

fn is_of(claim: &PersistentVolumeClaim, pod: &Pod) -> bool {
    claim.metadata.owner_references.iter().flatten().any(|o| o.uid == pod.uid())
}

/// The claim that the volume asks for, if it is one of these.
fn claim_of(pod: &Pod, volume: &Volume) -> Option<PersistentVolumeClaim> {
    let template = volume.ephemeral.as_ref()?.volume_claim_template.as_ref()?;
    let meta = template.metadata.clone().unwrap_or_default();
    let owner = OwnerReference {
        api_version: Pod::API_VERSION.into(),
        kind: Pod::KIND.into(),
        name: pod.name().into(),
        uid: pod.uid().into(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    };
    Some(PersistentVolumeClaim {
        metadata: ObjectMeta {
            namespace: Some(pod.namespace().into()),
            name: Some(format!("{}-{}", pod.name(), volume.name)),
            labels: meta.labels,
            annotations: meta.annotations,
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: Some(template.spec.clone()),
        ..PersistentVolumeClaim::default()
    })
}

#[cfg(test)]
mod tests;

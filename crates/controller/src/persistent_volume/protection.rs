//! The finalizers of claims and volumes go when nothing uses them any more.

use std::sync::Arc;

use anyhow::Context as _;
use apimachinery::{ObjectKey, Status};
use client::transport::Options;
use client::{Api, Informer, Requeue};
use codec::Kind;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use resources::core::{persistent_volume, persistent_volume_claim};
use resources::prelude::*;

use super::binder::claims_of;
use crate::context::{Component, object, synced};

/// `pvc-protection-controller`
pub fn start_claims(component: Component) {
    let claims = component.informer::<PersistentVolumeClaim>();
    let pods = component.informer::<Pod>();
    let queue = component.queue::<ObjectKey>();
    let woken = queue.clone();
    component.on(&claims, move |change| {
        if let Some(claim) = object(change).filter(|c| c.meta.deleting) {
            woken.add(claim.key.clone());
        }
    });
    let woken = queue.clone();
    component.on(&pods, move |change| {
        // A pod that ended, or is gone.
        let pod = change.new.as_ref().or(change.old.as_ref());
        let Some(pod) = pod.and_then(|p| client::informer::decode::<Pod>(p)) else { return };
        if change.new.is_none() || pod.is_terminal() {
            for name in claims_of(&pod) {
                woken.add(ObjectKey::new(pod.namespace(), name));
            }
        }
    });
    let wait = vec![synced(&claims), synced(&pods)];
    let state = Arc::new((claims, pods, component.api::<PersistentVolumeClaim>(), component.api::<Pod>()));
    component.run(wait, &queue, 1, move |key| {
        let state = state.clone();
        async move { let_claim_go(&state.0, &state.1, &state.2, &state.3, &key).await }
    });
}

async fn let_claim_go(
    claims: &Informer<PersistentVolumeClaim>,
    pods: &Informer<Pod>,
    api: &Api<PersistentVolumeClaim>,
    pod_api: &Api<Pod>,
    key: &ObjectKey,
) -> anyhow::Result<Requeue> {
    let Some(claim) = claims.get(key).filter(|c| c.metadata.is_deleting()) else { return Ok(Requeue::Never) };
    if !claim.metadata.finalizers.iter().flatten().any(|f| f == persistent_volume_claim::PROTECTION) {
        return Ok(Requeue::Never);
    }
    if pods.list(&key.namespace).iter().any(|p| uses(p, &key.name)) {
        return Ok(Requeue::Never);
    }
    // The view may be behind a pod that has just got its node.
    let all = pod_api.list(&key.namespace, &Options::default()).await.context("list pods")?;
    if all.items.iter().any(|p| uses(p, &key.name)) {
        return Ok(Requeue::RateLimited);
    }
    let mut freed = claim;
    drop_finalizer(&mut freed, persistent_volume_claim::PROTECTION);
    settled(api.update(&freed).await.map(drop), "free a claim")
}

/// Whether a pod has the claim mounted, or may have soon.
fn uses(pod: &Pod, claim: &str) -> bool {
    pod.node_name().is_some() && !pod.is_terminal() && claims_of(pod).any(|name| name == claim)
}

fn drop_finalizer<K: Kind>(object: &mut K, name: &str) {
    let finalizers = object.meta_mut().finalizers.take().unwrap_or_default();
    let kept: Vec<String> = finalizers.into_iter().filter(|f| f != name).collect();
    object.meta_mut().finalizers = (!kept.is_empty()).then_some(kept);
}

fn settled(done: Result<(), Status>, what: &'static str) -> anyhow::Result<Requeue> {
    match done {
        Ok(()) => Ok(Requeue::Never),
        Err(e) if e.is_not_found() => Ok(Requeue::Never),
        Err(e) if e.is_conflict() => Ok(Requeue::RateLimited),
        Err(e) => Err(e).context(what),
    }
}

/// `pv-protection-controller`
pub fn start_volumes(component: Component) {
    let volumes = component.informer::<PersistentVolume>();
    let queue = component.queue::<ObjectKey>();
    let woken = queue.clone();
    component.on(&volumes, move |change| {
        if let Some(volume) = object(change).filter(|v| v.meta.deleting) {
            woken.add(volume.key.clone());
        }
    });
    let wait = vec![synced(&volumes)];
    let state = Arc::new((volumes, component.api::<PersistentVolume>()));
    component.run(wait, &queue, 1, move |key| {
        let state = state.clone();
        async move {
            let Some(mut volume) = state.0.get(&key).filter(|v| v.metadata.is_deleting()) else {
                return Ok(Requeue::Never);
            };
            let held =
                volume.metadata.finalizers.iter().flatten().any(|f| f == persistent_volume::PROTECTION);
            if !held || volume.phase() == "Bound" {
                return Ok(Requeue::Never);
            }
            drop_finalizer(&mut volume, persistent_volume::PROTECTION);
            settled(state.1.update(&volume).await.map(drop), "free a volume")
        }
    });
}

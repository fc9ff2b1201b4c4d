//! Binds claims to volumes, both ways: `claimRef` of the volume first, as a reservation that its resourceVersion guards,
//! then `volumeName` of the claim. A stop anywhere in between is taken up again from what is there.
//!
//! Claims whose class waits for a consumer get their volume from the scheduler, with the node; or here, when a pod that uses
//! them got its node in another way. Volumes are not made here: a class with a provisioner waits for that one.

use std::sync::Arc;

use anyhow::Context as _;
use apimachinery::ObjectKey;
use client::{Api, EventRecorder, Informer, Requeue, WorkQueue};
use codec::Kind;
use k8s_openapi::api::core::v1::{Node, ObjectReference, PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use resources::core::persistent_volume::matching::{
    self, BIND_COMPLETED, BOUND_BY_CONTROLLER, Place, Reserved, SELECTED_NODE, reserved,
};
use resources::core::persistent_volume_claim::class_of;
use resources::prelude::*;
use resources::storage::storage_class::NO_PROVISIONER;
use stdx::clock::SharedClock;

use super::{PROVISIONED_BY, STORAGE_PROVISIONER, STORAGE_PROVISIONER_BETA};
use crate::context::{Component, object, synced};

const WORKERS: usize = 4;
const YES: &str = "yes";

struct Binder {
    claims: Informer<PersistentVolumeClaim>,
    volumes: Informer<PersistentVolume>,
    classes: Informer<StorageClass>,
    pods: Informer<Pod>,
    nodes: Informer<Node>,
    claim_api: Api<PersistentVolumeClaim>,
    volume_api: Api<PersistentVolume>,
    events: EventRecorder,
    clock: SharedClock,
    queue: WorkQueue<ObjectKey>,
}

pub fn start(component: Component) {
    let queue = component.queue::<ObjectKey>();
    let binder = Arc::new(Binder {
        claims: component.informer(),
        volumes: component.informer(),
        classes: component.informer(),
        pods: component.informer(),
        nodes: component.informer(),
        claim_api: component.api(),
        volume_api: component.api(),
        events: component.recorder("persistentvolume-controller"),
        clock: component.clock.clone(),
        queue: queue.clone(),
    });
    wake(&component, &binder);
    let wait = vec![
        synced(&binder.claims),
        synced(&binder.volumes),
        synced(&binder.classes),
        synced(&binder.pods),
        synced(&binder.nodes),
    ];
    component.run(wait, &queue, WORKERS, move |key| {
        let binder = binder.clone();
        async move {
            // A claim lives in a namespace, a volume does not.
            match key.namespace.is_empty() {
                true => binder.volume(&key).await,
                false => binder.claim(&key).await,
            }
        }
    });
}

fn wake(component: &Component, binder: &Arc<Binder>) {
    let woken = binder.clone();
    component.on(&binder.claims, move |change| {
        let Some(claim) = object(change) else { return };
        woken.queue.add(claim.key.clone());
        let decoded = client::informer::decode::<PersistentVolumeClaim>(claim);
        if let Some(volume) = decoded.as_ref().and_then(|c| c.volume_name()) {
            woken.queue.add(ObjectKey::cluster(volume));
        }
        woken.queue_bound_to(&claim.key);
    });
    let woken = binder.clone();
    component.on(&binder.volumes, move |change| {
        let Some(volume) = object(change) else { return };
        woken.queue.add(volume.key.clone());
        let decoded = client::informer::decode::<PersistentVolume>(volume);
        if let Some(claim) = decoded.as_ref().and_then(claim_key) {
            woken.queue.add(claim);
        }
        woken.queue_unbound();
    });
    let woken = binder.clone();
    component.on(&binder.classes, move |_| woken.queue_unbound());
    let woken = binder.clone();
    component.on(&binder.pods, move |change| {
        let Some(pod) = change.new.as_ref().and_then(|p| client::informer::decode::<Pod>(p)) else { return };
        if pod.node_name().is_some() {
            for name in claims_of(&pod) {
                let key = ObjectKey::new(pod.namespace(), name);
                if woken.claims.get(&key).is_some_and(|c| c.phase() == "Pending") {
                    woken.queue.add(key);
                }
            }
        }
    });
}

/// The claim that a volume is bound to, or reserved for.
fn claim_key(volume: &PersistentVolume) -> Option<ObjectKey> {
    let reference = matching::claim_ref(volume)?;
    Some(ObjectKey::new(reference.namespace.as_deref()?, reference.name.as_deref()?))
}

/// Names of the claims that a pod uses.
pub(super) fn claims_of(pod: &Pod) -> impl Iterator<Item = &str> {
    let volumes = pod.pod_spec().volumes.iter().flatten();
    volumes.filter_map(|v| v.persistent_volume_claim.as_ref()).map(|c| c.claim_name.as_str())
}

impl Binder {
    fn queue_unbound(&self) {
        for claim in self.claims.list("").iter().filter(|c| c.phase() != "Bound") {
            self.queue.add(ObjectKey::new(claim.namespace(), claim.name()));
        }
    }

    /// The volumes whose claim this is, or was.
    fn queue_bound_to(&self, claim: &ObjectKey) {
        for volume in self.volumes.list("") {
            let same = |r: &ObjectReference| {
                r.namespace.as_deref() == Some(&*claim.namespace) && r.name.as_deref() == Some(&*claim.name)
            };
            if matching::claim_ref(&volume).is_some_and(same) {
                self.queue.add(ObjectKey::cluster(volume.name()));
            }
        }
    }

    async fn claim(&self, key: &ObjectKey) -> anyhow::Result<Requeue> {
        let Some(claim) = self.claims.get(key).filter(|c| !c.metadata.is_deleting()) else {
            return Ok(Requeue::Never);
        };
        match claim.volume_name().map(str::to_owned) {
            Some(name) => self.claim_with_volume(claim, &name).await,
            None => self.unbound_claim(claim).await,
        }
    }

    async fn claim_with_volume(&self, claim: PersistentVolumeClaim, name: &str) -> anyhow::Result<Requeue> {
        let completed = claim.metadata.annotation(BIND_COMPLETED).is_some();
        let Some(volume) = self.volumes.get(&ObjectKey::cluster(name)) else {
            if !completed {
                return self.set_pending(claim).await;
            }
            // The view may be behind.
            if self.volume_api.find(&ObjectKey::cluster(name)).await?.is_some() {
                return Ok(Requeue::RateLimited);
            }
            let text = "Bound claim has lost its PersistentVolume. Data on the volume is lost!";
            return self.lose(claim, "ClaimLost", text).await;
        };
        match reserved(&volume, &claim) {
            Reserved::Mine | Reserved::ByName => self.bind(claim, volume).await,
            Reserved::Free if completed => self.bind(claim, volume).await,
            // A user named the volume: it has to do.
            Reserved::Free if matching::compatible(&claim, &volume) => self.bind(claim, volume).await,
            Reserved::Free => {
                let text = format!(
                    "Cannot bind to requested volume {name:?}: the volume does not satisfy the claim"
                );
                self.events.warning(&claim, "VolumeMismatch", text);
                self.set_pending(claim).await
            }
            Reserved::Other if completed => {
                let text = "Two claims are bound to the same volume, this one is bound incorrectly";
                self.lose(claim, "ClaimMisbound", text).await
            }
            Reserved::Other => {
                let text = format!("volume {name:?} already bound to a different claim.");
                self.events.warning(&claim, "FailedBinding", text);
                self.set_pending(claim).await
            }
        }
    }

    async fn unbound_claim(&self, claim: PersistentVolumeClaim) -> anyhow::Result<Requeue> {
        let class = class_of(&claim).unwrap_or_default().to_owned();
        let found = self.classes.get(&ObjectKey::cluster(&class)).filter(|_| !class.is_empty());
        let node = self.node_of_consumer(&claim);
        let volumes = self.volumes.list("");
        let labels = node.as_ref().and_then(|n| n.metadata.labels.clone()).unwrap_or_default();
        let place = node.as_ref().map(|n| Place { name: n.name(), labels: &labels });
        let chosen = matching::choose(&claim, &volumes, place);
        // The scheduler says where by the claim itself, or by reserving a volume for it.
        let delayed = found.as_ref().is_some_and(StorageClassExt::waits_for_consumer)
            && node.is_none()
            && claim.metadata.annotation(SELECTED_NODE).is_none();
        if let Some(volume) = chosen {
            // What somebody reserved by name need not wait.
            if !delayed || reserved(volume, &claim) != Reserved::Free {
                return self.bind(claim, volume.clone()).await;
            }
        }
        if delayed {
            let text = "waiting for first consumer to be created before binding";
            self.events.normal(&claim, "WaitForFirstConsumer", text);
            return self.set_pending(claim).await;
        }
        match found {
            Some(found) if found.provisioner != NO_PROVISIONER => self.await_provisioner(claim, &found).await,
            Some(_) => {
                let text = "no persistent volumes available for this claim and no storage class is set";
                self.events.normal(&claim, "FailedBinding", text);
                self.set_pending(claim).await
            }
            None if class.is_empty() => {
                let text = "no persistent volumes available for this claim and no storage class is set";
                self.events.normal(&claim, "FailedBinding", text);
                self.set_pending(claim).await
            }
            None => {
                let text = format!("storageclass.storage.k8s.io {class:?} not found");
                self.events.warning(&claim, "ProvisioningFailed", text);
                self.set_pending(claim).await
            }
        }
    }

    async fn await_provisioner(
        &self,
        mut claim: PersistentVolumeClaim,
        class: &StorageClass,
    ) -> anyhow::Result<Requeue> {
        let provisioner = &class.provisioner;
        if claim.metadata.annotation(STORAGE_PROVISIONER) != Some(provisioner) {
            let annotations = claim.metadata.annotations.get_or_insert_default();
            annotations.insert(STORAGE_PROVISIONER.into(), provisioner.clone());
            annotations.insert(STORAGE_PROVISIONER_BETA.into(), provisioner.clone());
            claim = match self.claim_api.update(&claim).await {
                Ok(claim) => claim,
                Err(e) if e.is_conflict() || e.is_not_found() => return Ok(Requeue::RateLimited),
                Err(e) => return Err(e).context("annotate a claim"),
            };
        }
        let text = format!(
            "Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the \
             system administrator. If volume creation is delayed, please verify that the provisioner is running and \
             correctly registered."
        );
        self.events.normal(&claim, "ExternalProvisioning", text);
        self.set_pending(claim).await
    }

    /// The node of a pod that uses the claim.
    fn node_of_consumer(&self, claim: &PersistentVolumeClaim) -> Option<Node> {
        let pods = self.pods.list(claim.namespace());
        let uses = |p: &&Pod| !p.is_terminal() && claims_of(p).any(|name| name == claim.name());
        let name = pods.iter().filter(uses).find_map(|p| p.node_name().map(str::to_owned))?;
        self.nodes.get(&ObjectKey::cluster(&name))
    }

    /// All four writes of a binding, each only where it is still to be done.
    async fn bind(
        &self,
        mut claim: PersistentVolumeClaim,
        mut volume: PersistentVolume,
    ) -> anyhow::Result<Requeue> {
        let done: Result<(), apimachinery::Status> = async {
            if reserved(&volume, &claim) != Reserved::Mine {
                let free = matching::claim_ref(&volume).is_none();
                let mut reference = client::events::reference(&claim);
                reference.field_path = None;
                volume.spec.get_or_insert_default().claim_ref = Some(reference);
                if free {
                    annotate(&mut volume.metadata.annotations, BOUND_BY_CONTROLLER);
                }
                volume = self.volume_api.update(&volume).await?;
            }
            volume = self.set_phase(volume, "Bound", "").await?;
            if claim.volume_name() != Some(volume.name())
                || claim.metadata.annotation(BIND_COMPLETED).is_none()
            {
                if claim.volume_name().is_none() {
                    claim.spec.get_or_insert_default().volume_name = Some(volume.name().to_owned());
                    annotate(&mut claim.metadata.annotations, BOUND_BY_CONTROLLER);
                }
                annotate(&mut claim.metadata.annotations, BIND_COMPLETED);
                claim = self.claim_api.update(&claim).await?;
            }
            let spec = volume.spec.clone().unwrap_or_default();
            let mut status = claim.status.clone().unwrap_or_default();
            let was_bound = status.phase.as_deref() == Some("Bound");
            status.phase = Some("Bound".into());
            status.access_modes = spec.access_modes;
            if !was_bound {
                status.capacity = spec.capacity;
            }
            if claim.status.as_ref() != Some(&status) {
                claim.status = Some(status);
                self.claim_api.update_status(&claim).await?;
            }
            Ok(())
        }
        .await;
        match done {
            Ok(()) => Ok(Requeue::Never),
            Err(e) if e.is_conflict() || e.is_not_found() => Ok(Requeue::RateLimited),
            Err(e) => Err(e).context("bind a claim to a volume"),
        }
    }

    async fn set_pending(&self, claim: PersistentVolumeClaim) -> anyhow::Result<Requeue> {
        self.set_claim_phase(claim, "Pending").await
    }

    async fn lose(&self, claim: PersistentVolumeClaim, reason: &str, text: &str) -> anyhow::Result<Requeue> {
        if claim.phase() != "Lost" {
            self.events.warning(&claim, reason, text);
        }
        self.set_claim_phase(claim, "Lost").await
    }

    async fn set_claim_phase(
        &self,
        mut claim: PersistentVolumeClaim,
        phase: &str,
    ) -> anyhow::Result<Requeue> {
        if claim.phase() == phase {
            return Ok(Requeue::Never);
        }
        let status = claim.status.get_or_insert_default();
        status.phase = Some(phase.into());
        status.access_modes = None;
        status.capacity = None;
        match self.claim_api.update_status(&claim).await {
            Ok(_) => Ok(Requeue::Never),
            Err(e) if e.is_conflict() || e.is_not_found() => Ok(Requeue::RateLimited),
            Err(e) => Err(e).context("write the status of a claim"),
        }
    }

    async fn set_phase(
        &self,
        mut volume: PersistentVolume,
        phase: &str,
        message: &str,
    ) -> Result<PersistentVolume, apimachinery::Status> {
        let have = volume.status.clone().unwrap_or_default();
        if have.phase.as_deref() == Some(phase) && have.message.as_deref().unwrap_or_default() == message {
            return Ok(volume);
        }
        let now = Time(self.clock.now());
        let status = volume.status.get_or_insert_default();
        if status.phase.as_deref() != Some(phase) {
            status.last_phase_transition_time = Some(now);
        }
        status.phase = Some(phase.into());
        status.message = (!message.is_empty()).then(|| message.to_owned());
        self.volume_api.update_status(&volume).await
    }

    async fn volume(&self, key: &ObjectKey) -> anyhow::Result<Requeue> {
        let Some(volume) = self.volumes.get(key) else { return Ok(Requeue::Never) };
        let done = match self.judge(&volume).await? {
            Verdict::Phase(phase, message) => self.set_phase(volume, phase, &message).await.map(drop),
            Verdict::ClaimsTurn(claim) => {
                self.queue.add(claim);
                Ok(())
            }
            Verdict::Unbind => {
                let mut volume = volume;
                volume.spec.get_or_insert_default().claim_ref = None;
                volume.metadata.annotations.get_or_insert_default().remove(BOUND_BY_CONTROLLER);
                self.volume_api.update(&volume).await.map(drop)
            }
        };
        match done {
            Ok(()) => Ok(Requeue::Never),
            Err(e) if e.is_conflict() || e.is_not_found() => Ok(Requeue::RateLimited),
            Err(e) => Err(e).context("write a volume"),
        }
    }

    async fn judge(&self, volume: &PersistentVolume) -> anyhow::Result<Verdict> {
        let available = Verdict::Phase("Available", String::new());
        let Some(reference) = matching::claim_ref(volume) else { return Ok(available) };
        let Some(key) = claim_key(volume) else { return Ok(available) };
        let Some(uid) = reference.uid.as_deref().filter(|u| !u.is_empty()) else {
            // Reserved by name: for the claim to take.
            return Ok(match self.claims.get(&key) {
                Some(claim) if !claim.metadata.is_deleting() && volume.phase() == "Available" => {
                    Verdict::ClaimsTurn(key)
                }
                _ => available,
            });
        };
        let mut claim = self.claims.get(&key).filter(|c| c.uid() == uid);
        if claim.is_none() {
            // Data is at stake: never by a stale view.
            claim = self.claim_api.find(&key).await?.filter(|c| c.uid() == uid);
        }
        Ok(match claim {
            Some(claim) => match claim.volume_name() {
                None => Verdict::ClaimsTurn(key),
                Some(name) if name == volume.name() => Verdict::Phase("Bound", String::new()),
                Some(_) if volume.metadata.annotation(BOUND_BY_CONTROLLER).is_some() => Verdict::Unbind,
                Some(_) => released(volume),
            },
            None => released(volume),
        })
    }
}

/// What has to become of a volume.
enum Verdict {
    Phase(&'static str, String),
    /// The claim is to be looked at.
    ClaimsTurn(ObjectKey),
    Unbind,
}

/// The claim is gone. Data is kept, or for whoever made the volume to delete.
fn released(volume: &PersistentVolume) -> Verdict {
    let policy = volume.spec.as_ref().and_then(|s| s.persistent_volume_reclaim_policy.as_deref());
    let made_by_somebody = volume.metadata.annotation(PROVISIONED_BY).is_some();
    match policy {
        Some("Delete") if !made_by_somebody => {
            let name = volume.name();
            Verdict::Phase(
                "Failed",
                format!("error getting deleter volume plugin for volume {name:?}: no volume plugin matched"),
            )
        }
        Some("Recycle") => Verdict::Phase("Failed", "No recycler plugin found for the volume!".into()),
        _ => Verdict::Phase("Released", String::new()),
    }
}

fn annotate(annotations: &mut Option<std::collections::BTreeMap<String, String>>, key: &str) {
    annotations.get_or_insert_default().insert(key.into(), YES.into());
}

//! What is written for a pod's claims before the pod is bound, and the wait until it has come true.
//!
//! A volume that was chosen gets the claim's reference, guarded by its resourceVersion; the binding controller does the rest.
//! A volume that is to be made is asked for by an annotation on the claim; its provisioner does the rest.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use apimachinery::{ObjectKey, Status};
use client::api::Api;
use client::informer::Informer;
use client::transport::{PatchType, Transport};
use codec::Kind;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use resources::core::persistent_volume::matching::{BIND_COMPLETED, BOUND_BY_CONTROLLER, SELECTED_NODE};
use resources::prelude::*;
use serde_json::json;
use stdx::clock::SharedClock;
use tokio::sync::Notify;

use crate::storage::Provision;

/// As upstream's `bindTimeoutSeconds`: what is not there by then is tried again, perhaps elsewhere.
const WAIT_MOST: Duration = Duration::from_secs(600);

/// Writes what a provision says. Cheap to clone.
#[derive(Clone)]
pub struct Provisioner {
    pub claims: Informer<PersistentVolumeClaim>,
    claim_api: Api<PersistentVolumeClaim>,
    volume_api: Api<PersistentVolume>,
    clock: SharedClock,
}

impl Provisioner {
    pub fn new(transport: &Arc<dyn Transport>, clock: SharedClock) -> Self {
        Provisioner {
            claims: Informer::all(&**transport),
            claim_api: Api::new(transport.clone()),
            volume_api: Api::new(transport.clone()),
            clock,
        }
    }

    /// Ends well when every claim has its volume. `changed` is told whenever one of the claims changes.
    pub async fn run(&self, provision: &Provision, node: &str, changed: &Notify) -> Result<(), Status> {
        for (claim, volume) in &provision.bind {
            self.give(claim, volume).await?;
        }
        for claim in &provision.make {
            let patch = json!({ "metadata": { "annotations": { SELECTED_NODE: node } } });
            self.claim_api.patch(&claim.namespace, &claim.name, PatchType::Merge, &patch).await?;
        }
        let all_bound = async {
            let mut waiting: Vec<ObjectKey> = provision.claims().cloned().collect();
            loop {
                let news = changed.notified();
                let mut left = Vec::new();
                for key in waiting {
                    match self.claims.get(&key) {
                        Some(claim) if is_bound(&claim) => {}
                        Some(claim) if self.was_given_up(&claim, provision) => {
                            return Err(failure("provisioning failed for the selected node"));
                        }
                        Some(_) => left.push(key),
                        None => return Err(failure(format!("claim {} is gone", key.name))),
                    }
                }
                if left.is_empty() {
                    return Ok(());
                }
                waiting = left;
                news.await;
            }
        };
        tokio::select! {
            done = all_bound => done,
            () = self.clock.sleep(WAIT_MOST) => Err(failure("context deadline exceeded")),
        }
    }

    /// A provisioner that cannot serve a node takes its name off the claim.
    fn was_given_up(&self, claim: &PersistentVolumeClaim, provision: &Provision) -> bool {
        let key = ObjectKey::new(claim.namespace(), claim.name());
        provision.make.contains(&key) && claim.metadata.annotation(SELECTED_NODE).is_none()
    }

    async fn give(&self, claim: &ObjectKey, volume: &str) -> Result<(), Status> {
        let claim = self.claim_api.get(&claim.namespace, &claim.name).await?;
        let mut volume = self.volume_api.get("", volume).await?;
        let mut reference = client::events::reference(&claim);
        reference.field_path = None;
        let spec = volume.spec.get_or_insert_default();
        let by_user = spec.claim_ref.replace(reference).is_some();
        if !by_user {
            let annotations = volume.metadata.annotations.get_or_insert_default();
            annotations.insert(BOUND_BY_CONTROLLER.into(), "yes".into());
        }
        self.volume_api.update(&volume).await.map(drop)
    }
}

fn failure(why: impl Into<String>) -> Status {
    Status::failure(500, "InternalError", why)
}

fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    claim.volume_name().is_some() && claim.metadata.annotation(BIND_COMPLETED).is_some()
}

/// Who waits for which claim.
#[derive(Default)]
pub struct Waits(HashMap<ObjectKey, Vec<Arc<Notify>>>);

impl Waits {
    /// To be told of changes of the claims, as long as it is kept.
    pub fn on(&mut self, provision: &Provision) -> Arc<Notify> {
        let notify = Arc::new(Notify::new());
        for claim in provision.claims() {
            self.0.entry(claim.clone()).or_default().push(notify.clone());
        }
        notify
    }

    pub fn tell(&mut self, claim: &ObjectKey) {
        let Some(waiting) = self.0.get_mut(claim) else { return };
        // Nobody but us has it: its task has ended.
        waiting.retain(|notify| Arc::strong_count(notify) > 1);
        waiting.iter().for_each(|notify| notify.notify_one());
        if waiting.is_empty() {
            self.0.remove(claim);
        }
    }
}

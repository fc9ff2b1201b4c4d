//! Claims, volumes and storage classes as the scheduler knows them, and the volumes it has given away without having been
//! told yet that they are taken.

use std::collections::{BTreeMap, HashMap};

use apimachinery::ObjectKey;
use codec::Kind;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use resources::core::persistent_volume::matching::{self, Place, Reserved, reserved};
use resources::core::persistent_volume_claim::class_of;
use resources::prelude::*;
use resources::storage::storage_class::NO_PROVISIONER;

use crate::node::NodeInfo;

/// Everything about storage that a pod's place may hang on.
#[derive(Debug, Default)]
pub struct Storage {
    claims: HashMap<ObjectKey, PersistentVolumeClaim>,
    volumes: BTreeMap<String, PersistentVolume>,
    classes: HashMap<String, StorageClass>,
    /// Volume → uid of the claim that is about to get it.
    assumed: HashMap<String, String>,
}

/// What has to be written before a pod can go to its node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provision {
    /// Claim and the volume that becomes its.
    pub bind: Vec<(ObjectKey, String)>,
    /// Claims for which a volume is to be made at the node.
    pub make: Vec<ObjectKey>,
}

impl Provision {
    /// The claims that change by it.
    pub fn claims(&self) -> impl Iterator<Item = &ObjectKey> {
        self.bind.iter().map(|(claim, _)| claim).chain(&self.make)
    }

    pub fn is_empty(&self) -> bool {
        self.bind.is_empty() && self.make.is_empty()
    }
}

/// Why a claim cannot be had on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Its volume is elsewhere.
    Affinity,
    /// No volume there will do, and none can be made.
    NoVolume,
    /// It says that it has a volume, and there is none of that name.
    Missing,
}

impl Storage {
    pub fn claim(&self, key: &ObjectKey) -> Option<&PersistentVolumeClaim> {
        self.claims.get(key)
    }

    /// The volume that a claim is bound to.
    pub fn volume_of(&self, claim: &PersistentVolumeClaim) -> Option<&PersistentVolume> {
        self.volumes.get(claim.volume_name()?)
    }

    /// The volume by its name.
    pub fn volume(&self, name: &str) -> Option<&PersistentVolume> {
        self.volumes.get(name)
    }

    pub fn set_claim(&mut self, key: &ObjectKey, claim: Option<PersistentVolumeClaim>) {
        match claim {
            Some(mut claim) => {
                claim.metadata.managed_fields = None;
                self.claims.insert(key.clone(), claim);
            }
            None => drop(self.claims.remove(key)),
        }
    }

    pub fn set_volume(&mut self, name: &str, volume: Option<PersistentVolume>) {
        match volume {
            Some(mut volume) => {
                if matching::claim_ref(&volume).is_some_and(|r| r.uid.is_some()) {
                    // It says itself by now whose it is.
                    self.assumed.remove(name);
                }
                volume.metadata.managed_fields = None;
                self.volumes.insert(name.to_owned(), volume);
            }
            None => {
                self.volumes.remove(name);
                self.assumed.remove(name);
            }
        }
    }

    pub fn set_class(&mut self, name: &str, class: Option<StorageClass>) {
        match class {
            Some(class) => drop(self.classes.insert(name.to_owned(), class)),
            None => drop(self.classes.remove(name)),
        }
    }

    /// The volumes of `provision` are given away.
    pub fn assume(&mut self, provision: &Provision) {
        for (claim, volume) in &provision.bind {
            if let Some(claim) = self.claims.get(claim) {
                self.assumed.insert(volume.clone(), claim.uid().to_owned());
            }
        }
    }

    /// They are not, after all.
    pub fn forget(&mut self, provision: &Provision) {
        for (_, volume) in &provision.bind {
            self.assumed.remove(volume);
        }
    }

    /// Whether the claim's volume is chosen only when a pod's node is.
    pub fn waits_for_consumer(&self, claim: &PersistentVolumeClaim) -> bool {
        self.class(claim).is_some_and(StorageClassExt::waits_for_consumer)
    }

    fn class(&self, claim: &PersistentVolumeClaim) -> Option<&StorageClass> {
        self.classes.get(class_of(claim)?)
    }

    /// What is to be written so that the claims can be used on the node.
    pub fn provision<'a>(
        &self,
        claims: impl IntoIterator<Item = &'a PersistentVolumeClaim>,
        node: &NodeInfo,
    ) -> Result<Provision, Lack> {
        let place = Place { name: &node.name, labels: &node.labels };
        let mut provision = Provision::default();
        for claim in claims {
            let key = ObjectKey::new(claim.namespace(), claim.name());
            if claim.volume_name().is_some() {
                let volume = self.volume_of(claim).ok_or(Lack::Missing)?;
                if !matching::reachable(volume, Some(place)) {
                    return Err(Lack::Affinity);
                }
                continue;
            }
            let free = self.volumes.values().filter(|v| {
                let taken = self.assumed.get(v.name()).is_some_and(|uid| uid != claim.uid());
                !taken && !provision.bind.iter().any(|(_, name)| name == v.name())
            });
            let elsewhere = |v: &PersistentVolume| !matching::reachable(v, Some(place));
            match matching::choose(claim, free, Some(place)) {
                Some(volume) if elsewhere(volume) => return Err(Lack::Affinity),
                Some(volume) if reserved(volume, claim) == Reserved::Mine => {}
                Some(volume) => provision.bind.push((key, volume.name().to_owned())),
                None if self.can_be_made(claim, place) => provision.make.push(key),
                None => return Err(Lack::NoVolume),
            }
        }
        Ok(provision)
    }

    /// Whether a provisioner makes volumes of the claim's class, and for this node.
    fn can_be_made(&self, claim: &PersistentVolumeClaim, place: Place<'_>) -> bool {
        let Some(class) = self.class(claim).filter(|c| c.provisioner != NO_PROVISIONER) else { return false };
        let topologies = class.allowed_topologies.as_deref().unwrap_or_default();
        topologies.is_empty()
            || topologies.iter().any(|term| {
                let wanted = term.match_label_expressions.iter().flatten();
                wanted.into_iter().all(|e| place.labels.get(&e.key).is_some_and(|v| e.values.contains(v)))
            })
    }
}

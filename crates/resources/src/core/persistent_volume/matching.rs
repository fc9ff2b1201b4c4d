//! Which volume a claim may have, as values: the binding controller and the scheduler must agree on it.
//! <https://kubernetes.io/docs/concepts/storage/persistent-volumes/#binding>

use std::collections::BTreeMap;

use codec::Kind;
use k8s_openapi::api::core::v1::{ObjectReference, PersistentVolume, PersistentVolumeClaim};

use super::PersistentVolumeExt;
use crate::core::node::term_selects;
use crate::core::persistent_volume_claim::{PersistentVolumeClaimExt, class_of};
use crate::owner::ObjectMetaExt;
use crate::selector::LabelSelectorExt;

/// On whatever was bound by a controller's or the scheduler's choice, as opposed to a user's.
pub const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
/// On a claim that once had its volume.
pub const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
/// On a claim for which a volume is to be made: the node where it will be used.
pub const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

/// Where a volume has to be usable: a node's name and labels.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub name: &'a str,
    pub labels: &'a BTreeMap<String, String>,
}

/// How a volume's `claimRef` stands to a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// For nobody.
    Free,
    /// For this very claim.
    Mine,
    /// For whatever claim has this name: a user asked for it.
    ByName,
    /// For another.
    Other,
}

/// Whose it is, or is to be.
pub fn claim_ref(volume: &PersistentVolume) -> Option<&ObjectReference> {
    volume.spec.as_ref()?.claim_ref.as_ref()
}

/// How the volume stands to the claim.
pub fn reserved(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> Reserved {
    let Some(reference) = claim_ref(volume) else { return Reserved::Free };
    let same = reference.name.as_deref() == Some(claim.name())
        && reference.namespace.as_deref() == Some(claim.namespace());
    match reference.uid.as_deref() {
        _ if !same => Reserved::Other,
        None | Some("") => Reserved::ByName,
        Some(uid) if uid == claim.uid() => Reserved::Mine,
        Some(_) => Reserved::Other,
    }
}

/// The volume for an unbound claim: one that is reserved for it, else the smallest that is large enough. `node` is where it
/// has to be usable, when that is known already.
pub fn choose<'a>(
    claim: &PersistentVolumeClaim,
    volumes: impl IntoIterator<Item = &'a PersistentVolume>,
    node: Option<Place<'_>>,
) -> Option<&'a PersistentVolume> {
    let usable = volumes.into_iter().filter(|v| !v.metadata.is_deleting());
    let mut best: Option<&PersistentVolume> = None;
    for volume in usable {
        match reserved(volume, claim) {
            Reserved::Mine | Reserved::ByName if compatible(claim, volume) => return Some(volume),
            Reserved::Free if fits(claim, volume) && reachable(volume, node) => {
                let order = |v: &PersistentVolume| (v.capacity(), v.name().to_owned());
                if best.is_none_or(|b| order(volume) < order(b)) {
                    best = Some(volume);
                }
            }
            _ => {}
        }
    }
    best
}

/// Size, modes and class will do. Labels do not matter for a volume that somebody reserved by name.
pub fn compatible(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> bool {
    let spec = claim.spec.as_ref();
    let block = spec.and_then(|s| s.volume_mode.as_deref()) == Some("Block");
    let wanted = spec.and_then(|s| s.access_modes.as_deref()).unwrap_or_default();
    let offered = volume.spec.as_ref().and_then(|s| s.access_modes.as_deref()).unwrap_or_default();
    volume.capacity() >= claim.requested()
        && volume.is_block() == block
        && volume.class() == class_of(claim).unwrap_or_default()
        && wanted.iter().all(|mode| offered.contains(mode))
}

fn fits(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> bool {
    let selector = claim.spec.as_ref().and_then(|s| s.selector.as_ref());
    let selected = match selector.map(|s| s.compile()) {
        None => true,
        Some(Ok(selector)) => selector.matches(&volume.metadata.labels),
        Some(Err(_)) => false,
    };
    selected && compatible(claim, volume) && matches!(volume.phase(), "Available" | "Pending" | "")
}

/// Whether the volume can be used there; one without node affinity can be everywhere.
pub fn reachable(volume: &PersistentVolume, node: Option<Place<'_>>) -> bool {
    let affinity = volume.spec.as_ref().and_then(|s| s.node_affinity.as_ref()?.required.as_ref());
    match (affinity, node) {
        (Some(selector), Some(node)) => {
            selector.node_selector_terms.iter().any(|t| term_selects(t, node.name, node.labels))
        }
        _ => true,
    }
}

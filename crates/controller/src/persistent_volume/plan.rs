//! Which volume a claim gets, and what a volume is, as values.

use codec::Kind;
use k8s_openapi::api::core::v1::{Node, ObjectReference, PersistentVolume, PersistentVolumeClaim};
use resources::core::node::selects;
use resources::core::persistent_volume_claim::class_of;
use resources::prelude::*;

/// How a volume's `claimRef` stands to a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reserved {
    /// For nobody.
    Free,
    /// For this very claim.
    Mine,
    /// For whatever claim has this name: a user asked for it.
    ByName,
    /// For another.
    Other,
}

pub(super) fn claim_ref(volume: &PersistentVolume) -> Option<&ObjectReference> {
    volume.spec.as_ref()?.claim_ref.as_ref()
}

pub(super) fn reserved(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> Reserved {
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
pub(super) fn choose<'a>(
    claim: &PersistentVolumeClaim,
    volumes: &'a [PersistentVolume],
    node: Option<&Node>,
) -> Option<&'a PersistentVolume> {
    let usable = volumes.iter().filter(|v| !v.metadata.is_deleting());
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
pub(super) fn compatible(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> bool {
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

fn reachable(volume: &PersistentVolume, node: Option<&Node>) -> bool {
    let affinity = volume.spec.as_ref().and_then(|s| s.node_affinity.as_ref()?.required.as_ref());
    match (affinity, node) {
        (Some(selector), Some(node)) => selects(selector, node),
        _ => true,
    }
}

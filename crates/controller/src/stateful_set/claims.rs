//! Who owns a pod's claims: nobody, the set, or a pod that is scaled away. Claims go with their owners.

use codec::Kind;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use resources::apps::stateful_set::StatefulSetExt;
use resources::owner::{ObjectMetaExt, controller_ref, owner_ref};

/// The claim with the owners that the set's policy wants, where it has others. `pod` is there, or was there; `condemned`: it is
/// being scaled away.
pub fn with_owners(
    set: &StatefulSet,
    pod: Option<&Pod>,
    condemned: bool,
    claim: &PersistentVolumeClaim,
) -> Option<PersistentVolumeClaim> {
    // Somebody else's business.
    let foreign = |owner: &OwnerReference| owner.uid != set.uid() && owner.kind != Pod::KIND;
    if claim.metadata.controller().is_some_and(foreign) {
        return None;
    }
    let (scaled, deleted) = (set.deletes_claims_when_scaled(), set.deletes_claims_when_deleted());
    let of_pod = pod.filter(|_| scaled && condemned);
    let of_set = deleted && !(scaled && condemned);
    let mut owners: Vec<_> = claim.metadata.owner_references.clone().unwrap_or_default();
    let is_pod =
        |owner: &OwnerReference| owner.kind == Pod::KIND && pod.is_some_and(|p| p.name() == owner.name);
    owners.retain(|owner| {
        (owner.uid != set.uid() || of_set) && (!is_pod(owner) || of_pod.is_some_and(|p| p.uid() == owner.uid))
    });
    if of_set && !owners.iter().any(|o| o.uid == set.uid()) {
        owners.push(controller_ref(set));
    }
    if let Some(pod) = of_pod.filter(|p| !owners.iter().any(|o| o.uid == p.uid())) {
        owners.push(owner_ref(pod));
    }
    let wanted = (!owners.is_empty()).then_some(owners);
    if wanted == claim.metadata.owner_references.clone().filter(|o| !o.is_empty()) {
        return None;
    }
    let mut changed = claim.clone();
    changed.metadata.owner_references = wanted;
    Some(changed)
}

/// It goes with a pod of this name that was there before `pod`: the next pod must not begin to use it.
pub fn is_stale(pod_name: &str, pod_uid: &str, claim: &PersistentVolumeClaim) -> bool {
    claim
        .metadata
        .owner_references
        .iter()
        .flatten()
        .any(|owner| owner.kind == Pod::KIND && owner.name == pod_name && owner.uid != pod_uid)
}

//! Who a pod of a stateful set is: name, ordinal, labels, host name and claims.

use codec::Kind;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimVolumeSource, Pod, PodTemplateSpec, Volume,
};
use resources::apps::stateful_set::{POD_INDEX_LABEL, POD_NAME_LABEL};
use resources::owner::ObjectMetaExt;

use crate::replicas::pods::from_template;

/// The label of a pod with the name of its revision.
pub const REVISION_LABEL: &str = "controller-revision-hash";

/// The pod's place in the set; `None` for a pod that is not named after it.
pub fn ordinal(set: &StatefulSet, pod: &str) -> Option<i32> {
    let number = pod.strip_prefix(set.name())?.strip_prefix('-')?;
    // `web-01` is not the name that the set gives.
    let ordinal: i32 = number.parse().ok()?;
    (ordinal >= 0 && ordinal.to_string() == number).then_some(ordinal)
}

fn pod_name(set: &StatefulSet, ordinal: i32) -> String {
    format!("{}-{ordinal}", set.name())
}

/// The revision that the pod was made from.
pub fn revision(pod: &Pod) -> &str {
    pod.metadata.label(REVISION_LABEL).unwrap_or_default()
}

/// The pod of an ordinal, from a template, which is a revision's.
pub fn new_pod(set: &StatefulSet, template: &PodTemplateSpec, revision: &str, ordinal: i32) -> Pod {
    let mut pod = from_template(set, template);
    pod.metadata.name = Some(pod_name(set, ordinal));
    identify(set, &mut pod, ordinal);
    let labels = pod.metadata.labels.get_or_insert_default();
    labels.insert(REVISION_LABEL.into(), revision.to_owned());
    let spec = pod.spec.get_or_insert_default();
    // Set once: neither can change later.
    spec.hostname = Some(pod_name(set, ordinal));
    spec.subdomain = set.spec.service_name.clone().filter(|name| !name.is_empty());
    pod
}

/// Gives the pod the labels and volumes that it should have.
fn identify(set: &StatefulSet, pod: &mut Pod, ordinal: i32) {
    let labels = pod.metadata.labels.get_or_insert_default();
    labels.insert(POD_NAME_LABEL.into(), pod_name(set, ordinal));
    labels.insert(POD_INDEX_LABEL.into(), ordinal.to_string());
    for claim in set.spec.volume_claim_templates.iter().flatten() {
        let source = PersistentVolumeClaimVolumeSource {
            claim_name: claim_name(set, claim, ordinal),
            read_only: None,
        };
        let volume = Volume {
            name: claim.name().to_owned(),
            persistent_volume_claim: Some(source),
            ..Volume::default()
        };
        let volumes = pod.spec.get_or_insert_default().volumes.get_or_insert_default();
        match volumes.iter_mut().find(|v| v.name == volume.name) {
            Some(same) => *same = volume,
            None => volumes.push(volume),
        }
    }
}

/// The pod as it should be, where labels or volumes are not.
pub fn corrected(set: &StatefulSet, pod: &Pod, ordinal: i32) -> Option<Pod> {
    let mut wanted = pod.clone();
    identify(set, &mut wanted, ordinal);
    (wanted != *pod).then_some(wanted)
}

fn claim_name(set: &StatefulSet, template: &PersistentVolumeClaim, ordinal: i32) -> String {
    format!("{}-{}", template.name(), pod_name(set, ordinal))
}

/// The claims of a pod as they are made.
pub fn claims(set: &StatefulSet, ordinal: i32) -> Vec<PersistentVolumeClaim> {
    let templates = set.spec.volume_claim_templates.iter().flatten();
    templates
        .map(|template| {
            let mut claim = template.clone();
            claim.metadata.name = Some(claim_name(set, template, ordinal));
            claim.metadata.namespace = Some(set.namespace().to_owned());
            claim.status = None;
            let labels = claim.metadata.labels.get_or_insert_default();
            labels.extend(set.spec.selector.match_labels.clone().unwrap_or_default());
            claim
        })
        .collect()
}

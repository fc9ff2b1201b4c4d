//! VolumeBinding: a pod goes only where its claims' volumes can be used, and claims that wait for their first pod get their
//! volume with its node. <https://kubernetes.io/docs/concepts/storage/storage-classes/#volume-binding-mode>

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use resources::core::persistent_volume::matching::BIND_COMPLETED;
use resources::prelude::*;

use crate::node::NodeInfo;
use crate::plugin::{ClusterEvent, Filter, Normalise, Plugin, Rejection};
use crate::pod::PodInfo;
use crate::state::Cluster;
use crate::storage::{Lack, Provision};

pub const PLUGIN: Plugin = Plugin {
    name: "VolumeBinding",
    pre_filter: Some(pre_filter),
    filter: Some(filter),
    score: None,
    weight: 0,
    normalise: Normalise::No,
    wakes_on: &[ClusterEvent::Node, ClusterEvent::Storage],
};

/// What storage needs written before the pod can go to the node.
pub fn provision(pod: &PodInfo, cluster: &Cluster, node: &NodeInfo) -> Result<Provision, Rejection> {
    cluster.storage.provision(claims(pod, cluster), node).map_err(|lack| {
        Rejection::final_(match lack {
            Lack::Affinity => "node(s) didn't match PersistentVolume's node affinity",
            Lack::NoVolume => "node(s) didn't find available persistent volumes to bind",
            Lack::Missing => "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)",
        })
    })
}

fn claims<'a>(pod: &'a PodInfo, cluster: &'a Cluster) -> impl Iterator<Item = &'a PersistentVolumeClaim> {
    pod.claims.iter().filter_map(|c| cluster.storage.claim(&c.key))
}

fn pre_filter(pod: &PodInfo, cluster: &Cluster) -> Result<(), String> {
    let mut unbound = false;
    for used in &pod.claims {
        let name = &used.key.name;
        let Some(claim) = cluster.storage.claim(&used.key) else {
            return Err(match used.ephemeral {
                true => format!(
                    "waiting for ephemeral volume controller to create the persistentvolumeclaim {name:?}"
                ),
                false => format!("persistentvolumeclaim {name:?} not found"),
            });
        };
        if claim.phase() == "Lost" {
            let volume = claim.volume_name().unwrap_or_default();
            return Err(format!(
                "persistentvolumeclaim {name:?} bound to non-existent persistentvolume {volume:?}"
            ));
        }
        if claim.metadata.is_deleting() {
            return Err(format!("persistentvolumeclaim {name:?} is being deleted"));
        }
        if used.ephemeral && !claim.metadata.owner_references.iter().flatten().any(|o| *o.uid == *pod.uid) {
            return Err(format!(
                "PVC {}/{name} was not created for pod {}/{} (pod is not owner)",
                used.key.namespace, pod.key.namespace, pod.key.name
            ));
        }
        let bound = claim.volume_name().is_some() && claim.metadata.annotation(BIND_COMPLETED).is_some();
        unbound |= !bound && !cluster.storage.waits_for_consumer(claim);
    }
    match unbound {
        true => Err("pod has unbound immediate PersistentVolumeClaims".into()),
        false => Ok(()),
    }
}

fn filter<'a>(pod: &'a PodInfo, cluster: &'a Cluster) -> Option<Filter<'a>> {
    (!pod.claims.is_empty())
        .then(|| -> Filter<'a> { Box::new(|node| provision(pod, cluster, node).map(drop)) })
}

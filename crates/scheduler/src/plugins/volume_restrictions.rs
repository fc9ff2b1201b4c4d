//! VolumeRestrictions: a ReadWriteOncePod claim is one pod's at a time.
//! <https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes>

use apimachinery::ObjectKey;

use crate::node::NodeInfo;
use crate::plugin::{ClusterEvent, Filter, Normalise, Plugin, Rejection};
use crate::pod::PodInfo;
use crate::state::Cluster;

pub const PLUGIN: Plugin = Plugin {
    name: "VolumeRestrictions",
    pre_filter: None,
    filter: Some(filter),
    score: None,
    weight: 0,
    normalise: Normalise::No,
    wakes_on: &[ClusterEvent::Node, ClusterEvent::PodGone, ClusterEvent::Storage],
};

fn filter<'a>(pod: &'a PodInfo, cluster: &'a Cluster) -> Option<Filter<'a>> {
    let exclusive: Vec<&ObjectKey> =
        pod.claims.iter().map(|c| &c.key).filter(|k| one_pod(k, cluster)).collect();
    let holds = move |node: &NodeInfo| {
        node.pods.values().any(|p| p.uid != pod.uid && p.claims.iter().any(|c| exclusive.contains(&&c.key)))
    };
    // Elsewhere in the cluster counts as much as here, but only where the holder is can preemption help.
    let holder = cluster.nodes().find(|n| holds(n)).map(|n| n.name.as_str())?;
    Some(Box::new(move |node| match (node.name == holder, holds(node)) {
        (true, false) => Ok(()),
        (true, true) => Err(Rejection::new(REASON)),
        (false, _) => Err(Rejection::final_(REASON)),
    }))
}

const REASON: &str =
    "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode";

fn one_pod(key: &ObjectKey, cluster: &Cluster) -> bool {
    let claim = cluster.storage.claim(key);
    let modes = claim.and_then(|c| c.spec.as_ref()?.access_modes.as_ref());
    modes.is_some_and(|m| m.iter().any(|mode| mode == "ReadWriteOncePod"))
}

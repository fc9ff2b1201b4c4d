//! NodeName: a pod that names its node fits nowhere else.

use crate::plugin::{ClusterEvent, Filter, Normalise, Plugin, Rejection};
use crate::pod::PodInfo;
use crate::state::Cluster;

pub const PLUGIN: Plugin = Plugin {
    name: "NodeName",
    pre_filter: None,
    filter: Some(filter),
    score: None,
    weight: 0,
    normalise: Normalise::No,
    wakes_on: &[ClusterEvent::Node],
};

fn filter<'a>(pod: &'a PodInfo, _: &'a Cluster) -> Option<Filter<'a>> {
    (!pod.node.is_empty()).then(|| -> Filter<'a> {
        Box::new(|node| match node.name == pod.node {
            true => Ok(()),
            false => Err(Rejection::final_("node(s) didn't match the requested node name")),
        })
    })
}

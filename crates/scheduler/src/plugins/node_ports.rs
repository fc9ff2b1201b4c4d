//! NodePorts: two pods of one node cannot have one host port.

use crate::plugin::{ClusterEvent, Filter, Normalise, Plugin, Rejection};
use crate::pod::PodInfo;
use crate::state::Cluster;

pub const PLUGIN: Plugin = Plugin {
    name: "NodePorts",
    pre_filter: None,
    filter: Some(filter),
    score: None,
    weight: 0,
    normalise: Normalise::No,
    wakes_on: &[ClusterEvent::Node, ClusterEvent::PodGone],
};

fn filter<'a>(pod: &'a PodInfo, _: &'a Cluster) -> Option<Filter<'a>> {
    (!pod.host_ports.is_empty()).then(|| -> Filter<'a> {
        Box::new(|node| {
            let taken =
                pod.host_ports.iter().any(|wanted| node.host_ports.iter().any(|p| p.conflicts(wanted)));
            match taken {
                true => Err(Rejection::new("node(s) didn't have free ports for the requested pod ports")),
                false => Ok(()),
            }
        })
    })
}

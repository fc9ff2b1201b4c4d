//! NodeResourcesBalancedAllocation: prefers nodes whose CPU and memory fill up evenly.

use crate::plugin::{Normalise, Plugin, Score};
use crate::pod::PodInfo;
use crate::state::Cluster;

pub const PLUGIN: Plugin = Plugin {
    name: "NodeResourcesBalancedAllocation",
    pre_filter: None,
    filter: None,
    score: Some(score),
    weight: 1,
    normalise: Normalise::No,
    wakes_on: &[],
};

fn score<'a>(pod: &'a PodInfo, _: &'a Cluster) -> Option<Score<'a>> {
    // A pod that asks for nothing upsets no balance.
    (pod.requests.milli_cpu != 0 || pod.requests.memory != 0).then(|| -> Score<'a> {
        Box::new(|node| {
            let part =
                |used: i64, total: i64| if total <= 0 { 1.0 } else { (used as f64 / total as f64).min(1.0) };
            let cpu = part(node.requested.milli_cpu + pod.requests.milli_cpu, node.allocatable.milli_cpu);
            let memory = part(node.requested.memory + pod.requests.memory, node.allocatable.memory);
            // The standard deviation of two values is half their distance.
            ((1.0 - (cpu - memory).abs() / 2.0) * 100.0) as i64
        })
    })
}

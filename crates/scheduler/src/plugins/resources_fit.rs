//! NodeResourcesFit: what is left must suffice; emptier nodes score higher (LeastAllocated).

use crate::node::NodeInfo;
use crate::plugin::{ClusterEvent, Filter, Normalise, Plugin, Rejection, Score};
use crate::pod::PodInfo;
use crate::state::Cluster;

pub const PLUGIN: Plugin = Plugin {
    name: "NodeResourcesFit",
    pre_filter: None,
    filter: Some(filter),
    score: Some(score),
    weight: 1,
    normalise: Normalise::No,
    wakes_on: &[ClusterEvent::Node, ClusterEvent::PodGone],
};

fn filter<'a>(pod: &'a PodInfo, _: &'a Cluster) -> Option<Filter<'a>> {
    Some(Box::new(|node| match insufficient(pod, node) {
        reasons if reasons.is_empty() => Ok(()),
        reasons => Err(Rejection { reasons, resolvable: would_fit_empty(pod, node) }),
    }))
}

/// Otherwise no pod that leaves can help.
fn would_fit_empty(pod: &PodInfo, node: &NodeInfo) -> bool {
    let (wanted, total) = (&pod.requests, &node.allocatable);
    node.allowed_pods > 0
        && wanted.milli_cpu <= total.milli_cpu
        && wanted.memory <= total.memory
        && wanted.ephemeral_storage <= total.ephemeral_storage
        && wanted.others.iter().all(|(name, n)| *n <= total.others.get(name).copied().unwrap_or(0))
}

fn insufficient(pod: &PodInfo, node: &NodeInfo) -> Vec<String> {
    let mut reasons = Vec::new();
    if node.pods.len() as i64 + 1 > node.allowed_pods {
        reasons.push("Too many pods".to_owned());
    }
    let wanted = &pod.requests;
    let mut check = |name: &str, wanted: i64, total: i64, used: i64| {
        // What a pod does not ask for cannot be short for it.
        if wanted > 0 && wanted > total - used {
            reasons.push(format!("Insufficient {name}"));
        }
    };
    let (total, used) = (&node.allocatable, &node.requested);
    check("cpu", wanted.milli_cpu, total.milli_cpu, used.milli_cpu);
    check("memory", wanted.memory, total.memory, used.memory);
    check("ephemeral-storage", wanted.ephemeral_storage, total.ephemeral_storage, used.ephemeral_storage);
    for (name, amount) in &wanted.others {
        let of = |list: &std::collections::BTreeMap<String, i64>| list.get(name).copied().unwrap_or(0);
        check(name, *amount, of(&total.others), of(&used.others));
    }
    reasons
}

fn score<'a>(pod: &'a PodInfo, _: &'a Cluster) -> Option<Score<'a>> {
    Some(Box::new(|node| {
        let free =
            |total: i64, used: i64| if total <= 0 || used > total { 0 } else { (total - used) * 100 / total };
        let cpu = free(node.allocatable.milli_cpu, node.assumed.milli_cpu + pod.assumed.milli_cpu);
        let memory = free(node.allocatable.memory, node.assumed.memory + pod.assumed.memory);
        (cpu + memory) / 2
    }))
}

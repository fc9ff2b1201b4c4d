//! PodTopologySpread: pods alike are spread evenly over domains.
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/>

use std::collections::HashMap;

use resources::prelude::TolerationExt as _;

use crate::node::NodeInfo;
use crate::plugin::{ClusterEvent, Filter, Normalise, Plugin, Rejection, Score};
use crate::plugins::node_affinity;
use crate::pod::{PodInfo, Spread};
use crate::state::Cluster;

pub const PLUGIN: Plugin = Plugin {
    name: "PodTopologySpread",
    pre_filter: None,
    filter: Some(filter),
    score: Some(score),
    weight: 2,
    normalise: Normalise::Reverse,
    wakes_on: &[ClusterEvent::Node, ClusterEvent::PodGone, ClusterEvent::PodPlaced],
};

/// Matching pods by domain, domains without one included.
fn counts<'a>(
    pod: &PodInfo,
    constraint: &Spread,
    keys: &[&Spread],
    cluster: &'a Cluster,
) -> HashMap<&'a str, i64> {
    let mut counts = HashMap::new();
    for node in cluster.nodes().filter(|n| counts_in(pod, constraint, n)) {
        // Nodes that lack any of the topology keys take no part.
        if keys.iter().any(|k| !node.labels.contains_key(&k.topology_key)) {
            continue;
        }
        let Some(domain) = node.labels.get(&constraint.topology_key) else { continue };
        *counts.entry(domain.as_str()).or_default() += matching(pod, constraint, node);
    }
    counts
}

fn matching(pod: &PodInfo, constraint: &Spread, node: &NodeInfo) -> i64 {
    let alike = |p: &&std::sync::Arc<PodInfo>| {
        !p.deleting && p.key.namespace == pod.key.namespace && constraint.selector.matches(&p.labels)
    };
    node.pods.values().filter(alike).count() as i64
}

fn counts_in(pod: &PodInfo, constraint: &Spread, node: &NodeInfo) -> bool {
    let tolerated = || {
        node.taints
            .iter()
            .filter(|t| t.effect != "PreferNoSchedule")
            .all(|taint| pod.tolerations.iter().any(|t| t.tolerates(taint)))
    };
    (!constraint.honor_affinity || node_affinity::allows(pod, node))
        && (!constraint.honor_taints || tolerated())
}

fn filter<'a>(pod: &'a PodInfo, cluster: &'a Cluster) -> Option<Filter<'a>> {
    let hard: Vec<&Spread> = pod.spread.iter().filter(|c| c.hard).collect();
    if hard.is_empty() {
        return None;
    }
    let counted: Vec<_> = hard
        .iter()
        .map(|c| {
            let counts = counts(pod, c, &hard, cluster);
            // With fewer domains than wanted the emptiest counts as empty.
            let fewest = if (counts.len() as i64) < c.min_domains {
                0
            } else {
                counts.values().copied().min().unwrap_or(0)
            };
            (*c, counts, fewest)
        })
        .collect();
    Some(Box::new(move |node| {
        for (constraint, counts, fewest) in &counted {
            let Some(domain) = node.labels.get(&constraint.topology_key) else {
                return Err(Rejection::final_(
                    "node(s) didn't match pod topology spread constraints (missing required label)",
                ));
            };
            let itself = i64::from(constraint.selector.matches(&pod.labels));
            let there = counts.get(domain.as_str()).copied().unwrap_or(0);
            if there + itself - fewest > constraint.max_skew {
                return Err(Rejection::new("node(s) didn't match pod topology spread constraints"));
            }
        }
        Ok(())
    }))
}

fn score<'a>(pod: &'a PodInfo, cluster: &'a Cluster) -> Option<Score<'a>> {
    let soft: Vec<&Spread> = pod.spread.iter().filter(|c| !c.hard).collect();
    if soft.is_empty() {
        return None;
    }
    let counted: Vec<_> = soft.iter().map(|c| (*c, counts(pod, c, &soft, cluster))).collect();
    Some(Box::new(move |node| {
        let there = |c: &Spread, counts: &HashMap<&str, i64>| {
            let domain = node.labels.get(&c.topology_key)?;
            // More domains make each pod count for more, as upstream weighs them.
            let weight = ((counts.len() + 2) as f64).ln();
            Some(
                (counts.get(domain.as_str()).copied().unwrap_or(0) as f64 * weight * 100.0) as i64
                    + c.max_skew
                    - 1,
            )
        };
        counted.iter().map(|(c, counts)| there(c, counts).unwrap_or(i64::from(i32::MAX))).sum()
    }))
}

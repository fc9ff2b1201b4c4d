//! InterPodAffinity: near or far from other pods, by topology domain.
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity>

use std::collections::HashMap;

use crate::plugin::{ClusterEvent, Filter, Normalise, Plugin, Rejection, Score};
use crate::pod::{AffinityTerm, PodInfo};
use crate::state::Cluster;

pub const PLUGIN: Plugin = Plugin {
    name: "InterPodAffinity",
    pre_filter: None,
    filter: Some(filter),
    score: Some(score),
    weight: 2,
    normalise: Normalise::Spread,
    wakes_on: &[ClusterEvent::Node, ClusterEvent::PodGone, ClusterEvent::PodPlaced, ClusterEvent::Namespace],
};

/// Whether the term selects this pod.
fn selects(term: &AffinityTerm, pod: &PodInfo, cluster: &Cluster) -> bool {
    let namespace = &*pod.key.namespace;
    let in_namespace = term.all_namespaces
        || term.namespaces.iter().any(|n| n == namespace)
        || term
            .namespace_selector
            .as_ref()
            .is_some_and(|s| cluster.namespace_labels(namespace).is_some_and(|labels| s.matches(labels)));
    in_namespace && term.selector.matches(&pod.labels)
}

/// How many pods the term selects in each domain of its topology key.
fn domains(term: &AffinityTerm, cluster: &Cluster) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for node in cluster.nodes() {
        let Some(domain) = node.labels.get(&term.topology_key) else { continue };
        let found = node.pods.values().filter(|p| !p.deleting && selects(term, p, cluster)).count();
        if found > 0 {
            *counts.entry(domain.clone()).or_default() += found;
        }
    }
    counts
}

fn filter<'a>(pod: &'a PodInfo, cluster: &'a Cluster) -> Option<Filter<'a>> {
    if pod.affinity.is_empty() && pod.anti_affinity.is_empty() && cluster.anti_affinity_pods == 0 {
        return None;
    }
    let near: Vec<_> = pod.affinity.iter().map(|t| (t, domains(t, cluster))).collect();
    let far: Vec<_> = pod.anti_affinity.iter().map(|t| (t, domains(t, cluster))).collect();
    let forbidden = others_anti_affinity(pod, cluster);
    // The first pod of a group that wants to be near itself may go anywhere that has the topology.
    let first = near.iter().all(|(t, found)| found.is_empty() && selects(t, pod, cluster));
    Some(Box::new(move |node| {
        let domain = |t: &AffinityTerm| node.labels.get(&t.topology_key);
        let is_near = near.iter().all(|(t, found)| domain(t).is_some_and(|d| first || found.contains_key(d)));
        if !is_near {
            return Err(Rejection::final_("node(s) didn't match pod affinity rules"));
        }
        if far.iter().any(|(t, found)| domain(t).is_some_and(|d| found.contains_key(d))) {
            return Err(Rejection::new("node(s) didn't match pod anti-affinity rules"));
        }
        if forbidden.iter().any(|(key, value)| node.labels.get(*key) == Some(value)) {
            return Err(Rejection::new("node(s) didn't satisfy existing pods anti-affinity rules"));
        }
        Ok(())
    }))
}

/// Domains (key, value) that pods already there keep this pod away from.
fn others_anti_affinity<'a>(pod: &PodInfo, cluster: &'a Cluster) -> Vec<(&'a str, &'a String)> {
    if cluster.anti_affinity_pods == 0 {
        return Vec::new();
    }
    let mut forbidden = Vec::new();
    for node in cluster.nodes() {
        for term in node.pods.values().flat_map(|p| &p.anti_affinity) {
            let Some(domain) = node.labels.get(&term.topology_key) else { continue };
            let pair = (term.topology_key.as_str(), domain);
            if !forbidden.contains(&pair) && selects(term, pod, cluster) {
                forbidden.push(pair);
            }
        }
    }
    forbidden
}

fn score<'a>(pod: &'a PodInfo, cluster: &'a Cluster) -> Option<Score<'a>> {
    if pod.preferred_affinity.is_empty() && pod.preferred_anti_affinity.is_empty() {
        return None;
    }
    let signed = |terms: &'a [AffinityTerm], sign: i64| {
        terms.iter().map(move |t| (&t.topology_key, sign * t.weight, domains(t, cluster)))
    };
    let wishes: Vec<_> =
        signed(&pod.preferred_affinity, 1).chain(signed(&pod.preferred_anti_affinity, -1)).collect();
    Some(Box::new(move |node| {
        let count = |key: &String, found: &HashMap<String, usize>| {
            node.labels.get(key).and_then(|d| found.get(d)).copied().unwrap_or(0) as i64
        };
        wishes.iter().map(|(key, weight, found)| weight * count(key, found)).sum()
    }))
}

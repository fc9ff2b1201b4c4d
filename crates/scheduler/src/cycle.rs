//! One scheduling cycle: filter the nodes, score those that fit, take the best.

use std::collections::BTreeMap;

use stdx::Random;

use crate::node::NodeInfo;
use crate::plugin::{Filter, Normalise, Plugin, Rejection};
use crate::plugins::volume_binding;
use crate::pod::PodInfo;
use crate::state::Cluster;
use crate::storage::Provision;

/// Why no node takes the pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FitError {
    pub nodes: usize,
    /// Reason → on how many nodes.
    pub reasons: BTreeMap<String, usize>,
    /// Why no node was even looked at.
    pub pre_filter: String,
    /// Plugins that rejected it somewhere: only events that these care about can help.
    pub plugins: Vec<&'static str>,
    /// Nodes that would take it if pods left them, perhaps.
    pub resolvable: Vec<String>,
    /// What came of preemption.
    pub preemption: String,
}

impl std::fmt::Display for FitError {
    /// As events and conditions show it: `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable.`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.nodes == 0 {
            return f.write_str("no nodes available to schedule pods");
        }
        match self.pre_filter.as_str() {
            "" => f.write_str(&counted(self.nodes, &self.reasons))?,
            reason => write!(f, "0/{} nodes are available: {reason}.", self.nodes)?,
        }
        match self.preemption.as_str() {
            "" => Ok(()),
            preemption => write!(f, " preemption: {preemption}"),
        }
    }
}

/// `0/2 nodes are available: …`, one reason per node.
pub fn unavailable(nodes: usize, reasons: &[String]) -> String {
    let mut counts = BTreeMap::new();
    for reason in reasons {
        *counts.entry(reason.clone()).or_default() += 1;
    }
    counted(nodes, &counts)
}

fn counted(nodes: usize, reasons: &BTreeMap<String, usize>) -> String {
    let mut reasons: Vec<String> =
        reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    reasons.sort();
    format!("0/{nodes} nodes are available: {}.", reasons.join(", "))
}

/// The node for the pod. Ties are broken at random, so that no node is preferred by its name.
pub fn schedule(pod: &PodInfo, cluster: &Cluster, random: &Random) -> Result<String, FitError> {
    pre_filter(pod, cluster)?;
    // Where room was made for it, it goes when there is room.
    let nominated = cluster.nominated_node(&pod.uid);
    if let Some(node) = nominated.filter(|node| fits(pod, cluster, node).is_ok()) {
        return Ok(node.to_owned());
    }
    let feasible = filter(pod, cluster)?;
    match feasible[..] {
        [only] => Ok(only.name.clone()),
        _ => Ok(best(pod, cluster, &feasible, random).name.clone()),
    }
}

/// What is to be written about storage before the pod can go to the node that was found for it.
pub fn provision(pod: &PodInfo, cluster: &Cluster, node: &str) -> Provision {
    let node = cluster.node(node).filter(|_| !pod.claims.is_empty());
    node.and_then(|node| volume_binding::provision(pod, cluster, node).ok()).unwrap_or_default()
}

/// Whether the pod can go anywhere.
fn pre_filter(pod: &PodInfo, cluster: &Cluster) -> Result<(), FitError> {
    for plugin in cluster.profiles.of(pod).plugins().filter(|e| e.pre_filter).map(|e| e.plugin) {
        if let Some(Err(reason)) = plugin.pre_filter.map(|check| check(pod, cluster)) {
            return Err(FitError {
                nodes: cluster.nodes().count(),
                pre_filter: reason,
                plugins: vec![plugin.name],
                ..FitError::default()
            });
        }
    }
    Ok(())
}

/// Whether this one node takes the pod.
pub fn fits(pod: &PodInfo, cluster: &Cluster, node: &str) -> Result<(), Rejection> {
    let Some(node) = cluster.node(node) else { return Err(Rejection::final_("node(s) no longer there")) };
    check(&prepared(pod, cluster), pod, cluster, node).map_err(|(_, rejection)| rejection)
}

type Prepared<'a> = Vec<(&'static str, Filter<'a>)>;

fn prepared<'a>(pod: &'a PodInfo, cluster: &'a Cluster) -> Prepared<'a> {
    let plugins = cluster.profiles.of(pod).plugins().filter(|e| e.filter).map(|e| e.plugin);
    plugins.filter_map(|p| Some((p.name, (p.filter?)(pod, cluster)?))).collect()
}

/// The first filter that rejects the node; also with the pods there for which room is being made.
fn check(
    filters: &Prepared<'_>,
    pod: &PodInfo,
    cluster: &Cluster,
    node: &NodeInfo,
) -> Result<(), (&'static str, Rejection)> {
    let rejects = |node: &NodeInfo| filters.iter().find_map(|(name, f)| Some((*name, f(node).err()?)));
    let ahead = cluster.ahead_of(pod, &node.name);
    if !ahead.is_empty() {
        let mut fuller = node.clone();
        ahead.into_iter().for_each(|p| fuller.add(p));
        if let Some(rejected) = rejects(&fuller) {
            return Err(rejected);
        }
    }
    rejects(node).map_or(Ok(()), Err)
}

fn filter<'a>(pod: &PodInfo, cluster: &'a Cluster) -> Result<Vec<&'a NodeInfo>, FitError> {
    let filters = prepared(pod, cluster);
    let mut error = FitError::default();
    let mut feasible = Vec::new();
    for node in cluster.nodes() {
        error.nodes += 1;
        let Err((plugin, rejection)) = check(&filters, pod, cluster, node) else {
            feasible.push(node);
            continue;
        };
        if rejection.resolvable {
            error.resolvable.push(node.name.clone());
        }
        for reason in rejection.reasons {
            *error.reasons.entry(reason).or_default() += 1;
        }
        if !error.plugins.contains(&plugin) {
            error.plugins.push(plugin);
        }
    }
    if feasible.is_empty() { Err(error) } else { Ok(feasible) }
}

fn best<'a>(pod: &PodInfo, cluster: &Cluster, feasible: &[&'a NodeInfo], random: &Random) -> &'a NodeInfo {
    let mut totals = vec![0i64; feasible.len()];
    for enabled in cluster.profiles.of(pod).plugins().filter(|e| e.weight > 0) {
        let plugin = enabled.plugin;
        let Some(score) = plugin.score.and_then(|prepare| prepare(pod, cluster)) else { continue };
        let scores: Vec<i64> = feasible.iter().map(|node| score(node)).collect();
        for (total, score) in totals.iter_mut().zip(normalised(plugin, scores)) {
            *total += score * enabled.weight;
        }
    }
    let highest = totals.iter().copied().max().unwrap_or_default();
    let winners: Vec<usize> = (0..totals.len()).filter(|i| totals[*i] == highest).collect();
    feasible[winners[random.below(winners.len() as u64) as usize]]
}

/// Into 0..=100, as upstream's helpers do it.
fn normalised(plugin: &Plugin, scores: Vec<i64>) -> Vec<i64> {
    let highest = scores.iter().copied().max().unwrap_or(0);
    let lowest = scores.iter().copied().min().unwrap_or(0);
    let scale = |score: i64| match plugin.normalise {
        Normalise::No => score,
        Normalise::Highest if highest == 0 => 0,
        Normalise::Highest => score * 100 / highest,
        Normalise::Reverse if highest == 0 => 100,
        Normalise::Reverse => 100 - score * 100 / highest,
        Normalise::Spread if highest == lowest => 0,
        Normalise::Spread => (score - lowest) * 100 / (highest - lowest),
    };
    scores.into_iter().map(scale).collect()
}

//! Which pods to make and remove, node by node: [`manage`] keeps one pod on each node, [`update`] replaces old ones. Pure.

use std::collections::BTreeMap;

use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Node, Pod};
use resources::apps::daemon_set::DaemonSetExt;
use resources::core::pod::PodExt;
use resources::owner::ObjectMetaExt;

use super::nodes::{self, Eligible, Fit, HASH_LABEL};

/// What a daemon set's controller knows.
pub struct Observed<'a> {
    pub set: &'a DaemonSet,
    pub nodes: &'a [Node],
    /// Those it controls.
    pub pods: &'a [Pod],
    /// Of the present template; new pods get the first. Never empty.
    pub hashes: &'a [String],
    pub now: Timestamp,
}

impl Observed<'_> {
    /// What new pods are labelled with.
    pub fn hash(&self) -> &str {
        self.hashes.first().map(String::as_str).unwrap_or_default()
    }
}

/// What to do, in no order.
#[derive(Debug, Default, PartialEq)]
pub struct Plan<'a> {
    /// Nodes that get a pod.
    pub create: Vec<String>,
    pub delete: Vec<&'a Pod>,
    /// To be deleted when the node's back-off has passed: a kubelet may refuse its like again and again.
    pub failed: Vec<(&'a Pod, String)>,
    /// Ran to their end, though they should not: deleted, and told of.
    pub succeeded: Vec<(&'a Pod, String)>,
}

/// One pod on every node that should have one, and none elsewhere.
pub fn manage<'a>(observed: &Observed<'a>) -> Plan<'a> {
    let by_node = nodes::by_node(observed.pods);
    let eligible = Eligible::of(observed.set);
    let surges = observed.set.surge_and_unavailable(observed.nodes.len() as i32).0 > 0;
    let mut plan = Plan::default();
    for node in observed.nodes {
        let pods = by_node.get(node.name()).map(Vec::as_slice).unwrap_or_default();
        match eligible.fit(node) {
            Fit::Runs if pods.is_empty() => plan.create.push(node.name().to_owned()),
            Fit::Never => plan.delete.extend(pods.iter().filter(|p| !p.metadata.is_deleting())),
            Fit::Runs | Fit::Keeps => keep_one(observed, node.name(), pods, surges, &mut plan),
        }
    }
    // For nodes that are gone: the scheduler would never place them.
    let known = |name: &str| observed.nodes.iter().any(|node| node.name() == name);
    let lost = observed.pods.iter().filter(|pod| {
        pod.node_name().is_none()
            && !pod.metadata.is_deleting()
            && nodes::target(pod).is_some_and(|node| !known(node))
    });
    plan.delete.extend(lost);
    plan
}

/// Removes what has ended, and all but the oldest; during a surge one old pod stays until the new one is available.
fn keep_one<'a>(observed: &Observed<'a>, node: &str, pods: &[&'a Pod], surges: bool, plan: &mut Plan<'a>) {
    let mut running = Vec::new();
    for pod in pods.iter().filter(|p| !p.metadata.is_deleting()) {
        match pod.phase() {
            "Failed" => plan.failed.push((pod, node.to_owned())),
            "Succeeded" => plan.succeeded.push((pod, node.to_owned())),
            _ => running.push(*pod),
        }
    }
    if !surges || running.len() <= 1 {
        plan.delete.extend(running.into_iter().skip(1));
        return;
    }
    let (new, old): (Vec<&Pod>, Vec<&Pod>) =
        running.into_iter().partition(|pod| is_current(pod, observed.hashes));
    plan.delete.extend(new.iter().chain(&old).filter(|pod| {
        let oldest = [new.first(), old.first()].into_iter().flatten();
        !oldest.into_iter().any(|first| std::ptr::eq(*first, **pod))
    }));
    if let (Some(new), Some(old)) = (new.first(), old.first())
        && (!old.is_ready() || is_available(observed, new))
    {
        plan.delete.push(old);
    }
}

/// Is of the present template.
pub fn is_current(pod: &Pod, hashes: &[String]) -> bool {
    pod.metadata.label(HASH_LABEL).is_some_and(|hash| hashes.iter().any(|h| h == hash))
}

fn is_available(observed: &Observed<'_>, pod: &Pod) -> bool {
    pod.is_available(observed.set.spec.min_ready_seconds.unwrap_or(0), observed.now)
}

/// A node during an update.
enum Stage<'a> {
    /// [`manage`] has to tidy it up first.
    Untidy,
    Empty,
    New(&'a Pod),
    Old(&'a Pod),
    /// The old pod second.
    Both(&'a Pod, &'a Pod),
}

fn stage<'a>(pods: &[&'a Pod], hashes: &[String]) -> Stage<'a> {
    let live = pods.iter().copied().filter(|p| !p.metadata.is_deleting());
    let (new, old): (Vec<&Pod>, Vec<&Pod>) = live.partition(|pod| is_current(pod, hashes));
    match (&new[..], &old[..]) {
        ([], []) => Stage::Empty,
        ([new], []) => Stage::New(new),
        ([], [old]) => Stage::Old(old),
        ([new], [old]) => Stage::Both(new, old),
        _ => Stage::Untidy,
    }
}

/// The next step of a rolling update.
pub fn update<'a>(observed: &Observed<'a>) -> Plan<'a> {
    let mut by_node = nodes::by_node(observed.pods);
    let eligible = Eligible::of(observed.set);
    let wanted: Vec<_> = observed.nodes.iter().filter(|node| eligible.fit(node) == Fit::Runs).collect();
    for node in &wanted {
        by_node.entry(node.name().to_owned()).or_default();
    }
    match observed.set.surge_and_unavailable(wanted.len() as i32) {
        (0, unavailable) => replace(observed, &by_node, unavailable),
        (surge, _) => add_first(observed, &by_node, surge),
    }
}

/// Removes old pods, so many that not too many nodes are without; [`manage`] makes the new ones.
fn replace<'a>(
    observed: &Observed<'a>,
    by_node: &BTreeMap<String, Vec<&'a Pod>>,
    max_unavailable: i32,
) -> Plan<'a> {
    let (mut unavailable, mut broken, mut candidates) = (0, Vec::new(), Vec::new());
    for pods in by_node.values() {
        match stage(pods, observed.hashes) {
            Stage::New(new) if is_available(observed, new) => {}
            Stage::Old(old) if is_available(observed, old) => candidates.push(old),
            Stage::Old(old) => {
                // It serves nobody, so replacing it costs nothing.
                broken.push(old);
                unavailable += 1;
            }
            Stage::Untidy | Stage::Empty | Stage::New(_) | Stage::Both(..) => unavailable += 1,
        }
    }
    let room = usize::try_from(max_unavailable - unavailable).unwrap_or(0);
    broken.extend(candidates.into_iter().take(room));
    Plan { delete: broken, ..Plan::default() }
}

/// Makes new pods beside old ones, and removes an old one when its successor is available.
fn add_first<'a>(
    observed: &Observed<'a>,
    by_node: &BTreeMap<String, Vec<&'a Pod>>,
    max_surge: i32,
) -> Plan<'a> {
    let (mut surge, mut plan, mut candidates) = (0, Plan::default(), Vec::new());
    for (node, pods) in by_node {
        match stage(pods, observed.hashes) {
            Stage::Untidy => surge += 1,
            Stage::Empty | Stage::New(_) => {}
            Stage::Old(old) if is_available(observed, old) => candidates.push(node.clone()),
            Stage::Old(_) => plan.create.push(node.clone()),
            Stage::Both(new, old) if is_available(observed, new) => plan.delete.push(old),
            Stage::Both(..) => surge += 1,
        }
    }
    let room = usize::try_from(max_surge - surge).unwrap_or(0);
    plan.create.extend(candidates.into_iter().take(room));
    plan
}

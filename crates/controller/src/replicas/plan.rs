//! How many pods to make, or which to give up.

use std::collections::HashMap;

use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use resources::core::pod::PodExt;
use resources::core::pod::ordering::{Ranked, deletion_order};

/// At most so many at once; the rest follows when these are seen.
pub const BURST_MAX: usize = 500;

/// What to do about the number of pods.
#[derive(Debug, PartialEq)]
pub enum Action<'a> {
    Nothing,
    Create(usize),
    Delete(Vec<&'a Pod>),
}

/// `active` are the owner's pods that neither ended nor are being deleted. `related` are all active pods of the same
/// application (those of sibling replica sets included): a node that has many of them loses one first.
pub fn plan<'a>(wanted: i32, active: &'a [Pod], related: &[Pod], now: Timestamp) -> Action<'a> {
    let wanted = wanted.max(0) as usize;
    match active.len() {
        have if have < wanted => Action::Create((wanted - have).min(BURST_MAX)),
        have if have > wanted => {
            Action::Delete(cheapest((have - wanted).min(BURST_MAX), active, related, now))
        }
        _ => Action::Nothing,
    }
}

fn cheapest<'a>(count: usize, active: &'a [Pod], related: &[Pod], now: Timestamp) -> Vec<&'a Pod> {
    let mut on_node: HashMap<&str, usize> = HashMap::new();
    for pod in related {
        *on_node.entry(pod.node_name().unwrap_or_default()).or_default() += 1;
    }
    let rank = |pod: &Pod| on_node.get(pod.node_name().unwrap_or_default()).copied().unwrap_or(0);
    let mut ranked: Vec<_> = active.iter().map(|pod| Ranked { pod, rank: rank(pod) }).collect();
    if count < ranked.len() {
        ranked.sort_by(|a, b| deletion_order(*a, *b, now).then_with(|| a.pod.name().cmp(b.pod.name())));
    }
    ranked.into_iter().take(count).map(|r| r.pod).collect()
}

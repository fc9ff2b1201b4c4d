//! The taints that a node's conditions call for.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use resources::core::node::NodeExt;

pub const NOT_READY: &str = "node.kubernetes.io/not-ready";
pub const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
pub const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

pub const NO_SCHEDULE: &str = "NoSchedule";
pub const NO_EXECUTE: &str = "NoExecute";

/// Condition, status, and the key of the taint that keeps new pods away.
const BY_CONDITION: &[(&str, &str, &str)] = &[
    ("Ready", "False", NOT_READY),
    ("Ready", "Unknown", UNREACHABLE),
    ("MemoryPressure", "True", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"),
    ("NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"),
    ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
];

/// All taints the node should have: other people's as they are, ours as its conditions say. `evict`: whether pods may be driven
/// off a node that is not ready at all. `None`: it has them already.
pub fn wanted(node: &Node, evict: bool, now: Timestamp) -> Option<Vec<Taint>> {
    let have = node.taints();
    let mut wanted: Vec<(&str, &str)> = Vec::new();
    for (condition, status, key) in BY_CONDITION {
        if node.condition(condition).is_some_and(|c| c.status == *status) {
            wanted.push((key, NO_SCHEDULE));
            if *condition == "Ready" && evict {
                wanted.push((key, NO_EXECUTE));
            }
        }
    }
    if node.is_unschedulable() {
        wanted.push((UNSCHEDULABLE, NO_SCHEDULE));
    }
    let is_wanted = |t: &Taint| wanted.contains(&(t.key.as_str(), t.effect.as_str()));
    let mut taints: Vec<_> = have.iter().filter(|t| !is_ours(t) || is_wanted(t)).cloned().collect();
    for (key, effect) in &wanted {
        if !taints.iter().any(|t| t.key == *key && t.effect == *effect) {
            taints.push(Taint {
                key: (*key).into(),
                effect: (*effect).into(),
                value: None,
                time_added: Some(Time(now)),
            });
        }
    }
    (taints != have).then_some(taints)
}

fn is_ours(taint: &Taint) -> bool {
    match taint.effect.as_str() {
        NO_SCHEDULE => taint.key == UNSCHEDULABLE || BY_CONDITION.iter().any(|(_, _, key)| taint.key == *key),
        NO_EXECUTE => taint.key == NOT_READY || taint.key == UNREACHABLE,
        _ => false,
    }
}

//! NodeAffinity: nodeSelector and node affinity.
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/>

use k8s_openapi::api::core::v1::NodeSelectorTerm;
use resources::core::node::term_selects;

use crate::node::NodeInfo;
use crate::plugin::{ClusterEvent, Filter, Normalise, Plugin, Rejection, Score};
use crate::pod::PodInfo;
use crate::state::Cluster;

pub const PLUGIN: Plugin = Plugin {
    name: "NodeAffinity",
    pre_filter: None,
    filter: Some(filter),
    score: Some(score),
    weight: 2,
    normalise: Normalise::Highest,
    wakes_on: &[ClusterEvent::Node],
};

/// Whether the node is one that nodeSelector and required affinity allow.
pub fn allows(pod: &PodInfo, node: &NodeInfo) -> bool {
    pod.node_selector.iter().all(|(k, v)| node.labels.get(k) == Some(v))
        && pod.node_terms.as_ref().is_none_or(|terms| terms.iter().any(|t| matches(t, node)))
}

fn matches(term: &NodeSelectorTerm, node: &NodeInfo) -> bool {
    term_selects(term, &node.name, &node.labels)
}

fn filter<'a>(pod: &'a PodInfo, _: &'a Cluster) -> Option<Filter<'a>> {
    let anywhere = pod.node_selector.is_empty() && pod.node_terms.is_none();
    (!anywhere).then(|| -> Filter<'a> {
        Box::new(|node| match allows(pod, node) {
            true => Ok(()),
            false => Err(Rejection::final_("node(s) didn't match Pod's node affinity/selector")),
        })
    })
}

fn score<'a>(pod: &'a PodInfo, _: &'a Cluster) -> Option<Score<'a>> {
    (!pod.preferred_node_terms.is_empty()).then(|| -> Score<'a> {
        Box::new(|node| {
            let wanted =
                pod.preferred_node_terms.iter().filter(|t| t.weight != 0 && matches(&t.preference, node));
            wanted.map(|t| i64::from(t.weight)).sum()
        })
    })
}

//! NodeAffinity: nodeSelector and node affinity.
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/>

use std::collections::BTreeMap;

use apimachinery::selector::Operator;
use k8s_openapi::api::core::v1::{NodeSelectorRequirement, NodeSelectorTerm};

use crate::node::NodeInfo;
use crate::plugin::{ClusterEvent, Filter, Normalise, Plugin, Rejection, Score};
use crate::pod::{PodInfo, requirement};
use crate::state::Cluster;

pub const PLUGIN: Plugin = Plugin {
    name: "NodeAffinity",
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
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    // A term without requirements selects nothing.
    if expressions.is_empty() && fields.is_empty() {
        return false;
    }
    let name = BTreeMap::from([("metadata.name".to_owned(), node.name.clone())]);
    expressions.iter().all(|r| holds(r, &node.labels)) && fields.iter().all(|r| holds(r, &name))
}

fn holds(wanted: &NodeSelectorRequirement, labels: &BTreeMap<String, String>) -> bool {
    let values = wanted.values.clone().unwrap_or_default();
    let operator = match wanted.operator.as_str() {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        "Gt" | "Lt" => {
            let number = |text: Option<&String>| text.and_then(|t| t.parse::<i64>().ok());
            return match (number(labels.get(&wanted.key)), number(values.first())) {
                (Some(is), Some(bound)) if wanted.operator == "Gt" => is > bound,
                (Some(is), Some(bound)) => is < bound,
                _ => false,
            };
        }
        _ => return false,
    };
    requirement(&wanted.key, operator, values).is_some_and(|r| r.matches(labels))
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

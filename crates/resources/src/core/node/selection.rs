//! Which nodes a pod's nodeSelector and required node affinity allow.

use std::collections::BTreeMap;

use apimachinery::field::Path;
use apimachinery::selector::{Operator, Requirement};
use codec::Kind;
use k8s_openapi::api::core::v1::{Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PodSpec};

pub(super) fn allows(node: &Node, spec: &PodSpec) -> bool {
    let none = BTreeMap::new();
    let labels = node.metadata.labels.as_ref().unwrap_or(&none);
    let selected = spec.node_selector.iter().flatten().all(|(k, v)| labels.get(k) == Some(v));
    let affinity = spec.affinity.as_ref().and_then(|a| a.node_affinity.as_ref());
    let required = affinity.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref());
    selected
        && required.is_none_or(|r| r.node_selector_terms.iter().any(|t| term_selects(t, node.name(), labels)))
}

/// Whether a node is one of the selector's: any of its terms.
pub fn selects(selector: &NodeSelector, node: &Node) -> bool {
    let none = BTreeMap::new();
    let labels = node.metadata.labels.as_ref().unwrap_or(&none);
    selector.node_selector_terms.iter().any(|t| term_selects(t, node.name(), labels))
}

/// Whether a node of this name and with these labels is one of the term's.
pub fn term_selects(term: &NodeSelectorTerm, name: &str, labels: &BTreeMap<String, String>) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    // A term without requirements selects nothing.
    if expressions.is_empty() && fields.is_empty() {
        return false;
    }
    let of_node = BTreeMap::from([("metadata.name".to_owned(), name.to_owned())]);
    expressions.iter().all(|r| holds(r, labels)) && fields.iter().all(|r| holds(r, &of_node))
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
    Requirement::new(&wanted.key, operator, values, &Path::new("")).is_ok_and(|r| r.matches(labels))
}

//! Nodes.

use apimachinery::field::ErrorList;
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, NodeCondition, NodeSpec, NodeStatus, PodSpec, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use crate::columns::{AGE, NAME, or_none, text, wide};
use crate::quantity::{Amounts, canonicalize};
use crate::strategy::{Column, Part, age};

mod labels;
mod selection;

pub use labels::is_kubelets_to_set;
pub use selection::{selects, term_selects};
mod validation;

#[cfg(test)]
mod tests;

/// What nodes are asked.
pub trait NodeExt {
    fn condition(&self, kind: &str) -> Option<&NodeCondition>;
    /// The Ready condition is true.
    fn is_ready(&self) -> bool;
    /// Cordoned: takes no new pods.
    fn is_unschedulable(&self) -> bool;
    fn taints(&self) -> &[Taint];
    /// The first address of a type such as `InternalIP` or `Hostname`.
    fn address(&self, kind: &str) -> Option<&str>;
    /// What pods may take.
    fn allocatable(&self) -> Amounts;
    /// Address ranges for its pods.
    fn pod_cidrs(&self) -> Vec<&str>;
    /// From the `node-role.kubernetes.io/…` labels, sorted.
    fn roles(&self) -> Vec<&str>;
    /// The pod's nodeSelector and required node affinity allow it.
    fn is_selected_by(&self, spec: &PodSpec) -> bool;
}

impl NodeExt for Node {
    fn condition(&self, kind: &str) -> Option<&NodeCondition> {
        self.status.as_ref()?.conditions.iter().flatten().find(|c| c.type_ == kind)
    }

    fn is_ready(&self) -> bool {
        self.condition("Ready").is_some_and(|c| c.status == "True")
    }

    fn is_unschedulable(&self) -> bool {
        self.spec.as_ref().is_some_and(|s| s.unschedulable == Some(true))
    }

    fn taints(&self) -> &[Taint] {
        self.spec.as_ref().and_then(|s| s.taints.as_deref()).unwrap_or_default()
    }

    fn address(&self, kind: &str) -> Option<&str> {
        let addresses = self.status.as_ref()?.addresses.iter().flatten();
        addresses.into_iter().find(|a| a.type_ == kind).map(|a| a.address.as_str())
    }

    fn allocatable(&self) -> Amounts {
        Amounts::of(self.status.as_ref().and_then(|s| s.allocatable.as_ref()))
    }

    fn pod_cidrs(&self) -> Vec<&str> {
        let Some(spec) = &self.spec else { return Vec::new() };
        match spec.pod_cidrs.as_deref() {
            Some(cidrs) if !cidrs.is_empty() => cidrs.iter().map(String::as_str).collect(),
            _ => spec.pod_cidr.as_deref().filter(|c| !c.is_empty()).into_iter().collect(),
        }
    }

    fn roles(&self) -> Vec<&str> {
        const PREFIX: &str = "node-role.kubernetes.io/";
        const OLD: &str = "kubernetes.io/role";
        let mut roles: Vec<&str> = Vec::new();
        for (key, value) in self.metadata.labels.iter().flatten() {
            match key.strip_prefix(PREFIX) {
                Some(name) if !name.is_empty() => roles.push(name),
                _ if key == OLD && !value.is_empty() => roles.push(value),
                _ => {}
            }
        }
        roles.sort_unstable();
        roles.dedup();
        roles
    }

    fn is_selected_by(&self, spec: &PodSpec) -> bool {
        selection::allows(self, spec)
    }
}

/// Sets a condition; the transition time moves only when the status does, the heartbeat always. True when anything
/// but the heartbeat changed.
pub fn set_condition(status: &mut NodeStatus, mut condition: NodeCondition, now: Timestamp) -> bool {
    let conditions = status.conditions.get_or_insert_default();
    condition.last_transition_time = Some(Time(now));
    condition.last_heartbeat_time = Some(Time(now));
    let Some(old) = conditions.iter_mut().find(|c| c.type_ == condition.type_) else {
        conditions.push(condition);
        return true;
    };
    if old.status == condition.status {
        condition.last_transition_time = old.last_transition_time.clone();
    }
    let said = |c: &NodeCondition| (c.status.clone(), c.reason.clone(), c.message.clone());
    let changed = said(old) != said(&condition);
    *old = condition;
    changed
}

/// The rules of nodes.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = Node;

    fn default(&self, node: &mut Node) {
        if let Some(spec) = &mut node.spec {
            one_pod_cidr(spec);
        }
        let Some(status) = &mut node.status else { return };
        canonicalize(status.capacity.as_mut());
        canonicalize(status.allocatable.as_mut());
        if status.allocatable.is_none() {
            status.allocatable.clone_from(&status.capacity);
        }
    }

    fn prepare_create(&self, node: &mut Node) {
        // Dynamic configuration of kubelets is gone; what has it keeps it.
        if let Some(spec) = &mut node.spec {
            spec.config_source = None;
        }
    }

    fn prepare_update(&self, new: &mut Node, old: &Node, part: Part) {
        match part {
            Part::Status => new.spec.clone_from(&old.spec),
            _ => new.status.clone_from(&old.status),
        }
        let configured = old.spec.as_ref().is_some_and(|s| s.config_source.is_some());
        if let (Some(spec), false) = (&mut new.spec, configured) {
            spec.config_source = None;
        }
    }

    fn validate(&self, node: &Node) -> ErrorList {
        validation::create(node)
    }

    fn validate_update(&self, new: &Node, old: &Node, part: Part) -> ErrorList {
        validation::update(new, old, part)
    }

    fn fields(&self, node: &Node) -> Vec<(&'static str, String)> {
        vec![("spec.unschedulable", node.is_unschedulable().to_string())]
    }

    fn field_names(&self) -> &'static [&'static str] {
        &["spec.unschedulable"]
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            text("Status", "The status of the node"),
            text("Roles", "The roles of the node"),
            AGE,
            text("Version", "Kubelet version reported by the node."),
            wide("Internal-IP", "The node's address within the cluster."),
            wide("External-IP", "The node's address outside the cluster."),
            wide("OS-Image", "OS image reported by the node."),
            wide("Kernel-Version", "Kernel version reported by the node."),
            wide("Container-Runtime", "Container runtime and its version."),
        ];
        COLUMNS
    }

    fn row(&self, node: &Node, now: Timestamp) -> Vec<Value> {
        let info = node.status.as_ref().and_then(|s| s.node_info.clone()).unwrap_or_default();
        let known = |text: &str| if text.is_empty() { "<unknown>".to_owned() } else { text.to_owned() };
        vec![
            json!(node.name()),
            json!(status_text(node)),
            json!(or_none(Some(&node.roles().join(",")))),
            json!(age(&node.metadata, now)),
            json!(info.kubelet_version),
            json!(or_none(node.address("InternalIP"))),
            json!(or_none(node.address("ExternalIP"))),
            json!(known(&info.os_image)),
            json!(known(&info.kernel_version)),
            json!(known(&info.container_runtime_version)),
        ]
    }
}

/// The single field and the list say the same; where they differ, the single one is what older clients meant.
fn one_pod_cidr(spec: &mut NodeSpec) {
    let list = spec.pod_cidrs.get_or_insert_default();
    match spec.pod_cidr.as_deref() {
        Some(one) if !one.is_empty() && list.first().map(String::as_str) != Some(one) => {
            *list = vec![one.to_owned()];
        }
        _ => spec.pod_cidr = list.first().cloned(),
    }
    if list.is_empty() {
        spec.pod_cidrs = None;
    }
}

/// The STATUS column.
pub fn status_text(node: &Node) -> String {
    let ready = match node.condition("Ready") {
        Some(c) if c.status == "True" => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    match node.is_unschedulable() {
        true => format!("{ready},SchedulingDisabled"),
        false => ready.into(),
    }
}

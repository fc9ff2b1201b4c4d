//! Which nodes run a daemon set's pod, and what such a pod looks like.

use std::collections::BTreeMap;

use codec::Kind;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{
    Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec, Toleration,
};
use resources::apps::daemon_set::DaemonSetExt;
use resources::core::node::NodeExt;
use resources::core::pod::PodExt;

use crate::replicas::pods::from_template;

/// The label of pods with the hash of their template.
pub const HASH_LABEL: &str = "controller-revision-hash";
/// The label of pods with the number of their template.
const GENERATION_LABEL: &str = "pod-template-generation";

/// Whether a node runs the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    Runs,
    /// It gets no new one; one that is there stays.
    Keeps,
    Never,
}

/// Where the set's pods belong. Computed once: every pod is alike but for its node.
pub struct Eligible {
    pod: Pod,
}

impl Eligible {
    pub fn of(set: &DaemonSet) -> Self {
        let mut spec = set.spec.template.spec.clone().unwrap_or_default();
        tolerate(&mut spec);
        Eligible { pod: Pod { spec: Some(spec), ..Pod::default() } }
    }

    pub fn fit(&self, node: &Node) -> Fit {
        let other = self.pod.node_name().is_some_and(|named| named != node.name());
        if other || !node.is_selected_by(self.pod.pod_spec()) {
            return Fit::Never;
        }
        let bears = |effects: &[&str]| {
            node.taints()
                .iter()
                .filter(|t| effects.contains(&t.effect.as_str()))
                .all(|t| self.pod.tolerates(t))
        };
        match (bears(&["NoSchedule", "NoExecute"]), bears(&["NoExecute"])) {
            (true, _) => Fit::Runs,
            (false, true) => Fit::Keeps,
            (false, false) => Fit::Never,
        }
    }
}

/// What the node controller says about a node does not drive its daemons away, nor keep new ones from it.
fn tolerate(spec: &mut PodSpec) {
    const ALWAYS: &[(&str, &str)] = &[
        ("not-ready", "NoExecute"),
        ("unreachable", "NoExecute"),
        ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"),
        ("pid-pressure", "NoSchedule"),
        ("unschedulable", "NoSchedule"),
    ];
    const ON_HOST_NETWORK: &[(&str, &str)] = &[("network-unavailable", "NoSchedule")];
    let network = if spec.host_network == Some(true) { ON_HOST_NETWORK } else { &[] };
    let tolerations = spec.tolerations.get_or_insert_default();
    for (taint, effect) in ALWAYS.iter().chain(network) {
        let wanted = Toleration {
            key: Some(format!("node.kubernetes.io/{taint}")),
            operator: Some("Exists".into()),
            effect: Some((*effect).into()),
            ..Toleration::default()
        };
        if !tolerations.contains(&wanted) {
            tolerations.push(wanted);
        }
    }
}

/// The set's pod for one node. The scheduler binds it: its affinity leaves no other node.
pub fn pod_for(set: &DaemonSet, node: &str, hash: &str) -> Pod {
    let mut pod = from_template(set, &set.spec.template);
    let labels = pod.metadata.labels.get_or_insert_default();
    if let Some(generation) = set.template_generation() {
        labels.insert(GENERATION_LABEL.into(), generation.to_string());
    }
    labels.insert(HASH_LABEL.into(), hash.to_owned());
    let spec = pod.spec.get_or_insert_default();
    tolerate(spec);
    let affinity = spec.affinity.get_or_insert_default().node_affinity.get_or_insert_default();
    let only = NodeSelectorRequirement {
        key: "metadata.name".into(),
        operator: "In".into(),
        values: Some(vec![node.to_owned()]),
    };
    let term = NodeSelectorTerm { match_fields: Some(vec![only]), match_expressions: None };
    affinity.required_during_scheduling_ignored_during_execution =
        Some(NodeSelector { node_selector_terms: vec![term] });
    pod
}

/// The node that a pod is on or meant for. `None` for one that somebody else has made.
pub fn target(pod: &Pod) -> Option<&str> {
    if let Some(bound) = pod.node_name() {
        return Some(bound);
    }
    let affinity = pod.pod_spec().affinity.as_ref()?.node_affinity.as_ref()?;
    let terms = &affinity.required_during_scheduling_ignored_during_execution.as_ref()?.node_selector_terms;
    let named = |r: &&NodeSelectorRequirement| r.key == "metadata.name" && r.operator == "In";
    let fields = terms.iter().flat_map(|t| t.match_fields.iter().flatten());
    fields.into_iter().find(named)?.values.as_ref()?.first().map(String::as_str)
}

/// The pods of each node, oldest and bound ones first. Those that have ended and are being deleted are gone already.
pub fn by_node(pods: &[Pod]) -> BTreeMap<String, Vec<&Pod>> {
    let mut nodes: BTreeMap<String, Vec<&Pod>> = BTreeMap::new();
    for pod in pods {
        if pod.is_terminal() && pod.metadata.deletion_timestamp.is_some() {
            continue;
        }
        if let Some(node) = target(pod) {
            nodes.entry(node.to_owned()).or_default().push(pod);
        }
    }
    for pods in nodes.values_mut() {
        pods.sort_by(|a, b| {
            let created = |pod: &Pod| pod.metadata.creation_timestamp.clone();
            let unbound = |pod: &Pod| pod.node_name().is_none();
            unbound(a)
                .cmp(&unbound(b))
                .then_with(|| created(a).cmp(&created(b)))
                .then_with(|| a.name().cmp(b.name()))
        });
    }
    nodes
}

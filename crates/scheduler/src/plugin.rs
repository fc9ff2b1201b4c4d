//! What a plugin is: upstream's extension points, each as a closure prepared once per pod.
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/scheduling-framework/>

use crate::node::NodeInfo;
use crate::plugins;
use crate::pod::PodInfo;
use crate::state::Cluster;

/// Why a node cannot take a pod, in upstream's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    pub reasons: Vec<String>,
    /// Whether it can change when pods leave the node: only then is preemption worth a thought.
    pub resolvable: bool,
}

impl Rejection {
    /// Because of the pods that are there.
    pub fn new(reason: &str) -> Self {
        Rejection { reasons: vec![reason.to_owned()], resolvable: true }
    }

    /// Because of the node itself.
    pub fn final_(reason: &str) -> Self {
        Rejection { reasons: vec![reason.to_owned()], resolvable: false }
    }
}

/// What happened in the cluster, as far as it can make a waiting pod schedulable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterEvent {
    /// A node came, or its labels, taints, schedulability or allocatable changed.
    Node,
    /// A pod left a node: there is more room.
    PodGone,
    /// A pod was put on a node, or its labels changed: affinity may now match.
    PodPlaced,
    Namespace,
    /// A claim, volume or storage class came or changed.
    Storage,
}

/// Decides about one node for the pod it was prepared for.
pub type Filter<'a> = Box<dyn Fn(&NodeInfo) -> Result<(), Rejection> + 'a>;
/// Rates one node, higher is better, in any range; the cycle normalises to 0..=100.
pub type Score<'a> = Box<dyn Fn(&NodeInfo) -> i64 + 'a>;

/// How scores of one plugin become 0..=100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalise {
    /// They are already.
    No,
    /// The highest becomes 100.
    Highest,
    /// The highest becomes 0.
    Reverse,
    /// The lowest becomes 0, the highest 100.
    Spread,
}

/// A scheduling plugin. `None` from a prepare function: it has nothing to say about this pod.
pub struct Plugin {
    pub name: &'static str,
    /// Whether the pod can go anywhere at all; else why not, in upstream's words.
    pub pre_filter: Option<fn(&PodInfo, &Cluster) -> Result<(), String>>,
    pub filter: Option<for<'a> fn(&'a PodInfo, &'a Cluster) -> Option<Filter<'a>>>,
    pub score: Option<for<'a> fn(&'a PodInfo, &'a Cluster) -> Option<Score<'a>>>,
    pub weight: i64,
    pub normalise: Normalise,
    /// Events after which a pod that this plugin rejected is tried again.
    pub wakes_on: &'static [ClusterEvent],
}

/// In upstream's default order and with its weights.
pub const PLUGINS: &[Plugin] = &[
    plugins::node_unschedulable::PLUGIN,
    plugins::node_name::PLUGIN,
    plugins::taint_toleration::PLUGIN,
    plugins::node_affinity::PLUGIN,
    plugins::node_ports::PLUGIN,
    plugins::resources_fit::PLUGIN,
    plugins::volume_restrictions::PLUGIN,
    plugins::volume_binding::PLUGIN,
    plugins::volume_zone::PLUGIN,
    plugins::dynamic_resources::PLUGIN,
    plugins::pod_topology_spread::PLUGIN,
    plugins::inter_pod_affinity::PLUGIN,
    plugins::balanced_allocation::PLUGIN,
    plugins::image_locality::PLUGIN,
];

//! The cluster in the scheduler's columns, kept up to date by every event; and the pods assumed to be where their binding
//! is on its way to.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;

use crate::node::NodeInfo;
use crate::pod::PodInfo;
use crate::profile::Profiles;
use crate::storage::Storage;

/// All nodes and the pods on them.
#[derive(Debug, Default)]
pub struct Cluster {
    nodes: BTreeMap<String, NodeInfo>,
    /// Which plugins decide about which pods.
    pub profiles: Profiles,
    /// Pod uid → its node.
    placed: HashMap<Arc<str>, String>,
    /// Labels of namespaces, for affinity terms that select them.
    pub namespaces: HashMap<String, BTreeMap<String, String>>,
    /// Pods that wait for room that is being made for them: where, and which pod.
    nominated: HashMap<Arc<str>, (String, Arc<PodInfo>)>,
    /// Pods on nodes that were told to leave, for another.
    preempted: HashSet<Arc<str>>,
    /// Claims, volumes and classes.
    pub storage: Storage,
    /// How many pods on nodes have required anti-affinity: mostly none, and then nobody needs to look.
    pub anti_affinity_pods: usize,
}

impl Cluster {
    /// An empty one, with these profiles.
    pub fn new(profiles: Profiles) -> Self {
        Cluster { profiles, ..Cluster::default() }
    }

    /// Nodes that exist, by name.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeInfo> {
        self.nodes.values().filter(|n| n.exists)
    }

    pub fn node(&self, name: &str) -> Option<&NodeInfo> {
        self.nodes.get(name).filter(|n| n.exists)
    }

    /// Takes a new or changed node; says whether something that scheduling looks at changed.
    pub fn set_node(&mut self, name: &str, node: &Node) -> bool {
        let info = self.nodes.entry(name.to_owned()).or_default();
        let before = (
            info.exists,
            info.labels.clone(),
            info.taints.clone(),
            info.unschedulable,
            info.allocatable.clone(),
            info.allowed_pods,
        );
        info.set(node);
        before
            != (
                true,
                info.labels.clone(),
                info.taints.clone(),
                info.unschedulable,
                info.allocatable.clone(),
                info.allowed_pods,
            )
    }

    pub fn remove_node(&mut self, name: &str) {
        if let Some(info) = self.nodes.get_mut(name) {
            info.exists = false;
            if info.pods.is_empty() {
                self.nodes.remove(name);
            }
        }
    }

    /// A pod that is on a node, or assumed to be.
    pub fn place(&mut self, pod: &Arc<PodInfo>, node: &str) {
        self.displace(&pod.uid);
        self.placed.insert(pod.uid.clone(), node.to_owned());
        self.anti_affinity_pods += usize::from(!pod.anti_affinity.is_empty());
        let info = self.nodes.entry(node.to_owned()).or_default();
        info.name = node.to_owned();
        info.add(pod);
    }

    /// The pod is gone from its node, has ended, or its binding failed. Says whether it was on one.
    pub fn displace(&mut self, uid: &str) -> bool {
        let Some(node) = self.placed.remove(uid) else { return false };
        let Some(info) = self.nodes.get_mut(&node) else { return false };
        if let Some(pod) = info.pods.get(uid) {
            self.anti_affinity_pods -= usize::from(!pod.anti_affinity.is_empty());
        }
        info.remove(uid);
        if info.pods.is_empty() && !info.exists {
            self.nodes.remove(&node);
        }
        true
    }

    /// Room is being made for `pod` on `node`: less important pods keep off it.
    pub fn nominate(&mut self, pod: &Arc<PodInfo>, node: &str) {
        self.nominated.insert(pod.uid.clone(), (node.to_owned(), pod.clone()));
    }

    /// Says whether it was.
    pub fn end_nomination(&mut self, uid: &str) -> bool {
        self.nominated.remove(uid).is_some()
    }

    pub fn nominated_node(&self, uid: &str) -> Option<&str> {
        self.nominated.get(uid).map(|(node, _)| node.as_str())
    }

    /// Pods that get room on `node` before `pod` does.
    pub fn ahead_of(&self, pod: &PodInfo, node: &str) -> Vec<&Arc<PodInfo>> {
        let ahead = |p: &&Arc<PodInfo>| p.priority >= pod.priority && p.uid != pod.uid;
        self.nominated.values().filter(|(n, _)| n == node).map(|(_, p)| p).filter(ahead).collect()
    }

    /// Less important pods that were to get room on `node`.
    pub fn nominated_below(&self, priority: i32, node: &str) -> Vec<Arc<PodInfo>> {
        let on_node = self.nominated.values().filter(|(n, _)| n == node);
        on_node.map(|(_, p)| p).filter(|p| p.priority < priority).cloned().collect()
    }

    pub fn mark_preempted(&mut self, uid: &Arc<str>) {
        self.preempted.insert(uid.clone());
    }

    /// It could not be told.
    pub fn unmark_preempted(&mut self, uid: &str) {
        self.preempted.remove(uid);
    }

    /// Whether it is leaving to make room.
    pub fn is_preempted(&self, pod: &PodInfo) -> bool {
        pod.preempted || self.preempted.contains(&pod.uid)
    }

    /// The pod as it is on its node.
    pub fn placed(&self, uid: &str) -> Option<&Arc<PodInfo>> {
        self.nodes.get(self.placed.get(uid)?)?.pods.get(uid)
    }

    pub fn is_placed(&self, uid: &str) -> bool {
        self.placed.contains_key(uid)
    }

    pub fn namespace_labels(&self, namespace: &str) -> Option<&BTreeMap<String, String>> {
        self.namespaces.get(namespace)
    }
}

//! A node as the scheduler sees it, with what its pods take.

use std::collections::BTreeMap;
use std::sync::Arc;

use codec::Kind;
use k8s_openapi::api::core::v1::{Node, Taint};

use crate::pod::{Amounts, HostPort, PodInfo};

/// One row of the cluster.
#[derive(Clone, Debug, Default)]
pub struct NodeInfo {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub taints: Vec<Taint>,
    pub unschedulable: bool,
    pub allocatable: Amounts,
    pub allowed_pods: i64,
    /// Names and sizes of images on it.
    pub images: BTreeMap<String, i64>,
    /// Sums over its pods.
    pub requested: Amounts,
    pub assumed: Amounts,
    pub host_ports: Vec<HostPort>,
    pub pods: BTreeMap<Arc<str>, Arc<PodInfo>>,
    /// False while only its pods are known.
    pub exists: bool,
}

impl NodeInfo {
    /// Takes what the Node object says; the pods stay.
    pub fn set(&mut self, node: &Node) {
        let spec = node.spec.clone().unwrap_or_default();
        let status = node.status.clone().unwrap_or_default();
        let allocatable = status.allocatable.unwrap_or_default();
        self.exists = true;
        self.name = node.name().to_owned();
        self.labels = node.metadata.labels.clone().unwrap_or_default();
        self.taints = spec.taints.unwrap_or_default();
        self.unschedulable = spec.unschedulable.unwrap_or(false);
        self.allocatable = Amounts::parse(&allocatable);
        self.allowed_pods = allocatable
            .get("pods")
            .and_then(|q| apimachinery::quantity::Quantity::parse(&q.0).ok())
            .map_or(0, |q| q.value());
        self.images = status
            .images
            .unwrap_or_default()
            .into_iter()
            .flat_map(|i| {
                let size = i.size_bytes.unwrap_or(0);
                i.names.unwrap_or_default().into_iter().map(move |n| (n, size))
            })
            .collect();
    }

    pub fn add(&mut self, pod: &Arc<PodInfo>) {
        if let Some(old) = self.pods.insert(pod.uid.clone(), pod.clone()) {
            self.account(&old, Amounts::subtract);
        }
        self.account(pod, Amounts::add);
        self.count_ports();
    }

    pub fn remove(&mut self, uid: &str) {
        if let Some(pod) = self.pods.remove(uid) {
            self.account(&pod, Amounts::subtract);
            self.count_ports();
        }
    }

    fn account(&mut self, pod: &PodInfo, f: fn(&mut Amounts, &Amounts)) {
        f(&mut self.requested, &pod.requests);
        f(&mut self.assumed, &pod.assumed);
    }

    fn count_ports(&mut self) {
        self.host_ports = self.pods.values().flat_map(|p| p.host_ports.iter().cloned()).collect();
    }
}

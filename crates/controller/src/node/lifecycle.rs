//! A node whose kubelet has fallen silent is Unknown; taints follow the conditions. Start at [`Lifecycle::reconcile`].
//!
//! Silence is judged by how long *we* have seen no news, never by times that the node has written.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use apimachinery::{ObjectKey, Status};
use client::informer::decode;
use client::transport::Change;
use client::{Api, EventRecorder, Informer, Requeue, WorkQueue};
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, NodeCondition, Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use resources::core::node::NodeExt;
use resources::core::pod::{PodExt, methods};
use stdx::clock::SharedClock;

use super::taints;
use crate::context::{Component, object, synced};

const WORKERS: usize = 8;
const LEASE_NAMESPACE: &str = "kube-node-lease";
/// Conditions that only a kubelet can know.
const KUBELETS: &[&str] = &["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

struct Lifecycle {
    nodes: Informer<Node>,
    leases: Informer<Lease>,
    pods: Informer<Pod>,
    node_api: Api<Node>,
    pod_api: Api<Pod>,
    events: EventRecorder,
    clock: SharedClock,
    grace: Duration,
    signs: Mutex<HashMap<String, Sign>>,
    /// Nodes that are ready, as of their last events.
    ready: Mutex<HashSet<Arc<str>>>,
}

/// The last sign of life, and when we first saw it.
#[derive(Clone, Debug, PartialEq)]
struct Sign {
    uid: String,
    renewed: Option<MicroTime>,
    heartbeat: Option<Time>,
    at: Duration,
}

pub fn start(component: Component) {
    let lifecycle = Arc::new(Lifecycle {
        nodes: component.informer(),
        leases: component.informer(),
        pods: component.informer(),
        node_api: component.api(),
        pod_api: component.api(),
        events: component.recorder("node-controller"),
        clock: component.clock.clone(),
        grace: component.config.node_monitor_grace,
        signs: Mutex::default(),
        ready: Mutex::default(),
    });
    let queue: WorkQueue<ObjectKey> = component.queue();
    let (woken, told) = (queue.clone(), lifecycle.clone());
    component.on(&lifecycle.nodes, move |change| {
        let Some(node) = object(change) else { return };
        // With the first node ready, or the last one not, what may be done to the others changes.
        if told.note_ready(change) {
            told.nodes.objects("").iter().for_each(|other| woken.add(other.key.clone()));
        }
        woken.add(node.key.clone());
    });
    // A renewed Lease needs no look at the node now, only later: the wait is on already.
    let wait = vec![synced(&lifecycle.nodes), synced(&lifecycle.leases), synced(&lifecycle.pods)];
    let again = queue.clone();
    component.run(wait, &queue, WORKERS, move |key| {
        let (lifecycle, again) = (lifecycle.clone(), again.clone());
        async move { lifecycle.reconcile(&key, &again).await }
    });
}

impl Lifecycle {
    fn ready(&self) -> MutexGuard<'_, HashSet<Arc<str>>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True when there is a ready node now and was none before, or the other way round.
    fn note_ready(&self, change: &Change) -> bool {
        let Some(node) = object(change) else { return false };
        let now = change.new.as_ref().and_then(|new| decode::<Node>(new)).is_some_and(|n| n.is_ready());
        let mut ready = self.ready();
        let before = ready.is_empty();
        match now {
            true => drop(ready.insert(node.key.name.clone())),
            false => drop(ready.remove(&node.key.name)),
        }
        ready.is_empty() != before
    }

    async fn reconcile(&self, key: &ObjectKey, queue: &WorkQueue<ObjectKey>) -> anyhow::Result<Requeue> {
        let Some(mut node) = self.nodes.get(key) else {
            self.signs.lock().unwrap_or_else(PoisonError::into_inner).remove(&*key.name);
            return Ok(Requeue::Never);
        };
        let silent_for = self.silent_for(&node);
        let was_ready = node.is_ready();
        if silent_for >= self.grace && silence(&mut node, self.clock.now()) {
            node = self.node_api.update_status(&node).await.context("update node status")?;
            if was_ready {
                self.events.normal(
                    &node,
                    "NodeNotReady",
                    format!("Node {} status is now: NodeNotReady", key.name),
                );
                // Its fall may be the one that leaves no node ready, which is then a fault of ours, not theirs.
                self.nodes.objects("").iter().for_each(|other| queue.add(other.key.clone()));
            }
        }
        let evict = node.is_ready() || !self.ready().is_empty();
        if let Some(taints) = taints::wanted(&node, evict, self.clock.now()) {
            let mut tainted = node.clone();
            tainted.spec.get_or_insert_default().taints = (!taints.is_empty()).then_some(taints);
            node = self.node_api.update(&tainted).await.context("update node taints")?;
        }
        if !node.is_ready() {
            self.mark_pods_not_ready(&node).await.context("mark pods not ready")?;
        }
        let left = self.grace.saturating_sub(silent_for);
        Ok(if left.is_zero() { Requeue::After(self.grace) } else { Requeue::After(left) })
    }

    /// How long ago we saw the last news of the node's kubelet.
    fn silent_for(&self, node: &Node) -> Duration {
        let lease = self.leases.get(&ObjectKey::new(LEASE_NAMESPACE, node.name()));
        let sign = Sign {
            uid: node.uid().to_owned(),
            renewed: lease.and_then(|l| l.spec).and_then(|s| s.renew_time),
            heartbeat: node.condition("Ready").and_then(|c| c.last_heartbeat_time.clone()),
            at: self.clock.monotonic(),
        };
        let mut signs = self.signs.lock().unwrap_or_else(PoisonError::into_inner);
        let known = signs.entry(node.name().to_owned()).or_insert_with(|| sign.clone());
        if (&known.uid, &known.renewed, &known.heartbeat) != (&sign.uid, &sign.renewed, &sign.heartbeat) {
            *known = sign.clone();
        }
        sign.at.saturating_sub(known.at)
    }

    /// So that services send nothing to them. The kubelet, when it is back, knows better.
    async fn mark_pods_not_ready(&self, node: &Node) -> Result<(), Status> {
        for mut pod in self.pods.by_index("spec.nodeName", node.name()) {
            let Some(ready) = pod.condition("Ready").filter(|c| c.status == "True").cloned() else {
                continue;
            };
            let condition = PodCondition { status: "False".into(), ..ready };
            methods::set_condition(pod.status.get_or_insert_default(), condition, self.clock.now());
            match self.pod_api.update_status(&pod).await {
                Ok(_) => self.events.warning(&pod, "NodeNotReady", "Node is not ready"),
                Err(e) if e.is_not_found() || e.is_conflict() => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// What the kubelet would have to say is not known any more. True when that is news.
fn silence(node: &mut Node, now: Timestamp) -> bool {
    let created = node.metadata.creation_timestamp.clone();
    let conditions = node.status.get_or_insert_default().conditions.get_or_insert_default();
    let mut news = false;
    for kind in KUBELETS {
        match conditions.iter_mut().find(|c| c.type_ == *kind) {
            Some(c) if c.status == "Unknown" => {}
            Some(c) => {
                c.status = "Unknown".into();
                c.reason = Some("NodeStatusUnknown".into());
                c.message = Some("Kubelet stopped posting node status.".into());
                c.last_transition_time = Some(Time(now));
                news = true;
            }
            None => {
                conditions.push(NodeCondition {
                    type_: (*kind).into(),
                    status: "Unknown".into(),
                    reason: Some("NodeStatusNeverUpdated".into()),
                    message: Some("Kubelet never posted node status.".into()),
                    last_heartbeat_time: created.clone(),
                    last_transition_time: Some(Time(now)),
                });
                news = true;
            }
        }
    }
    news
}

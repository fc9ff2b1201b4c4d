//! Pods leave nodes with NoExecute taints that they do not tolerate, or not for ever. Start at [`leaves_at`].

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use apimachinery::ObjectKey;
use client::{Api, DeleteOptions, EventRecorder, Informer, Requeue, WorkQueue};
use codec::Kind;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Node, Pod, PodCondition, Taint};
use resources::core::node::NodeExt;
use resources::core::pod::{PodExt, TolerationExt, methods};
use resources::owner::ObjectMetaExt;
use stdx::clock::SharedClock;

use super::taints::NO_EXECUTE;
use crate::context::{Component, object, synced};

const WORKERS: usize = 8;

struct Evictor {
    nodes: Informer<Node>,
    pods: Informer<Pod>,
    api: Api<Pod>,
    events: EventRecorder,
    clock: SharedClock,
}

pub fn start(component: Component) {
    let evictor = Arc::new(Evictor {
        nodes: component.informer(),
        pods: component.informer(),
        api: component.api(),
        events: component.recorder("taint-eviction-controller"),
        clock: component.clock.clone(),
    });
    let queue: WorkQueue<ObjectKey> = component.queue();
    let woken = queue.clone();
    component.on(&evictor.pods, move |change| {
        if let Some(pod) = object(change).filter(|_| change.new.is_some()) {
            woken.add(pod.key.clone());
        }
    });
    let (woken, on_node) = (queue.clone(), evictor.clone());
    component.on(&evictor.nodes, move |change| {
        let Some(node) = &change.new else { return };
        for pod in on_node.pods.view().by_index("spec.nodeName", &node.key.name) {
            woken.add(pod.key.clone());
        }
    });
    let wait = vec![synced(&evictor.nodes), synced(&evictor.pods)];
    component.run(wait, &queue, WORKERS, move |key| {
        let evictor = evictor.clone();
        async move { evictor.reconcile(&key).await }
    });
}

impl Evictor {
    async fn reconcile(&self, key: &ObjectKey) -> anyhow::Result<Requeue> {
        let Some(pod) = self.pods.get(key) else { return Ok(Requeue::Never) };
        let node = pod.node_name().and_then(|name| self.nodes.get(&ObjectKey::cluster(name)));
        let Some(node) = node.filter(|_| !pod.metadata.is_deleting()) else { return Ok(Requeue::Never) };
        let now = self.clock.now();
        let Some(at) = leaves_at(&pod, node.taints(), now) else { return Ok(Requeue::Never) };
        if let Ok(wait) = Duration::try_from(at.duration_since(now))
            && !wait.is_zero()
        {
            return Ok(Requeue::After(wait));
        }
        self.evict(pod).await
    }

    async fn evict(&self, pod: Pod) -> anyhow::Result<Requeue> {
        let text = format!("Marking for deletion Pod {}/{}", pod.namespace(), pod.name());
        self.events.normal(&pod, "TaintManagerEviction", text);
        let mut marked = pod.clone();
        let condition = PodCondition {
            type_: "DisruptionTarget".into(),
            status: "True".into(),
            reason: Some("DeletionByTaintManager".into()),
            message: Some("Taint manager: deleting due to NoExecute taint".into()),
            ..PodCondition::default()
        };
        if methods::set_condition(marked.status.get_or_insert_default(), condition, self.clock.now()) {
            match self.api.update_status(&marked).await {
                Err(e) if e.is_not_found() => return Ok(Requeue::Never),
                result => drop(result.context("mark the pod")?),
            }
        }
        match self.api.delete(pod.namespace(), pod.name(), &DeleteOptions::uid(pod.uid())).await {
            Err(e) if !e.is_not_found() => Err(anyhow::Error::new(e).context("delete the pod")),
            _ => Ok(Requeue::Never),
        }
    }
}

/// When the pod has to leave a node with these taints; `None`: it may stay. Counts from when both taint and pod were there.
pub fn leaves_at(pod: &Pod, taints: &[Taint], now: Timestamp) -> Option<Timestamp> {
    let created = pod.metadata.creation_timestamp.as_ref().map_or(now, |t| t.0);
    let executing = taints.iter().filter(|t| t.effect == NO_EXECUTE);
    executing
        .filter_map(|taint| {
            let since = taint.time_added.as_ref().map_or(created, |t| t.0.max(created));
            let tolerations = pod.pod_spec().tolerations.iter().flatten().filter(|t| t.tolerates(taint));
            let mut limits = tolerations.map(|t| t.toleration_seconds).peekable();
            if limits.peek().is_none() {
                return Some(now);
            }
            // Several tolerations of one taint: the shortest counts; none with a limit: for ever.
            let seconds = limits.flatten().min()?;
            since.checked_add(SignedDuration::from_secs(seconds.max(0))).ok()
        })
        .min()
}

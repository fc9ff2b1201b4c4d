//! Pods that nobody else will remove: of nodes that are gone, never scheduled, or finished long ago and too many. Start at
//! [`Collector::reconcile`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use apimachinery::{ObjectKey, Status};
use client::transport::Change;
use client::{Api, DeleteOptions, Informer, Requeue, WorkQueue};
use codec::Kind;
use k8s_openapi::api::core::v1::{Node, Pod, PodCondition};
use resources::core::node::NodeExt;
use resources::core::pod::{PodExt, methods};
use resources::owner::ObjectMetaExt;
use stdx::clock::SharedClock;

use crate::context::{Component, synced};

/// A node that is missing may only be late in our view, or about to register again.
const QUARANTINE: Duration = Duration::from_secs(40);
/// Finished pods are counted at most so often.
const COUNT_EVERY: Duration = Duration::from_secs(20);
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Work {
    /// It is being deleted; no kubelet may ever confirm it.
    Deleting(ObjectKey),
    /// It is not in the view of nodes, but pods name it.
    MissingNode(Arc<str>),
    Finished,
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Work::Deleting(key) => write!(f, "pod {key}"),
            Work::MissingNode(name) => write!(f, "node {name}"),
            Work::Finished => f.write_str("finished pods"),
        }
    }
}

struct Collector {
    pods: Informer<Pod>,
    nodes: Informer<Node>,
    api: Api<Pod>,
    node_api: Api<Node>,
    queue: WorkQueue<Work>,
    clock: SharedClock,
    kept: usize,
}

pub fn start(component: Component) {
    let collector = Arc::new(Collector {
        pods: component.informer(),
        nodes: component.informer(),
        api: component.api(),
        node_api: component.api(),
        queue: component.queue(),
        clock: component.clock.clone(),
        kept: component.config.terminated_pods_kept,
    });
    let on_pod = collector.clone();
    component.on(&collector.pods, move |change| on_pod.pod_changed(change));
    let on_node = collector.clone();
    component.on(&collector.nodes, move |change| on_node.node_changed(change));
    let wait = vec![synced(&collector.pods), synced(&collector.nodes)];
    let queue = collector.queue.clone();
    component.run(wait, &queue, 2, move |work| {
        let collector = collector.clone();
        async move { collector.reconcile(work).await }
    });
}

impl Collector {
    fn pod_changed(&self, change: &Change) {
        let Some(pod) = &change.new else { return };
        if pod.meta.deleting {
            self.queue.add(Work::Deleting(pod.key.clone()));
        }
        let node = pod.field("spec.nodeName").unwrap_or_default();
        if !node.is_empty() && self.nodes.object(&ObjectKey::cluster(node)).is_none() {
            self.queue.add_after(Work::MissingNode(node.into()), QUARANTINE);
        }
        if matches!(pod.field("status.phase"), Some("Succeeded" | "Failed")) {
            self.queue.add_after(Work::Finished, COUNT_EVERY);
        }
    }

    fn node_changed(&self, change: &Change) {
        match (&change.old, &change.new) {
            (Some(old), None) => self.queue.add_after(Work::MissingNode(old.key.name.clone()), QUARANTINE),
            (_, Some(node)) => {
                for pod in self.pods.view().by_index("spec.nodeName", &node.key.name) {
                    if pod.meta.deleting {
                        self.queue.add(Work::Deleting(pod.key.clone()));
                    }
                }
            }
            (None, None) => {}
        }
    }

    async fn reconcile(&self, work: Work) -> anyhow::Result<Requeue> {
        match work {
            Work::Deleting(key) => self.deleting(&key).await.context("remove the pod")?,
            Work::MissingNode(name) => {
                self.missing_node(&name).await.context("remove pods of a missing node")?
            }
            Work::Finished => self.finished().await.context("remove finished pods")?,
        }
        Ok(Requeue::Never)
    }

    async fn deleting(&self, key: &ObjectKey) -> Result<(), Status> {
        let Some(pod) = self.pods.get(key).filter(|p| p.metadata.is_deleting()) else { return Ok(()) };
        match pod.node_name() {
            // Unscheduled pods go at once: no kubelet will confirm them.
            None => self.remove(&pod, None).await,
            Some(name) => {
                let node = self.nodes.get(&ObjectKey::cluster(name));
                let lost = node.is_some_and(|node| {
                    !node.is_ready() && node.taints().iter().any(|t| t.key == OUT_OF_SERVICE)
                });
                if lost { self.remove(&pod, None).await } else { Ok(()) }
            }
        }
    }

    async fn missing_node(&self, name: &str) -> Result<(), Status> {
        let key = ObjectKey::cluster(name);
        if self.nodes.object(&key).is_some() || self.node_api.find(&key).await?.is_some() {
            return Ok(());
        }
        for pod in self.pods.by_index("spec.nodeName", name) {
            self.remove(&pod, Some("PodGC: node no longer exists")).await?;
        }
        Ok(())
    }

    async fn finished(&self) -> Result<(), Status> {
        let mut finished: Vec<_> = ["Succeeded", "Failed"]
            .into_iter()
            .flat_map(|phase| self.pods.view().by_index("status.phase", phase))
            .collect();
        let excess = finished.len().saturating_sub(self.kept);
        if excess == 0 {
            return Ok(());
        }
        let mut finished: Vec<Pod> =
            finished.drain(..).filter_map(|object| client::informer::decode(&object)).collect();
        finished.sort_by_key(|pod| (pod.metadata.creation_timestamp.clone(), pod.metadata.name.clone()));
        for pod in finished.iter().take(excess) {
            self.remove(pod, None).await?;
        }
        Ok(())
    }

    /// Marks the pod as failed, since nobody else will say how it ended, and removes it without grace.
    async fn remove(&self, pod: &Pod, disrupted: Option<&str>) -> Result<(), Status> {
        if !pod.is_terminal() {
            let mut failed = pod.clone();
            let status = failed.status.get_or_insert_default();
            status.phase = Some("Failed".into());
            if let Some(message) = disrupted {
                let condition = PodCondition {
                    type_: "DisruptionTarget".into(),
                    status: "True".into(),
                    reason: Some("DeletionByPodGC".into()),
                    message: Some(message.into()),
                    ..PodCondition::default()
                };
                methods::set_condition(status, condition, self.clock.now());
            }
            match self.api.update_status(&failed).await {
                Err(e) if e.is_not_found() => return Ok(()),
                result => drop(result?),
            }
        }
        let options = DeleteOptions { uid: Some(pod.uid().to_owned()), ..DeleteOptions::now() };
        match self.api.delete(pod.namespace(), pod.name(), &options).await {
            Err(e) if !e.is_not_found() => Err(e),
            _ => Ok(()),
        }
    }
}

//! Daemon sets: a pod on every node that should have one. Start at [`plan::manage`] and [`plan::update`] (what to do), then
//! [`Controller`] (who does it, when).
//!
//! [`nodes`]: which nodes, and what a pod for one looks like. [`status`]: what the status says. The templates are kept by
//! `history`.

pub mod nodes;
pub mod plan;
mod status;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use apimachinery::{ObjectKey, Selector, Status};
use client::transport::Change;
use client::{Api, EventRecorder, Informer, Requeue, WorkQueue};
use codec::Kind;
use futures::future::join_all;
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};
use k8s_openapi::api::core::v1::{Node, Pod, PodTemplateSpec};
use resources::apps::daemon_set::DaemonSetExt;
use resources::core::node::NodeExt;
use resources::core::pod_template;
use resources::owner::ObjectMetaExt;
use resources::selector::LabelSelectorExt;
use stdx::clock::SharedClock;

use crate::claim;
use crate::context::{Component, object, synced};
use crate::expectations::Expectations;
use crate::failures::Failures;
use crate::history::{History, Remembered};
use crate::replicas::{next_available, pods};
use crate::wake;
use nodes::HASH_LABEL;
use plan::{Observed, Plan};

const WORKERS: usize = 2;
/// At most so many pods are made at once; the rest follows when these are seen.
const BURST_MAX: usize = 250;
/// The longest that a node waits for its next pod when they fail.
const FAILED_MAX: Duration = Duration::from_secs(15 * 60);

impl Remembered for DaemonSet {
    const HASH_LABEL: &'static str = HASH_LABEL;

    fn template(&self) -> &PodTemplateSpec {
        &self.spec.template
    }

    fn collisions(&self) -> Option<i32> {
        self.status.as_ref().and_then(|s| s.collision_count)
    }
}

struct Controller {
    sets: Informer<DaemonSet>,
    pods: Informer<Pod>,
    nodes: Informer<Node>,
    history: History<DaemonSet>,
    api: Api<DaemonSet>,
    pod_api: Api<Pod>,
    events: EventRecorder,
    expectations: Expectations,
    failures: Failures,
    queue: WorkQueue<ObjectKey>,
    clock: SharedClock,
}

pub fn start(component: Component) {
    let controller = Arc::new(Controller {
        sets: component.informer(),
        pods: component.informer(),
        nodes: component.informer(),
        history: History::new(&component),
        api: component.api(),
        pod_api: component.api(),
        events: component.recorder("daemonset-controller"),
        expectations: Expectations::new(component.clock.clone()),
        failures: Failures::new(FAILED_MAX),
        queue: component.queue(),
        clock: component.clock.clone(),
    });
    let on_set = controller.clone();
    component.on(&controller.sets, move |change| {
        let Some(set) = object(change) else { return };
        if wake::is_replaced(change) {
            on_set.expectations.forget(&set.key);
        }
        on_set.queue.add(set.key.clone());
    });
    let on_pod = controller.clone();
    component.on(&controller.pods, move |change| {
        let selector = |set: &DaemonSet| set.selector();
        wake::owned_changed(&on_pod.sets, &on_pod.queue, Some(&on_pod.expectations), selector, change);
    });
    let on_revision = controller.clone();
    component.on(&controller.history.revisions, move |change| {
        wake::revision_changed(&on_revision.sets, &on_revision.queue, DaemonSetExt::selector, change);
    });
    let on_node = controller.clone();
    component.on(&controller.nodes, move |change| on_node.node_changed(change));
    let wait = vec![
        synced(&controller.sets),
        synced(&controller.pods),
        synced(&controller.nodes),
        synced(&controller.history.revisions),
    ];
    let queue = controller.queue.clone();
    component.run(wait, &queue, WORKERS, move |key| {
        let controller = controller.clone();
        async move { controller.reconcile(&key).await }
    });
}

impl Controller {
    /// Which nodes should run a pod depends on labels and taints; the rest of a node changes all the time.
    fn node_changed(&self, change: &Change) {
        if let (Some(old), Some(new)) = (&change.old, &change.new) {
            let decode = client::informer::decode::<Node>;
            let (Some(old), Some(new)) = (decode(old), decode(new)) else { return };
            if old.metadata.labels == new.metadata.labels && old.taints() == new.taints() {
                return;
            }
        }
        for set in self.sets.objects("") {
            self.queue.add(set.key.clone());
        }
    }

    async fn reconcile(&self, key: &ObjectKey) -> anyhow::Result<Requeue> {
        let Some(set) = self.sets.get(key) else {
            self.expectations.forget(key);
            return Ok(Requeue::Never);
        };
        if set.spec.selector.selects_everything() {
            let text = "This daemon set is selecting all pods. A non-empty selector is required.";
            self.events.warning(&set, "SelectingAll", text);
            return Ok(Requeue::Never);
        }
        let selector = match set.selector() {
            Ok(selector) => selector,
            Err(error) => {
                // Only a change of the object can mend it.
                tracing::error!(%key, "invalid selector: {error}");
                return Ok(Requeue::Never);
            }
        };
        if set.metadata.is_deleting() {
            return Ok(Requeue::Never);
        }
        self.sync(key, &set, &selector).await
    }

    async fn sync(&self, key: &ObjectKey, set: &DaemonSet, selector: &Selector) -> anyhow::Result<Requeue> {
        let revisions = self.history.of(set, selector).await.context("claim revisions")?;
        let (revision, collisions) =
            self.history.current(set, &revisions).await.context("remember the template")?;
        let hashes = hashes(set, &revision, &revisions);
        // Before reading pods: what is seen after this question only makes the answer truer.
        let settled = self.expectations.satisfied(key);
        let candidates = claim::candidates(&self.pods, set, selector);
        let pods = claim::claim(&self.api, &self.pod_api, set, selector, candidates).await;
        let pods = pods.context("claim pods")?;
        let nodes = self.nodes.list("");
        let now = self.clock.now();
        let observed = Observed { set, nodes: &nodes, pods: &pods, hashes: &hashes, now };
        let mut outcome = Ok(None);
        if settled {
            outcome = self.act(key, &observed, plan::manage(&observed)).await;
            if outcome.is_ok() && set.is_rolling() && self.expectations.satisfied(key) {
                let update = self.act(key, &observed, plan::update(&observed)).await;
                outcome = update.and(outcome);
            }
        }
        if outcome.is_ok() {
            self.forget_old(set, &revisions, &revision, &pods).await.context("cut the history")?;
        }
        let status = status::observe(&observed, collisions);
        let put = |set: &mut DaemonSet| set.status = Some(status.clone());
        crate::status::write(&self.api, set, put).await.context("update status")?;
        let retry = outcome.map_err(anyhow::Error::new)?;
        let ready = next_available(&pods, set.spec.min_ready_seconds.unwrap_or(0), now);
        Ok([retry, ready].into_iter().flatten().min().map_or(Requeue::Never, Requeue::After))
    }

    /// How long until a pod that failed may be removed, where one waits for that.
    async fn act(
        &self,
        key: &ObjectKey,
        observed: &Observed<'_>,
        plan: Plan<'_>,
    ) -> Result<Option<Duration>, Status> {
        let set = observed.set;
        let mut doomed = plan.delete;
        let mut retry: Option<Duration> = None;
        for (pod, node) in plan.failed {
            let wait = self.failures.take(set.uid(), &node, self.clock.monotonic());
            if let Some(wait) = wait {
                retry = Some(retry.map_or(wait, |r| r.min(wait)));
                continue;
            }
            let about = format!("{}/{} on node {node}", pod.namespace(), pod.name());
            let text = format!("Found failed daemon pod {about}, will try to kill it");
            self.events.warning(set, "FailedDaemonPod", text);
            doomed.push(pod);
        }
        for (pod, node) in plan.succeeded {
            let about = format!("{}/{} on node {node}", pod.namespace(), pod.name());
            let text = format!("Found succeeded daemon pod {about}, will try to delete it");
            self.events.normal(set, "SucceededDaemonPod", text);
            doomed.push(pod);
        }
        if plan.create.is_empty() && doomed.is_empty() {
            return Ok(retry);
        }
        let nodes = &plan.create[..plan.create.len().min(BURST_MAX)];
        self.expectations.expect(key, nodes.len(), doomed.iter().map(|pod| pod.uid().to_owned()));
        let deleted = self.delete(key, set, &doomed).await;
        self.create(key, observed, nodes).await.and(deleted).map(|()| retry)
    }

    async fn delete(&self, key: &ObjectKey, set: &DaemonSet, doomed: &[&Pod]) -> Result<(), Status> {
        let deletions = doomed.iter().map(|pod| async move {
            let result = pods::delete(&self.pod_api, &self.events, set, pod).await;
            if result.is_err() {
                self.expectations.deleted(key, pod.uid());
            }
            result
        });
        let failures = join_all(deletions).await.into_iter().filter_map(Result::err);
        // A conflict is another pod of that name: ours is gone.
        failures.into_iter().find(|e| !e.is_not_found() && !e.is_conflict()).map_or(Ok(()), Err)
    }

    async fn create(&self, key: &ObjectKey, observed: &Observed<'_>, nodes: &[String]) -> Result<(), Status> {
        let next = Mutex::new(nodes.iter());
        let (created, failure) = pods::slow_start(nodes.len(), || async {
            let node = next.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(node) = node else { return Ok(()) };
            let pod = nodes::pod_for(observed.set, node, observed.hash());
            pods::create(&self.pod_api, &self.events, observed.set, &pod).await
        })
        .await;
        // Those not made will not be seen either.
        (created..nodes.len()).for_each(|_| self.expectations.created(key));
        match failure {
            Some(status) if !pods::is_namespace_terminating(&status) => Err(status),
            _ => Ok(()),
        }
    }

    /// Old revisions that no pod is of any more, beyond the limit.
    async fn forget_old(
        &self,
        set: &DaemonSet,
        revisions: &[ControllerRevision],
        current: &ControllerRevision,
        pods: &[Pod],
    ) -> Result<(), Status> {
        let live: HashSet<_> = pods.iter().filter_map(|pod| pod.metadata.label(HASH_LABEL)).collect();
        let lives = |revision: &ControllerRevision| {
            revision.name() == current.name()
                || revision.metadata.label(HASH_LABEL).is_some_and(|hash| live.contains(hash))
        };
        self.history.truncate(revisions, set.spec.revision_history_limit.unwrap_or(10), lives).await
    }
}

/// The hashes that pods of this revision may have, its own first: others may keep the same template, too, and one that somebody
/// else has written may tell none.
fn hashes(set: &DaemonSet, revision: &ControllerRevision, all: &[ControllerRevision]) -> Vec<String> {
    let same = all.iter().rev().filter(|other| other.data == revision.data);
    let told = [revision].into_iter().chain(same).filter_map(|r| r.metadata.label(HASH_LABEL));
    let plain = pod_template::hash(&set.spec.template, set.collisions());
    told.map(str::to_owned).chain([plain]).collect()
}

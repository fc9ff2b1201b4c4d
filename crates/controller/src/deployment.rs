//! Deployments: pods of a template, replaced step by step when the template changes. Start at [`plan::plan`] (what to do now),
//! then [`Controller`] (who does it).
//!
//! [`revision`]: which replica set is of which template. [`scale`]: how many pods each should have. [`progress`]: what the
//! status says.

pub mod plan;
mod progress;
mod revision;
mod scale;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use anyhow::Context as _;
use apimachinery::{ObjectKey, Status};
use client::transport::Change;
use client::{Api, DeleteOptions, EventRecorder, Informer, Requeue, WorkQueue};
use codec::Kind;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use resources::apps::deployment::DeploymentExt;
use resources::core::pod::PodExt;
use resources::owner::ObjectMetaExt;
use stdx::clock::SharedClock;

use crate::claim;
use crate::context::{Component, object, synced};
use plan::{Observed, Plan, Step};

const WORKERS: usize = 5;

struct Controller {
    deployments: Informer<Deployment>,
    sets: Informer<ReplicaSet>,
    pods: Informer<Pod>,
    api: Api<Deployment>,
    set_api: Api<ReplicaSet>,
    events: EventRecorder,
    queue: WorkQueue<ObjectKey>,
    clock: SharedClock,
}

pub fn start(component: Component) {
    let controller = Arc::new(Controller {
        deployments: component.informer(),
        sets: component.informer(),
        pods: component.informer(),
        api: component.api(),
        set_api: component.api(),
        events: component.recorder("deployment-controller"),
        queue: component.queue(),
        clock: component.clock.clone(),
    });
    let queue = controller.queue.clone();
    component.on(&controller.deployments, move |change| {
        if let Some(deployment) = object(change) {
            queue.add(deployment.key.clone());
        }
    });
    let on_set = controller.clone();
    component.on(&controller.sets, move |change| on_set.set_changed(change));
    let on_pod = controller.clone();
    component.on(&controller.pods, move |change| on_pod.pod_changed(change));
    let wait = vec![synced(&controller.deployments), synced(&controller.sets), synced(&controller.pods)];
    let queue = controller.queue.clone();
    component.run(wait, &queue, WORKERS, move |key| {
        let controller = controller.clone();
        async move { controller.reconcile(&key).await }
    });
}

impl Controller {
    fn set_changed(&self, change: &Change) {
        for set in [&change.old, &change.new].into_iter().flatten() {
            if let Some(owner) = set.meta.controller().filter(|o| *o.kind == *Deployment::KIND) {
                self.queue.add(ObjectKey { namespace: set.key.namespace.clone(), name: owner.name.clone() });
            }
        }
        if let Some(orphan) = change.new.as_ref().filter(|n| n.meta.controller().is_none()) {
            for deployment in self.deployments.list(&orphan.key.namespace) {
                if deployment.selector().is_ok_and(|s| !s.is_empty() && s.matches(&orphan.meta)) {
                    self.queue.add(ObjectKey::new(deployment.namespace(), deployment.name()));
                }
            }
        }
    }

    /// A deployment that recreates waits for the last old pod to go.
    fn pod_changed(&self, change: &Change) {
        let (Some(pod), None) = (&change.old, &change.new) else { return };
        let Some(set) = pod.meta.controller().filter(|o| *o.kind == *ReplicaSet::KIND) else { return };
        let key = ObjectKey { namespace: pod.key.namespace.clone(), name: set.name.clone() };
        let Some(set) = self.sets.object(&key) else { return };
        if let Some(owner) = set.meta.controller().filter(|o| *o.kind == *Deployment::KIND) {
            self.queue.add(ObjectKey { namespace: key.namespace, name: owner.name.clone() });
        }
    }

    async fn reconcile(&self, key: &ObjectKey) -> anyhow::Result<Requeue> {
        let Some(deployment) = self.deployments.get(key) else { return Ok(Requeue::Never) };
        let selector = match deployment.selector() {
            Ok(selector) if selector.is_empty() => return self.refuse(deployment).await,
            Ok(selector) => selector,
            Err(error) => {
                tracing::error!(%key, "invalid selector: {error}");
                return Ok(Requeue::Never);
            }
        };
        let candidates = claim::candidates(&self.sets, &deployment, &selector);
        let sets = claim::claim(&self.api, &self.set_api, &deployment, &selector, candidates).await;
        let sets = sets.context("claim replica sets")?;
        let observed = Observed { old_pods_run: self.pods_that_run(&sets), deployment, sets };
        let plan = plan::plan(&observed, self.clock.now());
        self.execute(observed.deployment, plan).await
    }

    async fn refuse(&self, mut deployment: Deployment) -> anyhow::Result<Requeue> {
        let text = "This deployment is selecting all pods. A non-empty selector is required.";
        self.events.warning(&deployment, "SelectingAll", text);
        let generation = deployment.metadata.generation;
        let status = deployment.status.get_or_insert_default();
        if status.observed_generation < generation {
            status.observed_generation = generation;
            self.api.update_status(&deployment).await?;
        }
        Ok(Requeue::Never)
    }

    /// For each set, whether any of its pods may still run.
    fn pods_that_run(&self, sets: &[ReplicaSet]) -> Vec<String> {
        let runs = |set: &&ReplicaSet| self.pods.owned_by(set.uid()).iter().any(|pod| !pod.is_terminal());
        sets.iter().filter(runs).map(|set| set.uid().to_owned()).collect()
    }

    async fn execute(&self, deployment: Deployment, plan: Plan) -> anyhow::Result<Requeue> {
        let mut status = plan.status;
        let mut failure = None;
        for step in plan.steps {
            if let Err(status_error) = self.step(&deployment, step, &mut status).await {
                // What was planned after it counted on it.
                failure = Some(status_error);
                break;
            }
        }
        self.write_status(deployment, plan.revision.as_deref(), status).await.context("update status")?;
        match failure {
            Some(status) => Err(anyhow::Error::new(status).context("roll out")),
            None => Ok(plan.requeue.map_or(Requeue::Never, Requeue::After)),
        }
    }

    async fn step(
        &self,
        deployment: &Deployment,
        step: Step,
        status: &mut DeploymentStatus,
    ) -> Result<(), Status> {
        match step {
            Step::Create(set) => self.create(deployment, set, status).await,
            Step::Update(set) => self.set_api.update(&set).await.map(drop),
            Step::Scale { set, from } => {
                let (name, to) = (set.name().to_owned(), set.spec.replicas.unwrap_or(0));
                self.set_api.update(&set).await?;
                if to != from {
                    let direction = if from < to { "up" } else { "down" };
                    let text = format!("Scaled {direction} replica set {name} from {from} to {to}");
                    self.events.normal(deployment, "ScalingReplicaSet", text);
                }
                Ok(())
            }
            Step::Delete(set) => {
                let options = DeleteOptions::uid(set.uid());
                match self.set_api.delete(set.namespace(), set.name(), &options).await {
                    Err(e) if !e.is_not_found() => Err(e),
                    _ => Ok(()),
                }
            }
        }
    }

    async fn create(
        &self,
        deployment: &Deployment,
        set: ReplicaSet,
        status: &mut DeploymentStatus,
    ) -> Result<(), Status> {
        let now = self.clock.now();
        let (name, replicas) = (set.name().to_owned(), set.spec.replicas.unwrap_or(0));
        let error = match self.set_api.create(&set).await {
            Ok(_) => {
                if replicas > 0 {
                    let text = format!("Scaled up replica set {name} from 0 to {replicas}");
                    self.events.normal(deployment, "ScalingReplicaSet", text);
                }
                return Ok(());
            }
            Err(e) if e.is_already_exists() => {
                let theirs = self.set_api.get(set.namespace(), &name).await?;
                // Our own, made by an act that we have not seen yet.
                let ours = theirs.metadata.is_controlled_by(deployment.uid())
                    && revision::same_template(theirs.spec.template.as_ref(), set.spec.template.as_ref());
                if ours {
                    return Ok(());
                }
                // Two templates with one hash: the next try gets another.
                status.collision_count = Some(status.collision_count.unwrap_or(0) + 1);
                progress::not_created_yet(deployment, status);
                return Err(e);
            }
            Err(e) => e,
        };
        if crate::replicas::is_namespace_terminating(&error) {
            progress::not_created_yet(deployment, status);
        } else {
            progress::creation_failed(deployment, status, &name, &error, now);
        }
        Err(error)
    }

    /// Writes status and revision when they say something new.
    async fn write_status(
        &self,
        mut deployment: Deployment,
        revision: Option<&str>,
        status: DeploymentStatus,
    ) -> Result<(), Status> {
        let mut news = deployment.status.as_ref() != Some(&status);
        deployment.status = Some(status);
        if let Some(revision) = revision
            && deployment.metadata.annotation(revision::REVISION) != Some(revision)
        {
            let annotations = deployment.metadata.annotations.get_or_insert_default();
            annotations.insert(revision::REVISION.into(), revision.into());
            news = true;
        }
        if !news {
            return Ok(());
        }
        match self.api.update_status(&deployment).await {
            Err(e) if e.is_not_found() => Ok(()),
            result => result.map(drop),
        }
    }
}

//! Stateful sets: pods with names of their own, made and removed in order. Start at [`plan::plan`] (what to do now), then
//! [`Controller`] (who does it).
//!
//! [`identity`]: who a pod is. [`claims`]: who owns its claims. [`status`]: what the status says. The templates are kept by
//! `history`. No act needs to be remembered: names say what is there, so what is done twice is refused the second time.

mod claims;
mod identity;
pub mod plan;
mod status;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use apimachinery::{ObjectKey, Status};
use client::{Api, DeleteOptions, EventRecorder, Informer, Requeue, WorkQueue};
use codec::Kind;
use futures::future::try_join_all;
use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, PodTemplateSpec};
use resources::apps::stateful_set::StatefulSetExt;
use resources::selector::LabelSelectorExt;
use stdx::clock::SharedClock;

use crate::claim;
use crate::context::{Component, object, synced};
use crate::failures::Failures;
use crate::history::{self, History, Remembered};
use crate::replicas::{is_namespace_terminating, next_available};
use crate::wake;
use plan::{Observed, Revision, Step, Why};

const WORKERS: usize = 5;
/// The longest that a pod which fails again and again waits to be replaced.
const FAILED_MAX: Duration = Duration::from_secs(10);

impl Remembered for StatefulSet {
    const HASH_LABEL: &'static str = "controller.kubernetes.io/hash";

    fn template(&self) -> &PodTemplateSpec {
        &self.spec.template
    }

    fn collisions(&self) -> Option<i32> {
        self.status.as_ref().and_then(|s| s.collision_count)
    }
}

struct Controller {
    sets: Informer<StatefulSet>,
    pods: Informer<Pod>,
    claims: Informer<PersistentVolumeClaim>,
    history: History<StatefulSet>,
    api: Api<StatefulSet>,
    pod_api: Api<Pod>,
    claim_api: Api<PersistentVolumeClaim>,
    events: EventRecorder,
    failures: Failures,
    queue: WorkQueue<ObjectKey>,
    clock: SharedClock,
}

pub fn start(component: Component) {
    let controller = Arc::new(Controller {
        sets: component.informer(),
        pods: component.informer(),
        claims: component.informer(),
        history: History::new(&component),
        api: component.api(),
        pod_api: component.api(),
        claim_api: component.api(),
        events: component.recorder("statefulset-controller"),
        failures: Failures::new(FAILED_MAX),
        queue: component.queue(),
        clock: component.clock.clone(),
    });
    let queue = controller.queue.clone();
    component.on(&controller.sets, move |change| {
        if let Some(set) = object(change) {
            queue.add(set.key.clone());
        }
    });
    let on_pod = controller.clone();
    component.on(&controller.pods, move |change| {
        wake::owned_changed(&on_pod.sets, &on_pod.queue, None, StatefulSetExt::selector, change);
    });
    let on_revision = controller.clone();
    component.on(&controller.history.revisions, move |change| {
        wake::revision_changed(&on_revision.sets, &on_revision.queue, StatefulSetExt::selector, change);
    });
    let wait = vec![
        synced(&controller.sets),
        synced(&controller.pods),
        synced(&controller.claims),
        synced(&controller.history.revisions),
    ];
    let queue = controller.queue.clone();
    component.run(wait, &queue, WORKERS, move |key| {
        let controller = controller.clone();
        async move { controller.reconcile(&key).await }
    });
}

/// How an act ended that may have to wait for the view.
enum Done {
    Yes,
    /// Something of that name is there, or still there: look again a little later.
    Later,
    /// It has failed too often to be replaced at once.
    After(Duration),
}

impl Controller {
    async fn reconcile(&self, key: &ObjectKey) -> anyhow::Result<Requeue> {
        let Some(set) = self.sets.get(key) else { return Ok(Requeue::Never) };
        let selector = match set.selector() {
            Ok(selector) if !set.spec.selector.selects_everything() => selector,
            other => {
                // Only a change of the object can mend it.
                tracing::error!(%key, "invalid selector: {:?}", other.err());
                return Ok(Requeue::Never);
            }
        };
        let revisions = self.history.of(&set, &selector).await.context("claim revisions")?;
        let candidates = claim::candidates(&self.pods, &set, &selector);
        let named = candidates.into_iter().filter(|pod| identity::ordinal(&set, pod.name()).is_some());
        let pods = claim::claim(&self.api, &self.pod_api, &set, &selector, named.collect()).await;
        let pods = pods.context("claim pods")?;
        self.sync(&set, &revisions, &pods).await
    }

    async fn sync(
        &self,
        set: &StatefulSet,
        revisions: &[ControllerRevision],
        pods: &[Pod],
    ) -> anyhow::Result<Requeue> {
        let (newest, collisions) =
            self.history.current(set, revisions).await.context("remember the template")?;
        let update = Revision { name: newest.name().to_owned(), template: set.spec.template.clone() };
        let current = before(set, revisions)
            .unwrap_or_else(|| Revision { name: update.name.clone(), template: update.template.clone() });
        let claim = |name: &str| self.claims.get(&ObjectKey::new(set.namespace(), name));
        let now = self.clock.now();
        let observed = Observed { set, pods, current: &current, update: &update, claim: &claim, now };
        let steps = plan::plan(&observed);
        let outcome = self.execute(set, steps).await;
        let status = status::observe(&observed, collisions);
        let put = |set: &mut StatefulSet| set.status = Some(status.clone());
        crate::status::write(&self.api, set, put).await.context("update status")?;
        let lives: HashSet<_> =
            pods.iter().map(identity::revision).chain([&*current.name, &*update.name]).collect();
        let limit = set.spec.revision_history_limit.unwrap_or(10);
        let truncated = self.history.truncate(revisions, limit, |r| lives.contains(r.name())).await;
        truncated.context("cut the history")?;
        let ready = next_available(pods, set.spec.min_ready_seconds.unwrap_or(0), now);
        let wait = match outcome? {
            Done::Later => return Ok(Requeue::RateLimited),
            Done::After(wait) => Some(wait),
            Done::Yes => None,
        };
        Ok([wait, ready].into_iter().flatten().min().map_or(Requeue::Never, Requeue::After))
    }

    /// A parallel set's steps do not wait for each other.
    async fn execute(&self, set: &StatefulSet, steps: Vec<Step>) -> anyhow::Result<Done> {
        let all = if set.is_parallel() {
            try_join_all(steps.into_iter().map(|step| self.step(set, step))).await
        } else {
            let mut all = Vec::with_capacity(steps.len());
            for step in steps {
                match self.step(set, step).await {
                    Ok(done) => all.push(done),
                    Err(status) => return failed(status),
                }
            }
            Ok(all)
        };
        match all {
            Ok(all) => Ok(all.into_iter().fold(Done::Yes, later)),
            Err(status) => failed(status),
        }
    }

    async fn step(&self, set: &StatefulSet, step: Step) -> Result<Done, Status> {
        match step {
            Step::Create { pod, claims } => {
                self.make_claims(set, &pod, &claims).await?;
                match self.pod_api.create(&pod).await {
                    Err(e) if e.is_already_exists() => Ok(Done::Later),
                    result => self.tell(set, "create", &pod, result.map(drop)).map(|()| Done::Yes),
                }
            }
            Step::Claims { pod, claims } => self.make_claims(set, &pod, &claims).await.map(|()| Done::Yes),
            Step::Update(pod) => {
                let result = self.pod_api.update(&pod).await.map(drop);
                self.tell(set, "update", &pod, result).map(|()| Done::Yes)
            }
            Step::UpdateClaim(claim) => self.claim_api.update(&claim).await.map(|_| Done::Yes),
            Step::AwaitClaim(_) => Ok(Done::Later),
            Step::Delete { pod, why } => {
                let again = || self.failures.take(set.uid(), pod.name(), self.clock.monotonic());
                if let Some(wait) = (why == Why::Failed).then(again).flatten() {
                    return Ok(Done::After(wait));
                }
                self.announce(set, &pod, why);
                match self.pod_api.delete(pod.namespace(), pod.name(), &DeleteOptions::uid(pod.uid())).await {
                    Err(e) if e.is_not_found() || e.is_conflict() => Ok(Done::Yes),
                    result => self.tell(set, "delete", &pod, result).map(|()| Done::Yes),
                }
            }
        }
    }

    async fn make_claims(
        &self,
        set: &StatefulSet,
        pod: &Pod,
        claims: &[PersistentVolumeClaim],
    ) -> Result<(), Status> {
        for claim in claims {
            let about =
                format!("create Claim {} Pod {} in StatefulSet {}", claim.name(), pod.name(), set.name());
            match self.claim_api.create(claim).await {
                Ok(_) => self.events.normal(set, "SuccessfulCreate", format!("{about} success")),
                Err(e) if e.is_already_exists() => {}
                Err(e) => {
                    self.events.warning(set, "FailedCreate", format!("{about} failed error: {e}"));
                    return Err(e);
                }
            }
        }
        Ok(())
    }

    /// Why a pod goes that nobody has asked to go.
    fn announce(&self, set: &StatefulSet, pod: &Pod, why: Why) {
        let about = format!("StatefulSet {}/{} is recreating", set.namespace(), set.name());
        match why {
            Why::Failed => {
                let text = format!("{about} failed Pod {}", pod.name());
                self.events.warning(set, "RecreatingFailedPod", text);
            }
            Why::Succeeded => {
                let text = format!("{about} terminated Pod {}", pod.name());
                self.events.normal(set, "RecreatingTerminatedPod", text);
            }
            Why::Scaled | Why::Outdated => {}
        }
    }

    fn tell(
        &self,
        set: &StatefulSet,
        verb: &str,
        pod: &Pod,
        result: Result<(), Status>,
    ) -> Result<(), Status> {
        let about = format!("{verb} Pod {} in StatefulSet {}", pod.name(), set.name());
        let reason = match verb {
            "create" => "Create",
            "update" => "Update",
            _ => "Delete",
        };
        match &result {
            Ok(()) => self.events.normal(set, &format!("Successful{reason}"), format!("{about} successful")),
            Err(e) if is_namespace_terminating(e) => {}
            Err(e) => {
                self.events.warning(set, &format!("Failed{reason}"), format!("{about} failed error: {e}"))
            }
        }
        result
    }
}

/// Of two acts, what the one says that has more to wait for.
fn later(a: Done, b: Done) -> Done {
    match (a, b) {
        (Done::Later, _) | (_, Done::Later) => Done::Later,
        (Done::After(a), Done::After(b)) => Done::After(a.min(b)),
        (Done::After(wait), Done::Yes) | (Done::Yes, Done::After(wait)) => Done::After(wait),
        (Done::Yes, Done::Yes) => Done::Yes,
    }
}

/// In a namespace that is going away nothing can be made, and nobody needs to hear of it.
fn failed(status: Status) -> anyhow::Result<Done> {
    match is_namespace_terminating(&status) {
        true => Ok(Done::Yes),
        false => Err(anyhow::Error::new(status)),
    }
}

/// The revision that the status calls the current one, while it is remembered.
fn before(set: &StatefulSet, revisions: &[ControllerRevision]) -> Option<Revision> {
    let name = set.status.as_ref()?.current_revision.as_deref()?;
    let revision = revisions.iter().find(|r| r.name() == name)?;
    Some(Revision { name: name.to_owned(), template: history::template(revision)? })
}

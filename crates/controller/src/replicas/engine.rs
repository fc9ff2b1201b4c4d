//! Wakes on changes, reads, plans, acts.

use std::sync::Arc;

use anyhow::Context as _;
use apimachinery::{ObjectKey, Selector, Status};
use client::transport::Change;
use client::{Api, EventRecorder, Informer, Requeue, WorkQueue};
use codec::Kind;
use futures::future::join_all;
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use resources::core::pod::PodExt;
use resources::owner::ObjectMetaExt;
use stdx::clock::SharedClock;

use super::plan::{Action, plan};
use super::status::{self, Failure};
use super::{Replicated, pods};
use crate::claim;
use crate::context::{Component, object, synced};
use crate::expectations::Expectations;
use crate::wake;

const WORKERS: usize = 5;

struct Engine<K> {
    owners: Informer<K>,
    pods: Informer<Pod>,
    owner_api: Api<K>,
    pod_api: Api<Pod>,
    events: EventRecorder,
    expectations: Expectations,
    queue: WorkQueue<ObjectKey>,
    clock: SharedClock,
}

pub(super) fn start<K: Replicated>(component: Component) {
    let engine = Arc::new(Engine {
        owners: component.informer::<K>(),
        pods: component.informer::<Pod>(),
        owner_api: component.api::<K>(),
        pod_api: component.api::<Pod>(),
        events: component.recorder(K::COMPONENT),
        expectations: Expectations::new(component.clock.clone()),
        queue: component.queue(),
        clock: component.clock.clone(),
    });
    let on_owner = engine.clone();
    component.on(&engine.owners, move |change| on_owner.owner_changed(change));
    let on_pod = engine.clone();
    component.on(&engine.pods, move |change| on_pod.pod_changed(change));
    let wait = vec![synced(&engine.owners), synced(&engine.pods)];
    let queue = engine.queue.clone();
    component.run(wait, &queue, WORKERS, move |key| {
        let engine = engine.clone();
        async move { engine.reconcile(&key).await }
    });
}

impl<K: Replicated> Engine<K> {
    fn owner_changed(&self, change: &Change) {
        let Some(seen) = object(change) else { return };
        if wake::is_replaced(change) {
            self.expectations.forget(&seen.key);
        }
        self.queue.add(seen.key.clone());
    }

    fn pod_changed(&self, change: &Change) {
        let expectations = Some(&self.expectations);
        wake::owned_changed(&self.owners, &self.queue, expectations, K::pod_selector, change);
    }

    async fn reconcile(&self, key: &ObjectKey) -> anyhow::Result<Requeue> {
        let Some(owner) = self.owners.get(key) else {
            self.expectations.forget(key);
            return Ok(Requeue::Never);
        };
        // Before reading pods: what is seen after this question only makes the answer truer.
        let settled = self.expectations.satisfied(key);
        let selector = match owner.pod_selector() {
            Ok(selector) => selector,
            Err(error) => {
                // Only a change of the object can mend it.
                tracing::error!(kind = K::KIND, %key, "invalid selector: {error}");
                return Ok(Requeue::Never);
            }
        };
        let (active, terminating) = self.pods_of(&owner, &selector).await.context("claim pods")?;
        let now = self.clock.now();
        let mut failure = None;
        let mut error = None;
        if settled
            && !owner.meta().is_deleting()
            && let Some(template) = owner.template()
        {
            let related = self.related(&owner, &active);
            let action = plan(owner.wanted(), &active, &related, now);
            if let Err(status) = self.act(key, &owner, template, &action).await {
                let missing = matches!(action, Action::Create(_));
                failure = Some(Failure { missing, message: status.to_string() });
                error = Some(status);
            }
        }
        self.write_status(&owner, &active, terminating, failure.as_ref()).await.context("update status")?;
        if let Some(status) = error {
            return Err(status.into());
        }
        let next = match owner.min_ready_seconds() {
            0 => None,
            seconds => status::next_available(&active, seconds, now),
        };
        Ok(next.map_or(Requeue::Never, Requeue::After))
    }

    /// The owner's active pods, claimed; and how many are on their way out.
    async fn pods_of(&self, owner: &K, selector: &Selector) -> Result<(Vec<Pod>, usize), Status> {
        let candidates = claim::candidates(&self.pods, owner, selector);
        let terminating = |pod: &&Pod| {
            pod.meta().is_deleting() && !pod.is_terminal() && pod.meta().is_controlled_by(owner.uid())
        };
        let terminating = candidates.iter().filter(terminating).count();
        let active = candidates.into_iter().filter(PodExt::is_active).collect();
        let claimed = claim::claim(&self.owner_api, &self.pod_api, owner, selector, active).await?;
        Ok((claimed, terminating))
    }

    /// All active pods of the application: those of every owner under the same controller.
    fn related(&self, owner: &K, active: &[Pod]) -> Vec<Pod> {
        if active.len() <= owner.wanted().max(0) as usize {
            return Vec::new();
        }
        let Some(above) = owner.meta().controller() else { return active.to_vec() };
        let siblings = self.owners.view().by_index("owner", &above.uid);
        let pods = siblings.iter().flat_map(|sibling| self.pods.owned_by(&sibling.meta.uid));
        pods.filter(PodExt::is_active).collect()
    }

    async fn act(
        &self,
        key: &ObjectKey,
        owner: &K,
        template: &PodTemplateSpec,
        action: &Action<'_>,
    ) -> Result<(), Status> {
        match action {
            Action::Nothing => Ok(()),
            Action::Create(count) => self.create(key, owner, template, *count).await,
            Action::Delete(pods) => self.delete(key, owner, pods).await,
        }
    }

    async fn create(
        &self,
        key: &ObjectKey,
        owner: &K,
        template: &PodTemplateSpec,
        count: usize,
    ) -> Result<(), Status> {
        let pod = pods::from_template(owner, template);
        self.expectations.expect(key, count, []);
        let (created, failure) = pods::slow_start(count, || async {
            pods::create(&self.pod_api, &self.events, owner, &pod).await
        })
        .await;
        // Those not made will not be seen either.
        (created..count).for_each(|_| self.expectations.created(key));
        match failure {
            Some(status) if !pods::is_namespace_terminating(&status) => Err(status),
            _ => Ok(()),
        }
    }

    async fn delete(&self, key: &ObjectKey, owner: &K, doomed: &[&Pod]) -> Result<(), Status> {
        self.expectations.expect(key, 0, doomed.iter().map(|pod| pod.uid().to_owned()));
        let deletions = doomed.iter().map(|pod| async move {
            let result = pods::delete(&self.pod_api, &self.events, owner, pod).await;
            if result.is_err() {
                self.expectations.deleted(key, pod.uid());
            }
            result
        });
        let mut failures = join_all(deletions).await.into_iter().filter_map(Result::err);
        failures.find(|status| !status.is_not_found()).map_or(Ok(()), Err)
    }

    /// Writes the status when it says something new; once more on the latest object if that has changed meanwhile.
    async fn write_status(
        &self,
        owner: &K,
        active: &[Pod],
        terminating: usize,
        failure: Option<&Failure>,
    ) -> Result<(), Status> {
        let mut owner = owner.clone();
        for retry in [true, false] {
            let mut new = owner.clone();
            new.set_observed(status::observe(&owner, active, terminating, failure, self.clock.now()));
            // Compared as stored: replication controllers do not show everything that is observed.
            if new.observed() == owner.observed() {
                return Ok(());
            }
            match self.owner_api.update_status(&new).await {
                Err(e) if e.is_conflict() && retry => {
                    let key = ObjectKey::new(owner.namespace(), owner.name());
                    match self.owner_api.find(&key).await? {
                        Some(fresh) if fresh.uid() == owner.uid() => owner = fresh,
                        _ => return Ok(()),
                    }
                }
                Err(e) if e.is_not_found() => return Ok(()),
                result => return result.map(drop),
            }
        }
        Ok(())
    }
}

//! Disruption budgets: how many pods of an application may be evicted now. Start at [`budget::judge`] (pure), then
//! [`Controller`] (who asks whom).
//!
//! The eviction subresource spends what the status allows and notes the pod; this controller counts anew whenever pods change,
//! forgets pods that were to go and did not, and takes back the condition that said they would.

mod budget;
mod scale;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use apimachinery::{ObjectKey, Status};
use client::transport::Change;
use client::{Api, EventRecorder, Informer, Requeue, WorkQueue};
use codec::Kind;
use k8s_openapi::api::core::v1::{Pod, PodCondition};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use resources::core::pod::{PodExt, methods};
use resources::owner::ObjectMetaExt;
use resources::policy::pod_disruption_budget::{PodDisruptionBudgetExt, SYNC_FAILED, set_condition};
use resources::selector;
use stdx::clock::SharedClock;

use crate::context::{Component, object, synced};
use budget::Outcome;
use scale::Scales;

const WORKERS: usize = 2;
/// The condition of a pod that is about to be evicted or preempted.
const DISRUPTION_TARGET: &str = "DisruptionTarget";

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Work {
    Budget(ObjectKey),
    /// It says of itself that it will be disrupted.
    Pod(ObjectKey),
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Work::Budget(key) => write!(f, "budget {key}"),
            Work::Pod(key) => write!(f, "pod {key}"),
        }
    }
}

struct Controller {
    budgets: Informer<PodDisruptionBudget>,
    pods: Informer<Pod>,
    scales: Scales,
    api: Api<PodDisruptionBudget>,
    pod_api: Api<Pod>,
    events: EventRecorder,
    queue: WorkQueue<Work>,
    clock: SharedClock,
}

pub fn start(component: Component) {
    let controller = Arc::new(Controller {
        budgets: component.informer(),
        pods: component.informer(),
        scales: Scales::new(&component),
        api: component.api(),
        pod_api: component.api(),
        events: component.recorder("controllermanager"),
        queue: component.queue(),
        clock: component.clock.clone(),
    });
    let queue = controller.queue.clone();
    component.on(&controller.budgets, move |change| {
        if let Some(budget) = object(change) {
            queue.add(Work::Budget(budget.key.clone()));
        }
    });
    let on_pod = controller.clone();
    component.on(&controller.pods, move |change| on_pod.pod_changed(change));
    let mut wait = vec![synced(&controller.budgets), synced(&controller.pods)];
    wait.extend(controller.scales.synced());
    let queue = controller.queue.clone();
    component.run(wait, &queue, WORKERS, move |work| {
        let controller = controller.clone();
        async move { controller.reconcile(&work).await }
    });
}

impl Controller {
    fn pod_changed(&self, change: &Change) {
        let Some(pod) = object(change) else { return };
        for budget in self.budgets.list(&pod.key.namespace) {
            let guards = |selector: &apimachinery::Selector| {
                [&change.old, &change.new].into_iter().flatten().any(|pod| selector.matches(&pod.meta))
            };
            if budget.selector().is_ok_and(|s| guards(&s)) {
                self.queue.add(Work::Budget(ObjectKey::new(budget.namespace(), budget.name())));
            }
        }
        let new = change.new.as_ref().and_then(|new| client::informer::decode::<Pod>(new));
        if new.is_some_and(|pod| is_target(&pod)) {
            self.queue.add(Work::Pod(pod.key.clone()));
        }
    }

    async fn reconcile(&self, work: &Work) -> anyhow::Result<Requeue> {
        match work {
            Work::Budget(key) => self.budget(key).await,
            Work::Pod(key) => self.stale_target(key).await,
        }
    }

    async fn budget(&self, key: &ObjectKey) -> anyhow::Result<Requeue> {
        let Some(budget) = self.budgets.get(key) else { return Ok(Requeue::Never) };
        match self.judge(&budget).await {
            Ok(Outcome { status, overdue, recheck }) => {
                for name in overdue {
                    if let Some(pod) = self.pods.get(&ObjectKey::new(budget.namespace(), &name)) {
                        let text = format!(
                            "Pod was expected by PDB {}/{} to be deleted but it wasn't",
                            budget.namespace(),
                            budget.name()
                        );
                        self.events.warning(&pod, "NotDeleted", text);
                    }
                }
                self.write(&budget, status).await.context("update status")?;
                Ok(recheck.map_or(Requeue::Never, Requeue::After))
            }
            Err(error) => {
                self.fail_safe(&budget, &error).await.context("update status")?;
                Err(error)
            }
        }
    }

    async fn judge(&self, budget: &PodDisruptionBudget) -> anyhow::Result<Outcome> {
        let selector = match budget.selector() {
            Ok(selector) => selector,
            Err(error) => {
                self.events.warning(budget, "NoPods", format!("Failed to get pods: {error}"));
                anyhow::bail!("{error}");
            }
        };
        let pods = self.pods.list_where(budget.namespace(), |meta| selector.matches(meta));
        if pods.is_empty() {
            self.events.normal(budget, "NoPods", "No matching pods found");
        }
        let mut expected = pods.len() as i32;
        if budget::needs_scales(budget) {
            let counted = self.scales.expected(budget.namespace(), &pods).await;
            let (sum, unmanaged) = counted.inspect_err(|error| {
                let text = format!("Failed to calculate the number of expected pods: {error}");
                self.events.warning(budget, "CalculateExpectedPodCountFailed", text);
            })?;
            expected = sum;
            if unmanaged {
                self.warn_unmanaged(budget);
            }
        }
        Ok(budget::judge(budget, &pods, expected, self.clock.now()))
    }

    fn warn_unmanaged(&self, budget: &PodDisruptionBudget) {
        let guarded = budget.spec.as_ref().and_then(|s| s.selector.as_ref());
        let guarded = guarded.map(selector::show).unwrap_or_default();
        let text = format!(
            "Pods selected by this PodDisruptionBudget (selector: {guarded}) were found to be unmanaged. As a result, \
             the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account \
             for these pods please set \".spec.minAvailable\" field of the PDB to an integer value."
        );
        self.events.warning(budget, "UnmanagedPods", text);
    }

    /// A budget that cannot be worked out allows nothing.
    async fn fail_safe(&self, budget: &PodDisruptionBudget, error: &anyhow::Error) -> Result<(), Status> {
        let mut status = budget.status.clone().unwrap_or_default();
        status.disruptions_allowed = Some(0);
        status.observed_generation = budget.metadata.generation;
        set_condition(&mut status, "False", SYNC_FAILED, &error.to_string(), self.clock.now());
        self.write(budget, status).await
    }

    async fn write(
        &self,
        budget: &PodDisruptionBudget,
        status: PodDisruptionBudgetStatus,
    ) -> Result<(), Status> {
        if budget.status.as_ref() == Some(&status) {
            return Ok(());
        }
        // A conflict is an eviction that was allowed meanwhile: it has to be counted before anything is written.
        let new = PodDisruptionBudget { status: Some(status), ..budget.clone() };
        match self.api.update_status(&new).await {
            Err(e) if e.is_not_found() => Ok(()),
            result => result.map(drop),
        }
    }

    /// Nobody has deleted the pod that was to be disrupted: it no longer is.
    async fn stale_target(&self, key: &ObjectKey) -> anyhow::Result<Requeue> {
        let Some(pod) = self.pods.get(key).filter(is_target) else { return Ok(Requeue::Never) };
        let now = self.clock.now();
        let Some(condition) = pod.condition(DISRUPTION_TARGET) else { return Ok(Requeue::Never) };
        let since = condition.last_transition_time.as_ref().map_or(now, |t| t.0);
        let waited = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        if let Some(left) = budget::DELETION_TIMEOUT.checked_sub(waited).filter(|left| !left.is_zero()) {
            return Ok(Requeue::After(left));
        }
        let mut cleared = pod.clone();
        let condition = PodCondition {
            type_: DISRUPTION_TARGET.into(),
            status: "False".into(),
            observed_generation: condition.observed_generation,
            ..PodCondition::default()
        };
        methods::set_condition(cleared.status.get_or_insert_default(), condition, now);
        match self.pod_api.update_status(&cleared).await {
            Err(e) if e.is_not_found() => Ok(Requeue::Never),
            result => result.map(|_| Requeue::Never).context("take the condition back"),
        }
    }
}

/// Is to be disrupted and has not been deleted. What a kubelet ends may take as long as it takes.
fn is_target(pod: &Pod) -> bool {
    let condition = pod.condition(DISRUPTION_TARGET).filter(|c| c.status == "True");
    !pod.metadata.is_deleting()
        && !pod.is_terminal()
        && condition.is_some_and(|c| c.reason.as_deref() != Some("TerminationByKubelet"))
}

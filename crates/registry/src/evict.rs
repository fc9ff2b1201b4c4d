//! `pods/eviction`: a delete that disruption budgets may refuse. Start at [`Registry::evict`].

use apimachinery::status::{Cause, Details};
use apimachinery::{GroupResource, Status};
use codec::{AnyObject, Kind as _};
use k8s_openapi::api::core::v1::{Pod, PodCondition};
use k8s_openapi::api::policy::v1::{Eviction, PodDisruptionBudget};
use resources::core::pod::{PodExt, methods};
use resources::owner::ObjectMetaExt;
use resources::policy::pod_disruption_budget::{PodDisruptionBudgetExt, Refusal};
use resources::strategy::Part;

use crate::create::whole_seconds;
use crate::options::{DeleteOptions, Propagation, WriteOptions};
use crate::registry::{Registry, Target};
use crate::update::{Changed, Kind};

const VIOLATES: &str = "Cannot evict pod as it would violate the pod's disruption budget.";
const SEVERAL: &str =
    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
/// When to ask again about a budget that is not worked out yet, in seconds.
const SOON: u32 = 10;
/// Tries of an eviction that takes the pod as it has just been seen.
const ATTEMPTS: usize = 16;

/// What a budget says about a pod.
enum Verdict {
    /// It goes whatever happens to it meanwhile.
    Goes,
    /// It costs nothing as it is now, so it must not have changed when it goes.
    GoesUnchanged,
}

impl Registry {
    /// Deletes the pod unless its disruption budget forbids it.
    pub async fn evict(
        &self,
        target: &Target<'_>,
        eviction: Eviction,
        options: &WriteOptions,
    ) -> Result<Status, Status> {
        let name = eviction.name();
        if !name.is_empty() && name != target.name {
            return Err(Status::bad_request("name in URL does not match name in Eviction object"));
        }
        let wanted = delete_options(eviction, options)?;
        for _ in 0..ATTEMPTS {
            match self.evict_once(target, &wanted, options).await {
                // It changed in between. Who named no state of the pod does not care, but the verdict may be another now.
                Err(e) if e.is_conflict() && wanted.resource_version.is_none() && wanted.uid.is_none() => {}
                result => return result,
            }
        }
        Err(target.conflict(crate::update::MODIFIED))
    }

    async fn evict_once(
        &self,
        target: &Target<'_>,
        wanted: &DeleteOptions,
        options: &WriteOptions,
    ) -> Result<Status, Status> {
        let stored = self.rows.latest(target.resource, &target.key()).await?;
        let stored = stored.ok_or_else(|| target.not_found())?;
        let object = target.decode(&stored)?;
        let pod: &Pod = object.downcast_ref().ok_or_else(|| target.not_found())?;
        let mut delete = wanted.clone();
        if let Verdict::GoesUnchanged = self.judge(pod, wanted.dry_run, options).await? {
            delete.resource_version = delete.resource_version.or(pod.metadata.resource_version.clone());
        }
        if !wanted.dry_run && !pod.metadata.is_deleting() && !pod.is_terminal() {
            let marked = self.announce(target, &delete, options).await?;
            // The delete shall find the pod as it has just been left.
            if delete.resource_version.is_some() {
                delete.resource_version = marked;
            }
        }
        self.delete(target, &delete).await?;
        Ok(Status { details: None, code: 201, ..Status::success(Details::default()) })
    }

    async fn judge(&self, pod: &Pod, dry_run: bool, options: &WriteOptions) -> Result<Verdict, Status> {
        if pod.is_terminal() || pod.metadata.is_deleting() {
            return Ok(Verdict::Goes);
        }
        if pod.phase() == "Pending" {
            return Ok(Verdict::GoesUnchanged);
        }
        let mut budgets = self.budgets_of(pod)?;
        let Some(budget) = budgets.pop() else { return Ok(Verdict::Goes) };
        if !budgets.is_empty() {
            return Err(Status::failure(500, "", SEVERAL));
        }
        if !pod.is_ready() && budget.spares_unready() {
            return Ok(Verdict::GoesUnchanged);
        }
        self.spend(&budget, pod.name(), dry_run, options).await?;
        Ok(Verdict::Goes)
    }

    fn budgets_of(&self, pod: &Pod) -> Result<Vec<PodDisruptionBudget>, Status> {
        let Some(resource) = self.resource("policy", "v1", "poddisruptionbudgets") else {
            return Ok(Vec::new());
        };
        if pod.metadata.labels.as_ref().is_none_or(|labels| labels.is_empty()) {
            return Ok(Vec::new());
        }
        let target = Target { resource, namespace: pod.namespace(), name: "" };
        let snapshot = self.rows.cache(resource)?.snapshot();
        let mut found = Vec::new();
        for object in snapshot.iter(Some(pod.namespace()), None) {
            let object = target.decode(object)?;
            let Some(budget) = object.downcast_ref::<PodDisruptionBudget>() else { continue };
            if budget.selector().is_ok_and(|selector| selector.matches(&pod.metadata.labels)) {
                found.push(budget.clone());
            }
        }
        Ok(found)
    }

    /// Takes one disruption off the budget, guarded: two evictions never share one.
    async fn spend(
        &self,
        budget: &PodDisruptionBudget,
        pod: &str,
        dry_run: bool,
        options: &WriteOptions,
    ) -> Result<(), Status> {
        let resource = self.resource("policy", "v1", "poddisruptionbudgets");
        let Some(resource) = resource else { return Ok(()) };
        let target = Target { resource, namespace: budget.namespace(), name: budget.name() };
        let now = whole_seconds(self.clock.now());
        let change = |old: &dyn AnyObject| {
            let mut budget =
                old.downcast_ref::<PodDisruptionBudget>().ok_or_else(|| target.not_found())?.clone();
            budget.spend(pod, now).map_err(|refusal| refused(budget.name(), refusal))?;
            Ok(Changed { object: Box::new(budget), warnings: Vec::new() })
        };
        let kind = Kind { part: Part::Status, subresource: "status", checked: false };
        let options = WriteOptions { dry_run: options.dry_run || dry_run, ..options.clone() };
        match self.change(&target, kind, &change, &options).await {
            // The budget is gone, and with it what it forbade.
            Err(e) if e.is_not_found() => Ok(()),
            Err(e) if e.is_conflict() => Err(Status::timeout(format!(
                "couldn't update PodDisruptionBudget {:?} due to conflicts",
                budget.name()
            ))),
            result => result.map(drop),
        }
    }

    /// Says on the pod that it is about to be evicted. Its resourceVersion then.
    async fn announce(
        &self,
        target: &Target<'_>,
        delete: &DeleteOptions,
        options: &WriteOptions,
    ) -> Result<Option<String>, Status> {
        let now = whole_seconds(self.clock.now());
        let change = |old: &dyn AnyObject| {
            let mut pod = old.downcast_ref::<Pod>().ok_or_else(|| target.not_found())?.clone();
            let differs = |wanted: &Option<String>, is: &Option<String>| wanted.is_some() && wanted != is;
            if differs(&delete.resource_version, &pod.metadata.resource_version)
                || differs(&delete.uid, &pod.metadata.uid)
            {
                return Err(target.conflict(crate::update::MODIFIED));
            }
            let condition = PodCondition {
                type_: "DisruptionTarget".into(),
                status: "True".into(),
                reason: Some("EvictionByEvictionAPI".into()),
                message: Some("Eviction API: evicting".into()),
                observed_generation: pod.metadata.generation,
                ..PodCondition::default()
            };
            methods::set_condition(pod.status.get_or_insert_default(), condition, now);
            Ok(Changed { object: Box::new(pod), warnings: Vec::new() })
        };
        let kind = Kind { part: Part::Status, subresource: "status", checked: false };
        let written = self.change(target, kind, &change, options).await?;
        let marked = target.strategy().decode(&written.json).map_err(Status::internal)?;
        Ok(marked.object_meta().resource_version.clone())
    }
}

fn delete_options(eviction: Eviction, options: &WriteOptions) -> Result<DeleteOptions, Status> {
    let wanted = eviction.delete_options.unwrap_or_default();
    let preconditions = wanted.preconditions.unwrap_or_default();
    let propagation = match wanted.propagation_policy.as_deref() {
        None | Some("") => None,
        Some("Orphan") => Some(Propagation::Orphan),
        Some("Background") => Some(Propagation::Background),
        Some("Foreground") => Some(Propagation::Foreground),
        Some(other) => return Err(Status::bad_request(format!("unknown propagationPolicy {other:?}"))),
    };
    Ok(DeleteOptions {
        user: options.user.clone(),
        dry_run: options.dry_run || wanted.dry_run.is_some_and(|d| d.iter().any(|v| v == "All")),
        grace_period_seconds: wanted.grace_period_seconds,
        propagation,
        uid: preconditions.uid,
        resource_version: preconditions.resource_version,
    })
}

fn refused(budget: &str, refusal: Refusal) -> Status {
    let (why, retry) = match refusal {
        Refusal::Later(why) => (why, 0),
        Refusal::Unknown(why) => (why, SOON),
        Refusal::Broken(why) => {
            let resource = GroupResource { group: "policy".into(), resource: "poddisruptionbudget".into() };
            return Status::forbidden(&resource, budget, &why);
        }
    };
    let mut status = Status::too_many_requests(VIOLATES, retry);
    let details = status.details.get_or_insert_default();
    details.causes.push(Cause { reason: "DisruptionBudget".into(), message: why, ..Cause::default() });
    status
}

//! How much of each quota is used. The admission plugin notes what is added; this controller takes up new quotas, and takes
//! back what has gone.
//!
//! It keeps what every pod, service and claim uses, changed by events, so that a quota is summed without decoding anything;
//! everything else is only counted. Start at [`Controller::reconcile`].

mod counts;
#[cfg(test)]
mod tests;
mod uses;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use apimachinery::{ObjectKey, Quantity};
use client::{Api, Informer, Requeue, WorkQueue};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, ResourceQuota, ResourceQuotaStatus, Service};
use resources::core::resource_quota::scope;
use resources::owner::ObjectMetaExt;
use resources::quantity::Amounts;
use stdx::clock::SharedClock;

use crate::context::{Component, object, synced};
use counts::Counts;
use uses::Uses;

const WORKERS: usize = 5;
/// A write that is under way has its usage noted before its object is there. Usage is taken back only from a quota that
/// nobody has written for so long.
const SETTLED: Duration = Duration::from_secs(1);

struct Controller {
    quotas: Informer<ResourceQuota>,
    uses: Uses,
    counts: Counts,
    api: Api<ResourceQuota>,
    clock: SharedClock,
    /// The version of a quota that is to be lowered, and since when it is known.
    seen: Mutex<HashMap<ObjectKey, (String, Duration)>>,
}

pub fn start(component: Component) {
    let quotas = component.informer::<ResourceQuota>();
    let queue = component.queue::<ObjectKey>();
    let woken = queue.clone();
    component.on(&quotas, move |change| {
        if let Some(quota) = object(change) {
            woken.add(quota.key.clone());
        }
    });
    let wake = waker(&quotas, &queue);
    let (pods, services, claims) = (component.informer(), component.informer(), component.informer());
    let mut wait = vec![synced(&quotas)];
    wait.extend([
        synced::<Pod>(&pods),
        synced::<Service>(&services),
        synced::<PersistentVolumeClaim>(&claims),
    ]);
    let controller = Arc::new(Controller {
        quotas,
        uses: Uses::start(&component, pods, &services, &claims, &wake),
        counts: Counts::new(&component, wake),
        api: component.api(),
        clock: component.clock.clone(),
        seen: Mutex::default(),
    });
    component.run(wait, &queue, WORKERS, move |key| {
        let controller = controller.clone();
        async move { controller.reconcile(&key).await }
    });
}

/// Wakes every quota of a namespace.
type Wake = Arc<dyn Fn(&str) + Send + Sync>;

fn waker(quotas: &Informer<ResourceQuota>, queue: &WorkQueue<ObjectKey>) -> Wake {
    let (quotas, queue) = (quotas.clone(), queue.clone());
    Arc::new(move |namespace| {
        for quota in quotas.objects(namespace) {
            queue.add(quota.key.clone());
        }
    })
}

impl Controller {
    async fn reconcile(&self, key: &ObjectKey) -> anyhow::Result<Requeue> {
        let quota = self.quotas.get(key).filter(|q| !q.metadata.is_deleting());
        let Some(mut quota) = quota else {
            self.forget(key);
            return Ok(Requeue::Never);
        };
        let used = self.used(&quota).await;
        let have = quota.status.clone().unwrap_or_default();
        let want = desired(&quota, used);
        if same(&have, &want) {
            self.forget(key);
            return Ok(Requeue::Never);
        }
        if lowers(&have, &want)
            && let Some(wait) = self.wait(key, quota.metadata.resource_version.as_deref().unwrap_or_default())
        {
            return Ok(Requeue::After(wait));
        }
        self.forget(key);
        quota.status = Some(want);
        match self.api.update_status(&quota).await {
            Ok(_) => Ok(Requeue::Never),
            // Somebody noted a usage: the change wakes this quota again.
            Err(e) if e.is_conflict() || e.is_not_found() => Ok(Requeue::RateLimited),
            Err(e) => Err(e).context("write the status of a quota"),
        }
    }

    async fn used(&self, quota: &ResourceQuota) -> Amounts {
        let namespace = quota.metadata.namespace.as_deref().unwrap_or_default();
        let mut total = self.uses.bounded(namespace, quota, self.clock.now());
        if scope::is_scoped(quota) {
            return total;
        }
        for resource in quota.spec.iter().flat_map(|s| s.hard.iter().flatten()).map(|(name, _)| name) {
            if let Some(count) = self.counts.count(resource, namespace).await {
                total.0.insert(resource.clone(), Quantity::new(count, Default::default()));
            }
        }
        total
    }

    /// How long still until this version of the quota counts as settled.
    fn wait(&self, key: &ObjectKey, version: &str) -> Option<Duration> {
        let now = self.clock.monotonic();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let since = seen.entry(key.clone()).or_insert_with(|| (version.to_owned(), now));
        if since.0 != version {
            *since = (version.to_owned(), now);
        }
        let left = (since.1 + SETTLED).saturating_sub(now);
        (!left.is_zero()).then_some(left)
    }

    fn forget(&self, key: &ObjectKey) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// The status for a usage: what the spec bounds, used or not.
fn desired(quota: &ResourceQuota, used: Amounts) -> ResourceQuotaStatus {
    let hard = quota.spec.as_ref().and_then(|s| s.hard.clone()).unwrap_or_default();
    let all = hard.keys().map(|r| (r.clone(), used.get(r))).collect();
    ResourceQuotaStatus { used: Some(Amounts(all).to_list()), hard: Some(hard) }
}

fn same(a: &ResourceQuotaStatus, b: &ResourceQuotaStatus) -> bool {
    Amounts::of(a.hard.as_ref()) == Amounts::of(b.hard.as_ref())
        && Amounts::of(a.used.as_ref()) == Amounts::of(b.used.as_ref())
}

/// Whether anything is taken back that `have` counts.
fn lowers(have: &ResourceQuotaStatus, want: &ResourceQuotaStatus) -> bool {
    let (have, want) = (Amounts::of(have.used.as_ref()), Amounts::of(want.used.as_ref()));
    have.0.iter().any(|(resource, amount)| want.get(resource) < *amount)
}

//! A namespace's quotas: what a write adds is noted in their status before the write, or the write is refused.
//!
//! The note is an ordinary guarded update of the quota, so that two writers, here or at another API server, never both get
//! the last bit. What a refused or failed write has left noted, the quota controller takes back.

use std::sync::Arc;
use std::time::Duration;

use apimachinery::{Gvr, Quantity, Status};
use async_trait::async_trait;
use client::transport::{Options, Transport};
use client::{Api, Informer};
use codec::{AnyObject, Kind};
use futures::StreamExt;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, ResourceQuota, Service};
use registry::admit::{Attributes, Operation};
use resources::core::resource_quota::scope;
use resources::core::resource_quota::usage::{self, Use};
use resources::quantity::Amounts;
use stdx::clock::SharedClock;
use tokio::sync::Mutex;

use crate::ask;
use crate::chain::{Context, Plugin};

/// Attempts against other API servers and the controller before the write is refused.
const ATTEMPTS: usize = 32;
/// So long a write waits for the controller to count what a new or changed quota bounds.
const COUNTED_WITHIN: Duration = Duration::from_secs(5);

pub(crate) struct ResourceQuotaPlugin {
    quotas: Informer<ResourceQuota>,
    api: Api<ResourceQuota>,
    clock: SharedClock,
    /// Whoever notes a usage holds it: writers of this server queue here instead of refusing each other's updates.
    turn: Arc<Mutex<()>>,
}

/// What a write adds, and what it is about.
struct Demand {
    added: Amounts,
    used: Use,
}

impl ResourceQuotaPlugin {
    pub(crate) fn new(context: &Context) -> Self {
        let transport: &Arc<dyn Transport> = &context.transport;
        ResourceQuotaPlugin {
            quotas: Informer::all(&**transport),
            api: Api::new(transport.clone()),
            clock: context.clock.clone(),
            turn: Arc::new(Mutex::new(())),
        }
    }

    /// Nothing for writes that quotas never count.
    fn demand(&self, a: &Attributes<'_>) -> Option<Demand> {
        let object = a.object.as_deref()?;
        let resize = a.subresource == "resize" && ask::is::<Pod>(a);
        let counted = match a.operation {
            Operation::Create => a.subresource.is_empty(),
            Operation::Update if a.subresource.is_empty() => {
                ask::is::<Service>(a) || ask::is::<PersistentVolumeClaim>(a)
            }
            Operation::Update => resize,
            _ => false,
        };
        if !counted || a.namespace.is_empty() || ask::is::<k8s_openapi::api::core::v1::Namespace>(a) {
            return None;
        }
        let used = self.of(a.gvr, object);
        let mut added = used.amounts.clone();
        if let Some(old) = a.old {
            for (resource, amount) in self.of(a.gvr, old).amounts.0 {
                *added.0.entry(resource).or_default() -= amount;
            }
        }
        added.0.retain(|_, amount| !amount.is_zero());
        Some(Demand { added, used })
    }

    /// Waits, not for long, until the controller has taken up every quota of the namespace.
    async fn counted(&self, namespace: &str) {
        let waiting = || !self.quotas.list(namespace).iter().all(is_counted);
        if !waiting() {
            return;
        }
        let mut changes = self.quotas.subscribe();
        let mut late = self.clock.sleep(COUNTED_WITHIN);
        while waiting() {
            tokio::select! {
                change = changes.next() => if change.is_none() { return },
                () = &mut late => return,
            }
        }
    }

    fn of(&self, gvr: &Gvr, object: &dyn AnyObject) -> Use {
        usage::of(gvr, object, self.clock.now())
    }

    /// Notes the demand in every quota that counts it.
    async fn note(&self, a: &Attributes<'_>, demand: &Demand) -> Result<(), Status> {
        let mut noted: Vec<String> = Vec::new();
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let mut quotas = self.api.list(a.namespace, &Options::default()).await?.items;
            quotas.retain(|q| !noted.iter().any(|n| n == q.name()));
            let changed = judge(a, demand, &quotas)?;
            if a.dry_run {
                return Ok(());
            }
            last = None;
            for quota in changed {
                match self.api.update_status(&quota).await {
                    Ok(_) => noted.push(quota.name().to_owned()),
                    Err(status) if status.is_conflict() || status.is_not_found() => last = Some(status),
                    Err(status) => return Err(status),
                }
            }
            if last.is_none() {
                return Ok(());
            }
        }
        Err(last.unwrap_or_else(|| Status::internal("no attempt was made to note the usage")))
    }
}

#[async_trait]
impl Plugin for ResourceQuotaPlugin {
    async fn validate(&self, a: &Attributes<'_>) -> Result<(), Status> {
        if self.quotas.view().list(a.namespace).is_empty() {
            return Ok(());
        }
        let Some(demand) = self.demand(a) else { return Ok(()) };
        self.counted(a.namespace).await;
        let _turn = self.turn.lock().await;
        self.note(a, &demand).await
    }
}

/// The status speaks of what the spec bounds.
fn is_counted(quota: &ResourceQuota) -> bool {
    let status = quota.status.clone().unwrap_or_default();
    let hard = Amounts::of(quota.spec.as_ref().and_then(|s| s.hard.as_ref()));
    let used = Amounts::of(status.used.as_ref());
    hard == Amounts::of(status.hard.as_ref()) && hard.0.keys().all(|r| used.0.contains_key(r))
}

/// The quotas as they have to be written, or why the write is refused.
fn judge(
    a: &Attributes<'_>,
    demand: &Demand,
    quotas: &[ResourceQuota],
) -> Result<Vec<ResourceQuota>, Status> {
    let mut changed = Vec::new();
    for quota in quotas {
        if !scope::matches(quota, &demand.used.facts) {
            continue;
        }
        let status = quota.status.clone().unwrap_or_default();
        let spec_hard = quota.spec.as_ref().and_then(|s| s.hard.clone()).unwrap_or_default();
        let bounds: Vec<&str> =
            spec_hard.keys().map(String::as_str).filter(|r| demand.used.amounts.0.contains_key(*r)).collect();
        if let Some(pod) = ask::object::<Pod>(a).filter(|_| a.operation == Operation::Create) {
            let named: Vec<&str> = spec_hard.keys().map(String::as_str).collect();
            usage::missing(pod, &named)
                .map_err(|why| ask::forbidden(a, format!("failed quota: {}: {why}", quota.name())))?;
        }
        let used = Amounts::of(status.used.as_ref());
        let hard = Amounts::of(status.hard.as_ref());
        let known = |r: &&str| hard.0.contains_key(*r) && used.0.contains_key(*r);
        if !bounds.iter().all(known) {
            let why = format!("status unknown for quota: {}, resources: {}", quota.name(), bounds.join(","));
            return Err(ask::forbidden(a, why));
        }
        let added: Vec<(&str, Quantity)> =
            bounds.iter().filter_map(|r| Some((*r, *demand.added.0.get(*r)?))).collect();
        refuse(a, quota, &added, &used, &hard)?;
        if added.is_empty() {
            continue;
        }
        let mut after = used;
        for (resource, amount) in added {
            *after.0.entry(resource.to_owned()).or_default() += amount;
        }
        let mut quota = quota.clone();
        quota.status.get_or_insert_default().used = Some(after.to_list());
        changed.push(quota);
    }
    Ok(changed)
}

/// 403 when something is asked for that there is not enough of.
fn refuse(
    a: &Attributes<'_>,
    quota: &ResourceQuota,
    added: &[(&str, Quantity)],
    used: &Amounts,
    hard: &Amounts,
) -> Result<(), Status> {
    let exceeded: Vec<(&str, Quantity)> = added
        .iter()
        .copied()
        .filter(|(r, amount)| amount.signum() > 0 && used.get(r) + *amount > hard.get(r))
        .collect();
    if exceeded.is_empty() {
        return Ok(());
    }
    let shown = |of: &dyn Fn(&str, Quantity) -> Quantity| {
        exceeded.iter().map(|(r, amount)| format!("{r}={}", of(r, *amount))).collect::<Vec<_>>().join(",")
    };
    let why = format!(
        "exceeded quota: {}, requested: {}, used: {}, limited: {}",
        quota.name(),
        shown(&|_, amount| amount),
        shown(&|r, _| used.get(r)),
        shown(&|r, _| hard.get(r)),
    );
    Err(ask::forbidden(a, why))
}

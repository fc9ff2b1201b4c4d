//! Service CIDRs: a new range becomes ready, and one that is deleted goes when no address is left that only it has. Start at
//! [`Ranges::reconcile`].

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use apimachinery::{ObjectKey, Status};
use client::transport::Options;
use client::{Api, EventRecorder, Informer, Requeue};
use codec::Kind as _;
use ipnet::IpNet;
use jiff::Timestamp;
use k8s_openapi::api::networking::v1::{IPAddress, ServiceCIDR, ServiceCIDRSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use resources::networking::service_cidr::{DEFAULT, FINALIZER};
use resources::prelude::*;
use stdx::clock::SharedClock;

use crate::context::{Component, object, synced};

/// So long after its deletion began somebody may still be giving out an address of a range.
const GRACE: Duration = Duration::from_secs(10);
const TERMINATING: &str = "Terminating";
const IN_USE: &str =
    "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR";

struct Ranges {
    ranges: Informer<ServiceCIDR>,
    api: Api<ServiceCIDR>,
    addresses: Api<IPAddress>,
    events: EventRecorder,
    clock: SharedClock,
}

pub fn start(component: Component) {
    let ranges = Arc::new(Ranges {
        ranges: component.informer(),
        api: component.api(),
        addresses: component.api(),
        events: component.recorder("service-cidrs-controller"),
        clock: component.clock.clone(),
    });
    let addresses = component.informer::<IPAddress>();
    let queue = component.queue::<ObjectKey>();
    let (woken, all) = (queue.clone(), ranges.ranges.clone());
    let wake_deleted = move || {
        for range in all.objects("").into_iter().filter(|r| r.meta.deleting) {
            woken.add(range.key.clone());
        }
    };
    let (woken, others) = (queue.clone(), wake_deleted.clone());
    component.on(&ranges.ranges, move |change| {
        if let Some(range) = object(change) {
            woken.add(range.key.clone());
        }
        // What only a range had that is being deleted may now be in another.
        if change.old.is_none() {
            others();
        }
    });
    component.on(&addresses, move |change| {
        if change.new.is_none() {
            wake_deleted();
        }
    });
    let wait = vec![synced(&ranges.ranges), synced(&addresses)];
    component.run(wait, &queue, 1, move |key| {
        let ranges = ranges.clone();
        async move { ranges.reconcile(&key).await }
    });
}

impl Ranges {
    async fn reconcile(&self, key: &ObjectKey) -> anyhow::Result<Requeue> {
        let Some(range) = self.ranges.get(key) else { return Ok(Requeue::Never) };
        match range.meta().deletion_timestamp.as_ref().map(|t| t.0) {
            None => self.keep(range).await,
            Some(_) if !is_held(&range) => Ok(Requeue::Never),
            Some(since) => self.let_go(range, since).await,
        }
    }

    async fn keep(&self, mut range: ServiceCIDR) -> anyhow::Result<Requeue> {
        if !is_held(&range) {
            range.metadata.finalizers.get_or_insert_default().push(FINALIZER.into());
            match self.api.update(&range).await {
                Ok(updated) => range = updated,
                Err(e) => return settled(Err(e), "hold a service CIDR"),
            }
        }
        if range.is_ready() {
            return Ok(Requeue::Never);
        }
        range.set_ready(true, "", "Kubernetes Service CIDR is ready", self.clock.now());
        let done = self.api.update_status(&range).await;
        if done.as_ref().is_err_and(|e| !e.is_conflict() && !e.is_not_found()) {
            let text = "The ServiceCIDR Status can not be set to Ready=True";
            self.events.warning(&range, "KubernetesServiceCIDRError", text);
        }
        settled(done.map(drop), "make a service CIDR ready")
    }

    async fn let_go(&self, mut range: ServiceCIDR, since: Timestamp) -> anyhow::Result<Requeue> {
        let waited = Duration::try_from(self.clock.now().duration_since(since)).unwrap_or_default();
        let addresses = self.addresses.list("", &Options::default()).await.context("list IP addresses")?;
        if needs(&range, &self.ranges.list(""), &addresses.items) {
            if !range.set_ready(false, TERMINATING, IN_USE, self.clock.now()) {
                return Ok(Requeue::Never);
            }
            return settled(self.api.update_status(&range).await.map(drop), "say why a service CIDR stays");
        }
        if let Some(rest) = GRACE.checked_sub(waited).filter(|rest| !rest.is_zero()) {
            return Ok(Requeue::After(rest));
        }
        let kept: Vec<String> = range
            .metadata
            .finalizers
            .take()
            .unwrap_or_default()
            .into_iter()
            .filter(|f| f != FINALIZER)
            .collect();
        range.metadata.finalizers = (!kept.is_empty()).then_some(kept);
        settled(self.api.update(&range).await.map(drop), "let a service CIDR go")
    }
}

fn is_held(range: &ServiceCIDR) -> bool {
    range.metadata.finalizers.iter().flatten().any(|f| f == FINALIZER)
}

/// Whether any allocated address is in `range` and in no other that stays.
fn needs(range: &ServiceCIDR, all: &[ServiceCIDR], addresses: &[IPAddress]) -> bool {
    let stay = all.iter().filter(|r| r.name() != range.name() && !r.metadata.is_deleting());
    let others: Vec<IpNet> = stay.flat_map(nets).collect();
    let own = nets(range);
    let within = |nets: &[IpNet], ip: &IpAddr| nets.iter().any(|net| net.contains(ip));
    let allocated = addresses.iter().filter(|a| a.is_allocated());
    allocated.filter_map(|a| a.name().parse().ok()).any(|ip| within(&own, &ip) && !within(&others, &ip))
}

fn nets(range: &ServiceCIDR) -> Vec<IpNet> {
    range.cidrs().iter().filter_map(|cidr| cidr.parse().ok()).collect()
}

fn settled(done: Result<(), Status>, what: &'static str) -> anyhow::Result<Requeue> {
    match done {
        Ok(()) => Ok(Requeue::Never),
        Err(e) if e.is_not_found() => Ok(Requeue::Never),
        Err(e) if e.is_conflict() => Ok(Requeue::RateLimited),
        Err(e) => Err(e).context(what),
    }
}

/// Makes the ServiceCIDR of the API server's own ranges, as upstream's API server does when it starts. One that says otherwise
/// stays as it is, but that a second family is added.
pub async fn ensure_default(
    api: &Api<ServiceCIDR>,
    cidrs: Vec<String>,
    now: Timestamp,
) -> anyhow::Result<()> {
    let mut range = match api.find(&ObjectKey::cluster(DEFAULT)).await? {
        Some(range) => range,
        None => {
            let range = ServiceCIDR {
                metadata: ObjectMeta { name: Some(DEFAULT.into()), ..ObjectMeta::default() },
                spec: Some(ServiceCIDRSpec { cidrs: Some(cidrs.clone()) }),
                status: None,
            };
            api.create(&range).await?
        }
    };
    if range.cidrs() != cidrs {
        let grows = matches!((range.cidrs(), &cidrs[..]), ([have], [first, _]) if have == first);
        if grows {
            range.spec.get_or_insert_default().cidrs = Some(cidrs);
            range = api.update(&range).await?;
        } else {
            tracing::warn!(have = ?range.cidrs(), want = ?cidrs, "the ServiceCIDR {DEFAULT} is of other ranges");
        }
    }
    let dying = range.metadata.is_deleting();
    if !dying && range.set_ready(true, "", "Kubernetes default Service CIDR is ready", now) {
        api.update_status(&range).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(name: &str, cidrs: &[&str]) -> ServiceCIDR {
        ServiceCIDR {
            metadata: ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() },
            spec: Some(ServiceCIDRSpec { cidrs: Some(cidrs.iter().map(|c| (*c).into()).collect()) }),
            status: None,
        }
    }

    #[test]
    fn what_a_range_is_needed_for() {
        let address =
            |ip: &str| resources::networking::ip_address::of_service(ip.parse().unwrap(), "ns", "a");
        let (own, other) = (range("own", &["10.0.0.0/24", "fd00::/112"]), range("other", &["10.0.0.0/28"]));
        let needed = |addresses: &[IPAddress]| needs(&own, &[own.clone(), other.clone()], addresses);
        assert!(!needed(&[]));
        assert!(!needed(&[address("10.1.0.1")]), "elsewhere");
        assert!(needed(&[address("10.0.0.200")]));
        assert!(needed(&[address("fd00::7")]));
        assert!(!needed(&[address("10.0.0.3")]), "the other has it, too");
        let mut foreign = address("10.0.0.200");
        foreign.metadata.labels = None;
        assert!(!needed(&[foreign]), "not allocated by the API server");
    }
}

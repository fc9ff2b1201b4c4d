//! Services and IPAddresses agree, whatever somebody deletes: an address that a service has is taken, and one that no service has is
//! not. What the registry does when it starts, while it runs. Upstream it is the API server's chore.
//!
//! Views may be behind each other, and a write takes an address before its service shows it: whatever looks wrong is read again
//! before anything is done about it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use apimachinery::{ObjectKey, Status};
use client::{Api, DeleteOptions, EventRecorder, Informer, Requeue};
use codec::Kind as _;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::IPAddress;
use resources::networking::ip_address;
use resources::prelude::*;
use stdx::clock::SharedClock;

use crate::context::{Component, object, synced};

/// So long an address may have no service: it is being written.
const GRACE: Duration = Duration::from_secs(60);
const COMPONENT: &str = "ipallocator-repair-controller";

struct Repair {
    services: Informer<Service>,
    addresses: Informer<IPAddress>,
    service_api: Api<Service>,
    address_api: Api<IPAddress>,
    events: EventRecorder,
    clock: SharedClock,
}

pub fn start(component: Component) {
    let repair = Arc::new(Repair {
        services: component.informer(),
        addresses: component.informer(),
        service_api: component.api(),
        address_api: component.api(),
        events: component.recorder(COMPONENT),
        clock: component.clock.clone(),
    });
    let (services, addresses) = (component.queue::<ObjectKey>(), component.queue::<ObjectKey>());
    let (of_service, of_address) = (services.clone(), addresses.clone());
    component.on(&repair.services, move |change| {
        if let Some(service) = object(change) {
            of_service.add(service.key.clone());
        }
        // What it had and has no more.
        let old = change.old.as_ref().and_then(|o| client::informer::decode::<Service>(o));
        for ip in old.iter().flat_map(addresses_of) {
            of_address.add(ObjectKey::cluster(&ip.to_string()));
        }
    });
    let (of_service, of_address) = (services.clone(), addresses.clone());
    component.on(&repair.addresses, move |change| {
        for object in [&change.old, &change.new].into_iter().flatten() {
            of_address.add(object.key.clone());
            let address = client::informer::decode::<IPAddress>(object);
            if let Some((namespace, name)) = address.as_ref().and_then(|a| a.service()) {
                of_service.add(ObjectKey::new(namespace, name));
            }
        }
    });
    let wait = || vec![synced(&repair.services), synced(&repair.addresses)];
    let shared = repair.clone();
    component.run(wait(), &services, 1, move |key| {
        let repair = shared.clone();
        async move { repair.service(&key).await }
    });
    let shared = repair.clone();
    component.run(wait(), &addresses, 1, move |key| {
        let repair = shared.clone();
        async move { repair.address(&key).await }
    });
}

/// What an address is to a service that has it.
#[derive(Debug, PartialEq)]
enum State {
    Good,
    /// Nobody's.
    Free,
    /// Taken, but not for a service, or not as the allocator does it.
    Wrong,
    /// Another service's.
    Other,
}

fn state(service: &Service, address: Option<&IPAddress>) -> State {
    let Some(address) = address else { return State::Free };
    match address.service() {
        Some(owner) if owner != (service.namespace(), service.name()) => State::Other,
        Some(_) if address.is_allocated() => State::Good,
        _ => State::Wrong,
    }
}

impl Repair {
    /// Every address of a service is taken for it.
    async fn service(&self, key: &ObjectKey) -> anyhow::Result<Requeue> {
        let Some(service) = self.services.get(key) else { return Ok(Requeue::Never) };
        for ip in addresses_of(&service) {
            let at = ObjectKey::cluster(&ip.to_string());
            if state(&service, self.addresses.get(&at).as_ref()) == State::Good {
                continue;
            }
            // The address before the service: who lets go of an address loses the service's first.
            let address = self.address_api.find(&at).await.context("read an IP address")?;
            let now = self.service_api.find(key).await.context("read a service")?;
            let Some(service) = now.filter(|s| addresses_of(s).contains(&ip)) else { continue };
            if !self.retake(&service, ip, address).await? {
                return Ok(Requeue::RateLimited);
            }
        }
        Ok(Requeue::Never)
    }

    /// False when something changed in between.
    async fn retake(
        &self,
        service: &Service,
        ip: IpAddr,
        address: Option<IPAddress>,
    ) -> anyhow::Result<bool> {
        let family = if ip.is_ipv6() { "IPv6" } else { "IPv4" };
        let (namespace, name) = (service.namespace(), service.name());
        match state(service, address.as_ref()) {
            State::Good => return Ok(true),
            State::Other => {
                let text = format!(
                    "Cluster IP [{family}]:{ip} was assigned to multiple services; please recreate service"
                );
                self.events.warning(service, "ClusterIPAlreadyAllocated", text);
                return Ok(true);
            }
            State::Free => {
                let text = format!("Cluster IP [{family}]: {ip} is not allocated; repairing");
                self.events.warning(service, "ClusterIPNotAllocated", text);
            }
            State::Wrong => {
                let text = format!(
                    "the ClusterIP [{family}]: {ip} for Service {namespace}/{name} has a wrong reference; repairing"
                );
                self.events.warning(service, "ClusterIPNotAllocated", text);
            }
        }
        if let Some(address) = &address
            && !self.remove(address).await?
        {
            return Ok(false);
        }
        match self.address_api.create(&ip_address::of_service(ip, namespace, name)).await {
            Ok(_) => Ok(true),
            Err(e) if e.is_already_exists() => Ok(false),
            Err(e) => Err(e).context("take a service's address again"),
        }
    }

    /// An address that is taken for a service is one that this service has.
    async fn address(&self, key: &ObjectKey) -> anyhow::Result<Requeue> {
        let Some(address) = self.addresses.get(key).filter(IPAddressExt::is_allocated) else {
            return Ok(Requeue::Never);
        };
        let ip: Option<IpAddr> = address.name().parse().ok();
        let has = |service: &Service| ip.is_some_and(|ip| addresses_of(service).contains(&ip));
        let text = match address.service() {
            None => {
                let parent = &address.spec.parent_ref;
                let of = format!("{}/{}", parent.resource, parent.name);
                format!(
                    "IPAddress {} appears to have been modified, not referencing a Service {of}: cleaning up",
                    key.name
                )
            }
            Some((namespace, name)) => {
                let owner = ObjectKey::new(namespace, name);
                if self.services.get(&owner).is_some_and(|s| has(&s)) {
                    return Ok(Requeue::Never);
                }
                if self.service_api.find(&owner).await.context("read a service")?.is_some_and(|s| has(&s)) {
                    return Ok(Requeue::Never);
                }
                let made = address.metadata.creation_timestamp.as_ref();
                let age = made.map(|t| self.clock.now().duration_since(t.0)).unwrap_or_default();
                let age = Duration::try_from(age).unwrap_or_default();
                if let Some(rest) = GRACE.checked_sub(age).filter(|rest| !rest.is_zero()) {
                    return Ok(Requeue::After(rest));
                }
                format!("IPAddress {} appears to have leaked: cleaning up", key.name)
            }
        };
        tracing::info!(address = %key, "{text}");
        self.events.warning(&address, "IPAddressNotAllocated", text);
        Ok(if self.remove(&address).await? { Requeue::Never } else { Requeue::RateLimited })
    }

    /// False when it is another one by now.
    async fn remove(&self, address: &IPAddress) -> anyhow::Result<bool> {
        let options = DeleteOptions::uid(address.metadata.uid.as_deref().unwrap_or_default());
        let done: Result<(), Status> = self.address_api.delete("", address.name(), &options).await;
        match done {
            Ok(()) => Ok(true),
            Err(e) if e.is_not_found() => Ok(true),
            Err(e) if e.is_conflict() => Ok(false),
            Err(e) => Err(e).context("free an address"),
        }
    }
}

/// The cluster addresses of a service.
fn addresses_of(service: &Service) -> Vec<IpAddr> {
    let Some(spec) = service.spec.as_ref().filter(|s| s.type_.as_deref() != Some("ExternalName")) else {
        return Vec::new();
    };
    spec.cluster_ips.iter().flatten().filter_map(|ip| ip.parse().ok()).collect()
}

//! What services are given: cluster addresses and node ports. Start at [`Services`].

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use apimachinery::field::{Error, ErrorList, Path, Raw};
use apimachinery::{Gvk, Status};
use codec::{AnyObject, Kind as _};
use k8s_openapi::api::core::v1::{Service, ServiceSpec};
use resources::Resource;
use stdx::Random;
use storage::collection::Collection;

use crate::registry::Registry;

mod addresses;
mod cidr;
pub(crate) mod pool;
mod ports;
mod repair;

pub use cidr::Cidr;
use pool::Pool;

/// Upstream's default range of node ports.
pub const NODE_PORTS: RangeInclusive<u16> = 30000..=32767;

/// From where services get what.
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// The first is the primary family's.
    pub cidrs: Vec<Cidr>,
    pub node_ports: RangeInclusive<u16>,
}

/// The allocators.
pub(crate) struct Services {
    pub config: ServiceConfig,
    /// The objects that name further ranges.
    pub ranges: Arc<Collection>,
    pub addresses: Pool,
    pub ports: Pool,
    pub random: Random,
}

/// What a write took, and what it will have given back when it has happened.
#[derive(Debug, Default)]
pub(crate) struct Allocation {
    /// The service's namespace and name.
    owner: String,
    taken: Vec<Name>,
    freed: Vec<Name>,
}

/// A name in one of the pools.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    Address(String),
    Port(String),
}

/// What an allocation runs into.
enum Failure {
    Field(Error),
    Status(Status),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Failure::Status(status)
    }
}

impl Registry {
    /// Fills what a service is given; everything else is left as it is. End with [`Registry::settle_allocation`].
    pub(crate) async fn allocate(
        &self,
        resource: &Resource,
        new: &mut dyn AnyObject,
        old: Option<&dyn AnyObject>,
        dry_run: bool,
    ) -> Result<Allocation, Status> {
        let (Some(services), Some(service)) = (&self.services, new.downcast_mut::<Service>()) else {
            return Ok(Allocation::default());
        };
        let old = old.and_then(|o| o.downcast_ref::<Service>());
        services.allocate(&resource.gvk, service, old, dry_run).await
    }

    /// Gives back what is not needed: what was freed when the write happened, what was taken when it did not.
    pub(crate) async fn settle_allocation(&self, allocation: Allocation, happened: bool) {
        let Some(services) = &self.services else { return };
        let names = if happened { allocation.freed } else { allocation.taken };
        for name in names {
            services.give_back(&name, &allocation.owner).await;
        }
    }

    /// Gives back what a deleted service had.
    pub(crate) async fn release(&self, last: &dyn AnyObject) {
        let (Some(services), Some(service)) = (&self.services, last.downcast_ref::<Service>()) else {
            return;
        };
        let owner = owner_of(service);
        for name in held(service) {
            services.give_back(&name, &owner).await;
        }
    }
}

impl Services {
    async fn allocate(
        &self,
        gvk: &Gvk,
        service: &mut Service,
        old: Option<&Service>,
        dry_run: bool,
    ) -> Result<Allocation, Status> {
        let owner = owner_of(service);
        let mut allocation = Allocation { owner: owner.clone(), ..Allocation::default() };
        let done = self.fill(service, old, &owner, dry_run, &mut allocation).await;
        let failure = match done {
            Ok(()) => {
                let now = held(service);
                allocation.freed = old.map(held).unwrap_or_default();
                allocation.freed.retain(|name| !now.contains(name));
                if dry_run {
                    allocation.freed.clear();
                }
                return Ok(allocation);
            }
            Err(failure) => failure,
        };
        for name in &allocation.taken {
            self.give_back(name, &owner).await;
        }
        Err(match failure {
            Failure::Status(status) => status,
            Failure::Field(error) => {
                let errors: ErrorList = [error].into_iter().collect();
                Status::invalid(gvk, service.name(), &errors)
            }
        })
    }

    async fn fill(
        &self,
        service: &mut Service,
        old: Option<&Service>,
        owner: &str,
        dry_run: bool,
        allocation: &mut Allocation,
    ) -> Result<(), Failure> {
        self.fill_addresses(service, old, owner, dry_run, allocation).await?;
        self.fill_ports(service, old, owner, dry_run, allocation).await
    }

    async fn give_back(&self, name: &Name, owner: &str) {
        match name {
            Name::Address(name) => self.addresses.give_back(name, owner).await,
            Name::Port(name) => self.ports.give_back(name, owner).await,
        }
    }
}

/// How the pools know a service.
fn owner_of(service: &Service) -> String {
    format!("{}/{}", service.namespace(), service.name())
}

/// What a service has from the pools.
fn held(service: &Service) -> Vec<Name> {
    let Some(spec) = &service.spec else { return Vec::new() };
    let addresses = addresses::of(spec).into_iter().map(|a| Name::Address(a.to_string()));
    let ports = ports::of(spec).into_iter().map(|p| Name::Port(p.to_string()));
    addresses.chain(ports).collect()
}

fn kind_of(spec: &ServiceSpec) -> &str {
    spec.type_.as_deref().filter(|t| !t.is_empty()).unwrap_or("ClusterIP")
}

fn list_of(addresses: &[String]) -> Raw {
    Raw(serde_json::to_string(addresses).unwrap_or_default())
}

fn path(name: &str) -> Path {
    Path::new("spec").child(name)
}

fn parse(address: &str) -> Option<IpAddr> {
    address.parse().ok()
}

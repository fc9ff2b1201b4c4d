//! Opening a registry: a collection for every stored resource, the allocators, and their repair.

use std::collections::HashMap;
use std::sync::Arc;

use resources::Resource;
use stdx::Random;
use stdx::clock::SharedClock;
use storage::{OpenError, Store};

use crate::registry::Registry;
use crate::rows::{self, Rows};
use crate::services::{ServiceConfig, Services, pool};

/// Why a registry cannot be opened.
#[derive(Debug)]
pub enum Unopened {
    Store(OpenError),
    Repair(apimachinery::Status),
}

impl std::fmt::Display for Unopened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unopened::Store(error) => write!(f, "open the store: {error}"),
            Unopened::Repair(status) => write!(f, "repair the services' allocations: {status}"),
        }
    }
}

impl std::error::Error for Unopened {}

impl From<OpenError> for Unopened {
    fn from(error: OpenError) -> Self {
        Unopened::Store(error)
    }
}

impl Registry {
    /// Opens a collection for each stored resource. Without `services` no addresses or node ports are given out.
    pub async fn open(
        store: &Store,
        resources: Vec<Resource>,
        services: Option<ServiceConfig>,
        clock: SharedClock,
        random: Random,
    ) -> Result<Arc<Registry>, Unopened> {
        let mut collections = HashMap::new();
        for resource in resources.iter().filter(|r| is_stored(r) && r.conversion.is_none()) {
            let name = (resource.gvr.group.clone(), resource.gvr.resource.clone());
            if collections.contains_key(&name) {
                continue;
            }
            let collection = store.collection(rows::spec(resource)).await?;
            collections.insert(name, collection);
        }
        let networking =
            |plural: &str| collections.get(&("networking.k8s.io".into(), plural.into())).cloned();
        let services = match (services, networking("ipaddresses"), networking("servicecidrs")) {
            (None, _, _) => None,
            (Some(config), Some(addresses), Some(ranges)) => {
                forget(store).await?;
                Some(Services {
                    config,
                    ranges,
                    addresses: pool::Pool::of_addresses(addresses, clock.clone(), random.clone()),
                    ports: pool::Pool::new(store.collection(pool::spec("servicenodeports")).await?),
                    random: random.clone(),
                })
            }
            (Some(_), _, _) => {
                let why = "services get addresses only where ipaddresses and servicecidrs are served";
                return Err(Unopened::Repair(apimachinery::Status::internal(why)));
            }
        };
        let registry = Registry::assemble(Rows::new(collections), resources, clock, random, services);
        registry.repair_services().await.map_err(Unopened::Repair)?;
        Ok(Arc::new(registry))
    }
}

/// Removes the records by which addresses were taken before they were IPAddresses; the repair makes these of the services.
async fn forget(store: &Store) -> Result<(), OpenError> {
    let old = pool::Pool::new(store.collection(pool::spec("serviceips")).await?);
    for (name, _) in old.all() {
        old.remove(&name).await;
    }
    Ok(())
}

/// Reviews and the like are answered, never stored.
fn is_stored(resource: &Resource) -> bool {
    resource.verbs.contains(&"get")
}

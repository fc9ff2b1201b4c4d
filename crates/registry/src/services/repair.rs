//! Making records and services agree at start: a crash may have come between the two.

use std::collections::HashMap;

use codec::Kind as _;
use k8s_openapi::api::core::v1::Service;

use super::pool::Pool;
use super::{Name, held};
use crate::registry::Registry;

impl Registry {
    /// Gives back what no service has, and records what services have. Run before the first request is served.
    pub(crate) async fn repair_services(&self) -> Result<(), apimachinery::Status> {
        let (Some(services), Some(resource)) = (&self.services, self.resource("", "v1", "services")) else {
            return Ok(());
        };
        let (mut addresses, mut ports) = (HashMap::new(), HashMap::new());
        let snapshot = self.rows.cache(resource)?.snapshot();
        for object in snapshot.iter(None, None) {
            let Ok(service) = Service::from_json(object.json()) else {
                tracing::warn!(key = %object.key, "a stored service cannot be read");
                continue;
            };
            for name in held(&service) {
                let (known, name) = match name {
                    Name::Address(name) => (&mut addresses, name),
                    Name::Port(name) => (&mut ports, name),
                };
                if let Some(other) = known.insert(name.clone(), object.key.to_string()) {
                    tracing::error!(name, a = %object.key, b = other, "two services have the same");
                }
            }
        }
        agree(&services.addresses, &addresses).await;
        agree(&services.ports, &ports).await;
        Ok(())
    }
}

async fn agree(pool: &Pool, held: &HashMap<String, String>) {
    for (name, owner) in pool.all() {
        if !held.contains_key(&name) {
            tracing::info!(name, owner, "no service has it: given back");
            pool.remove(&name).await;
        }
    }
    for (name, owner) in held {
        if !pool.is_owned(name, owner) {
            tracing::info!(name, owner, "recorded as taken");
            pool.remove(name).await;
            let _ = pool.take(name, owner).await;
        }
    }
}

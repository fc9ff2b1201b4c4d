//! Which pods stand behind a service, as endpoint slices and in the older form. Start at [`members::members`] (who, on which ports),
//! then [`slices`] and [`legacy`] (how it is written down);
//! [`mirror`] for those that are written by hand.

pub mod legacy;
pub mod members;
pub mod mirror;
pub mod slices;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use apimachinery::{ObjectKey, Selector};
use client::transport::Change;
use client::{Informer, WorkQueue};
use codec::Kind;
use k8s_openapi::api::core::v1::{Pod, Service};

use crate::context::{Component, object};

/// Marks a service without a cluster address.
const HEADLESS: &str = "service.kubernetes.io/headless";

/// What both forms read.
struct Source {
    services: Informer<Service>,
    pods: Informer<Pod>,
}

impl Source {
    fn new(component: &Component) -> Self {
        Source { services: component.informer(), pods: component.informer() }
    }

    /// Wakes the services that a change of services or pods concerns.
    fn wake(self: &Arc<Self>, component: &Component, queue: &WorkQueue<ObjectKey>) {
        let woken = queue.clone();
        component.on(&self.services, move |change| {
            if let Some(service) = object(change) {
                woken.add(service.key.clone());
            }
        });
        let (woken, source) = (queue.clone(), self.clone());
        component.on(&self.pods, move |change| {
            source.services_of(change).into_iter().for_each(|key| woken.add(key));
        });
    }

    fn services_of(&self, change: &Change) -> Vec<ObjectKey> {
        let Some(pod) = object(change) else { return Vec::new() };
        let seen = [&change.old, &change.new];
        let services = self.services.list(&pod.key.namespace).into_iter().filter(|service| {
            selector(service).is_some_and(|s| seen.into_iter().flatten().any(|pod| s.matches(&pod.meta)))
        });
        services.map(|s| ObjectKey::new(s.namespace(), s.name())).collect()
    }

    /// The pods that a service selects.
    fn pods_of(&self, service: &Service, selector: &Selector) -> Vec<Pod> {
        self.pods.list_where(service.namespace(), |meta| selector.matches(meta))
    }
}

/// `None`: its endpoints are somebody else's business.
fn selector(service: &Service) -> Option<Selector> {
    let spec = service.spec.as_ref()?;
    let labels = spec.selector.as_ref().filter(|labels| !labels.is_empty())?;
    (spec.type_.as_deref() != Some("ExternalName")).then(|| Selector::from_set(labels))
}

/// The service's own labels, and what says that it is headless.
fn labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    let headless = service.spec.as_ref().is_some_and(|s| s.cluster_ip.as_deref() == Some("None"));
    match headless {
        true => drop(labels.insert(HEADLESS.into(), String::new())),
        false => drop(labels.remove(HEADLESS)),
    }
    labels
}

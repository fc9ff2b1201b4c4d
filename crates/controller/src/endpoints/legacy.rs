//! Endpoints, the older form: one object for a service, named as it. Start at [`desired`].

use std::sync::Arc;

use anyhow::Context as _;
use apimachinery::ObjectKey;
use client::{Api, DeleteOptions, Informer, Requeue, WorkQueue};
use codec::Kind;
use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Pod, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use resources::owner::ObjectMetaExt;

use super::Source;
use super::members::{Member, Port, members};
use crate::context::{Component, object, synced};

/// More do not fit one object well; the annotation says that some are missing.
const ADDRESSES_MAX: usize = 1000;
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";

struct Controller {
    source: Arc<Source>,
    endpoints: Informer<Endpoints>,
    api: Api<Endpoints>,
}

pub fn start(component: Component) {
    let controller = Arc::new(Controller {
        source: Arc::new(Source::new(&component)),
        endpoints: component.informer(),
        api: component.api(),
    });
    let queue: WorkQueue<ObjectKey> = component.queue();
    controller.source.wake(&component, &queue);
    let woken = queue.clone();
    component.on(&controller.endpoints, move |change| {
        if let Some(endpoints) = object(change) {
            woken.add(endpoints.key.clone());
        }
    });
    let source = &controller.source;
    let wait = vec![synced(&source.services), synced(&source.pods), synced(&controller.endpoints)];
    component.run(wait, &queue, 5, move |key| {
        let controller = controller.clone();
        async move { controller.reconcile(&key).await }
    });
}

impl Controller {
    async fn reconcile(&self, key: &ObjectKey) -> anyhow::Result<Requeue> {
        let observed = self.endpoints.get(key);
        let Some(service) = self.source.services.get(key).filter(|s| !s.metadata.is_deleting()) else {
            let ours = observed.filter(|e| e.metadata.label(MANAGED_BY).is_some());
            let Some(endpoints) = ours else { return Ok(Requeue::Never) };
            let options = DeleteOptions::uid(endpoints.uid());
            return match self.api.delete(&key.namespace, &key.name, &options).await {
                Err(e) if !e.is_not_found() => Err(e).context("delete endpoints"),
                _ => Ok(Requeue::Never),
            };
        };
        let Some(selector) = super::selector(&service) else { return Ok(Requeue::Never) };
        let want = desired(&service, &self.source.pods_of(&service, &selector));
        let done = match observed {
            None => self.api.create(&want).await,
            Some(have) if same(&have, &want) => return Ok(Requeue::Never),
            Some(mut have) => {
                have.subsets = want.subsets;
                have.metadata.labels = want.metadata.labels;
                let annotations = have.metadata.annotations.get_or_insert_default();
                annotations.remove(OVER_CAPACITY);
                annotations.extend(want.metadata.annotations.unwrap_or_default());
                self.api.update(&have).await
            }
        };
        match done {
            Err(e) if e.is_already_exists() || e.is_not_found() => Ok(Requeue::Never),
            Err(e) if crate::replicas::is_namespace_terminating(&e) => Ok(Requeue::Never),
            result => result.map(|_| Requeue::Never).context("write endpoints"),
        }
    }
}

fn same(have: &Endpoints, want: &Endpoints) -> bool {
    let over = |e: &Endpoints| e.metadata.annotation(OVER_CAPACITY).map(str::to_owned);
    have.subsets.as_deref().unwrap_or_default() == want.subsets.as_deref().unwrap_or_default()
        && have.metadata.labels == want.metadata.labels
        && over(have) == over(want)
}

/// The object as it should be. Pods on their way out are left out, unless the service wants all.
pub fn desired(service: &Service, pods: &[Pod]) -> Endpoints {
    let family = service.spec.as_ref().and_then(|s| s.ip_families.as_ref()?.first().cloned());
    let all = members(service, pods, family.as_deref().unwrap_or("IPv4"));
    let everybody = service.spec.as_ref().is_some_and(|s| s.publish_not_ready_addresses == Some(true));
    let mut left = ADDRESSES_MAX;
    let mut truncated = false;
    let mut subsets = Vec::new();
    for (ports, members) in all {
        let members = members.into_iter().filter(|m| everybody || !m.terminating);
        let (ready, waiting): (Vec<_>, Vec<_>) = members.partition(|m| m.ready);
        let mut take = |members: Vec<Member>| {
            truncated |= members.len() > left;
            let taken: Vec<_> = members.into_iter().take(left).map(address).collect();
            left -= taken.len();
            (!taken.is_empty()).then_some(taken)
        };
        let subset = EndpointSubset {
            addresses: take(ready),
            not_ready_addresses: take(waiting),
            ports: (!ports.is_empty()).then(|| ports.into_iter().map(port).collect()),
        };
        if subset.addresses.is_some() || subset.not_ready_addresses.is_some() {
            subsets.push(subset);
        }
    }
    let mut labels = super::labels(service);
    labels.insert(MANAGED_BY.into(), "endpoint-controller".into());
    Endpoints {
        metadata: ObjectMeta {
            name: service.metadata.name.clone(),
            namespace: service.metadata.namespace.clone(),
            labels: Some(labels),
            annotations: truncated.then(|| [(OVER_CAPACITY.to_owned(), "truncated".to_owned())].into()),
            ..ObjectMeta::default()
        },
        subsets: (!subsets.is_empty()).then_some(subsets),
    }
}

fn address(member: Member) -> EndpointAddress {
    EndpointAddress {
        ip: member.address,
        hostname: member.hostname,
        node_name: member.node,
        target_ref: Some(member.target),
    }
}

fn port(port: Port) -> EndpointPort {
    EndpointPort {
        name: (!port.name.is_empty()).then_some(port.name),
        protocol: Some(port.protocol),
        port: port.port,
        app_protocol: port.app_protocol,
    }
}

//! EndpointSlices of Endpoints that somebody wrote by hand, for services that select no pods. Start at [`mirrored`].
//!
//! Contract: <https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/#endpointslice-mirroring>.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use apimachinery::ObjectKey;
use client::{Informer, Requeue, WorkQueue};
use codec::Kind;
use k8s_openapi::api::core::v1::{EndpointAddress, EndpointSubset, Endpoints, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use resources::owner::{ObjectMetaExt, controller_ref};

use super::slices::{ENDPOINTS_MAX, MANAGED_BY, SERVICE_NAME, Slices};
use crate::context::{Component, object, synced};

/// Upstream's `--mirroring-max-endpoints-per-subset`: the rest is left out.
const MIRRORED_MAX: usize = 1000;
const US: &str = "endpointslicemirroring-controller.k8s.io";
const SKIP: &str = "endpointslice.kubernetes.io/skip-mirror";
/// Endpoints that old leader elections keep their lock in.
const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";
/// Annotations that are about the Endpoints object itself.
const NOT_COPIED: [&str; 2] =
    ["endpoints.kubernetes.io/last-change-trigger-time", "kubectl.kubernetes.io/last-applied-configuration"];

struct Controller {
    services: Informer<Service>,
    endpoints: Informer<Endpoints>,
    slices: Arc<Slices>,
}

pub fn start(component: Component) {
    let controller = Arc::new(Controller {
        services: component.informer(),
        endpoints: component.informer(),
        slices: Slices::new(&component, US),
    });
    let queue: WorkQueue<ObjectKey> = component.queue();
    let woken = queue.clone();
    component.on(&controller.services, move |change| {
        if let Some(service) = object(change) {
            woken.add(service.key.clone());
        }
    });
    let woken = queue.clone();
    component.on(&controller.endpoints, move |change| {
        if let Some(endpoints) = object(change) {
            woken.add(endpoints.key.clone());
        }
    });
    controller.slices.wake(&component, &queue);
    let wait =
        vec![synced(&controller.services), synced(&controller.endpoints), synced(&controller.slices.slices)];
    component.run(wait, &queue, 5, move |key| {
        let controller = controller.clone();
        async move { controller.reconcile(&key).await }
    });
}

impl Controller {
    async fn reconcile(&self, key: &ObjectKey) -> anyhow::Result<Requeue> {
        let endpoints = self.endpoints.get(key).filter(|e| !e.metadata.is_deleting());
        let desired = match (self.services.get(key), endpoints) {
            (Some(service), Some(endpoints)) if wanted(&service, &endpoints) => {
                mirrored(&service, &endpoints)
            }
            _ => Vec::new(),
        };
        if desired.is_empty() {
            self.slices.forget(key);
        }
        self.slices.write(key, desired).await?;
        Ok(Requeue::Never)
    }
}

/// Whether these are somebody's own, for a service that has no other.
fn wanted(service: &Service, endpoints: &Endpoints) -> bool {
    let selects = service.spec.as_ref().is_some_and(|s| s.selector.as_ref().is_some_and(|s| !s.is_empty()));
    !selects
        && endpoints.metadata.label(SKIP) != Some("true")
        && endpoints.metadata.annotation(LEADER).is_none()
}

/// The slices, without names: by family and ports, as the subsets say.
pub fn mirrored(service: &Service, endpoints: &Endpoints) -> Vec<EndpointSlice> {
    let mut groups: BTreeMap<(&str, String), (Vec<EndpointPort>, Vec<Endpoint>)> = BTreeMap::new();
    for subset in endpoints.subsets.iter().flatten() {
        let ports = ports(subset);
        // Ports have no order of their own; their text does.
        let name = ports.iter().map(|p| format!("{p:?}")).collect::<String>();
        for (address, ready) in addresses(subset).take(MIRRORED_MAX) {
            let Some(family) = family(&address.ip) else { continue };
            let (_, group) =
                groups.entry((family, name.clone())).or_insert_with(|| (ports.clone(), Vec::new()));
            group.push(endpoint(address, ready));
        }
    }
    let slices = groups.into_iter().flat_map(|((family, _), (ports, members))| {
        let chunks: Vec<_> = members.chunks(ENDPOINTS_MAX).map(<[_]>::to_vec).collect();
        chunks.into_iter().map(move |members| (family, ports.clone(), members))
    });
    slices
        .map(|(family, ports, members)| EndpointSlice {
            metadata: metadata(service, endpoints),
            address_type: family.to_owned(),
            endpoints: Some(members),
            ports: (!ports.is_empty()).then_some(ports),
        })
        .collect()
}

fn metadata(service: &Service, endpoints: &Endpoints) -> ObjectMeta {
    let mut labels = endpoints.metadata.labels.clone().unwrap_or_default();
    labels.insert(SERVICE_NAME.into(), service.name().to_owned());
    labels.insert(MANAGED_BY.into(), US.into());
    let mut annotations = endpoints.metadata.annotations.clone().unwrap_or_default();
    annotations.retain(|name, _| !NOT_COPIED.contains(&name.as_str()));
    ObjectMeta {
        generate_name: Some(format!("{}-", endpoints.name())),
        namespace: Some(endpoints.namespace().to_owned()),
        labels: Some(labels),
        annotations: (!annotations.is_empty()).then_some(annotations),
        owner_references: Some(vec![controller_ref(endpoints)]),
        ..ObjectMeta::default()
    }
}

/// The ready ones first.
fn addresses(subset: &EndpointSubset) -> impl Iterator<Item = (&EndpointAddress, bool)> {
    let ready = subset.addresses.iter().flatten().map(|a| (a, true));
    ready.chain(subset.not_ready_addresses.iter().flatten().map(|a| (a, false)))
}

fn family(address: &str) -> Option<&'static str> {
    Some(match address.parse::<IpAddr>().ok()? {
        IpAddr::V4(_) => "IPv4",
        IpAddr::V6(_) => "IPv6",
    })
}

fn endpoint(address: &EndpointAddress, ready: bool) -> Endpoint {
    Endpoint {
        addresses: vec![address.ip.clone()],
        conditions: Some(EndpointConditions { ready: Some(ready), ..EndpointConditions::default() }),
        hostname: address.hostname.clone(),
        node_name: address.node_name.clone(),
        target_ref: address.target_ref.clone(),
        ..Endpoint::default()
    }
}

fn ports(subset: &EndpointSubset) -> Vec<EndpointPort> {
    let ports = subset.ports.iter().flatten().map(|port| EndpointPort {
        name: Some(port.name.clone().unwrap_or_default()),
        protocol: port.protocol.clone(),
        port: Some(port.port),
        app_protocol: port.app_protocol.clone(),
    });
    ports.collect()
}

//! EndpointSlices, at most a hundred endpoints each. Start at [`diff`].

use std::sync::Arc;

use anyhow::Context as _;
use apimachinery::ObjectKey;
use client::{Api, DeleteOptions, Informer, Requeue, WorkQueue};
use codec::Kind;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use resources::owner::{ObjectMetaExt, controller_ref};

use super::Source;
use super::members::{Member, Port, members};
use crate::context::{Component, object, synced};
use crate::expectations::Expectations;

/// Upstream's `--max-endpoints-per-slice`.
const ENDPOINTS_MAX: usize = 100;
const SERVICE_NAME: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const US: &str = "endpointslice-controller.k8s.io";

struct Controller {
    source: Arc<Source>,
    slices: Informer<EndpointSlice>,
    api: Api<EndpointSlice>,
    /// A new slice has no name that a second try would run into.
    expectations: Expectations,
}

pub fn start(component: Component) {
    let controller = Arc::new(Controller {
        source: Arc::new(Source::new(&component)),
        slices: component.informer(),
        api: component.api(),
        expectations: Expectations::new(component.clock.clone()),
    });
    let queue: WorkQueue<ObjectKey> = component.queue();
    controller.source.wake(&component, &queue);
    let (woken, on_slice) = (queue.clone(), controller.clone());
    component.on(&controller.slices, move |change| {
        let Some(slice) = object(change) else { return };
        let Some(service) = slice.meta.label(SERVICE_NAME) else { return };
        let key = ObjectKey::new(&slice.key.namespace, service);
        if change.old.is_none() && slice.meta.label(MANAGED_BY) == Some(US) {
            on_slice.expectations.created(&key);
        }
        woken.add(key);
    });
    let source = &controller.source;
    let wait = vec![synced(&source.services), synced(&source.pods), synced(&controller.slices)];
    component.run(wait, &queue, 5, move |key| {
        let controller = controller.clone();
        async move { controller.reconcile(&key).await }
    });
}

impl Controller {
    async fn reconcile(&self, key: &ObjectKey) -> anyhow::Result<Requeue> {
        let service = self.source.services.get(key).filter(|s| !s.metadata.is_deleting());
        let Some(service) = service else {
            // The garbage collector takes the slices with their owner.
            self.expectations.forget(key);
            return Ok(Requeue::Never);
        };
        let Some(selector) = super::selector(&service) else { return Ok(Requeue::Never) };
        if !self.expectations.satisfied(key) {
            return Ok(Requeue::Never);
        }
        let observed = self.slices.list_where(&key.namespace, |meta| {
            meta.label(SERVICE_NAME) == Some(&key.name)
                && meta.label(MANAGED_BY) == Some(US)
                && !meta.deleting
        });
        let pods = self.source.pods_of(&service, &selector);
        let mut desired = Vec::new();
        for family in families(&service) {
            desired.extend(slices(&service, &family, &members(&service, &pods, &family)));
        }
        let actions = diff(desired, observed);
        let created = actions.iter().filter(|a| matches!(a, Action::Create(_))).count();
        self.expectations.expect(key, created, []);
        for (done, action) in actions.into_iter().enumerate() {
            if let Err(status) = self.act(action).await {
                // Creations come first; those that did not happen will not be seen.
                (done..created).for_each(|_| self.expectations.created(key));
                return match status.is_not_found() || crate::replicas::is_namespace_terminating(&status) {
                    true => Ok(Requeue::Never),
                    false => Err(status).context("write endpoint slices"),
                };
            }
        }
        Ok(Requeue::Never)
    }

    async fn act(&self, action: Action) -> Result<(), apimachinery::Status> {
        match action {
            Action::Create(slice) => self.api.create(&slice).await.map(drop),
            Action::Update(slice) => self.api.update(&slice).await.map(drop),
            Action::Delete(slice) => {
                match self.api.delete(slice.namespace(), slice.name(), &DeleteOptions::uid(slice.uid())).await
                {
                    Err(e) if !e.is_not_found() => Err(e),
                    _ => Ok(()),
                }
            }
        }
    }
}

fn families(service: &Service) -> Vec<String> {
    let families = service.spec.as_ref().and_then(|s| s.ip_families.clone()).unwrap_or_default();
    if families.is_empty() { vec!["IPv4".into()] } else { families }
}

/// The slices of one family as they should be, without names.
fn slices(
    service: &Service,
    family: &str,
    members: &std::collections::BTreeMap<Vec<Port>, Vec<Member>>,
) -> Vec<EndpointSlice> {
    let mut all = Vec::new();
    for (ports, members) in members {
        all.extend(members.chunks(ENDPOINTS_MAX).map(|chunk| slice(service, family, ports, chunk)));
    }
    if all.is_empty() {
        // An empty one says that nobody is there, rather than that nobody has looked.
        all.push(slice(service, family, &[], &[]));
    }
    all
}

fn slice(service: &Service, family: &str, ports: &[Port], members: &[Member]) -> EndpointSlice {
    let mut labels = super::labels(service);
    labels.insert(SERVICE_NAME.into(), service.name().to_owned());
    labels.insert(MANAGED_BY.into(), US.into());
    EndpointSlice {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", service.name())),
            namespace: Some(service.namespace().to_owned()),
            labels: Some(labels),
            owner_references: Some(vec![controller_ref(service)]),
            ..ObjectMeta::default()
        },
        address_type: family.to_owned(),
        endpoints: (!members.is_empty()).then(|| members.iter().map(endpoint).collect()),
        ports: (!ports.is_empty()).then(|| ports.iter().map(port).collect()),
    }
}

fn endpoint(member: &Member) -> Endpoint {
    Endpoint {
        addresses: vec![member.address.clone()],
        conditions: Some(EndpointConditions {
            ready: Some(member.ready),
            serving: Some(member.serving),
            terminating: Some(member.terminating),
        }),
        hostname: member.hostname.clone(),
        node_name: member.node.clone(),
        target_ref: Some(member.target.clone()),
        ..Endpoint::default()
    }
}

fn port(port: &Port) -> EndpointPort {
    EndpointPort {
        name: Some(port.name.clone()),
        protocol: Some(port.protocol.clone()),
        port: Some(port.port),
        app_protocol: port.app_protocol.clone(),
    }
}

#[derive(Debug, PartialEq)]
pub enum Action {
    Create(EndpointSlice),
    Update(EndpointSlice),
    Delete(EndpointSlice),
}

/// Creations first. A slice keeps its name as long as its family and ports stay.
pub fn diff(desired: Vec<EndpointSlice>, mut observed: Vec<EndpointSlice>) -> Vec<Action> {
    let (mut creations, mut others) = (Vec::new(), Vec::new());
    for mut want in desired {
        let same = |have: &EndpointSlice| have.address_type == want.address_type && have.ports == want.ports;
        let Some(at) = observed.iter().position(same) else {
            creations.push(Action::Create(want));
            continue;
        };
        let have = observed.remove(at);
        if have.endpoints.as_deref().unwrap_or_default() == want.endpoints.as_deref().unwrap_or_default()
            && have.metadata.labels == want.metadata.labels
        {
            continue;
        }
        let labels = want.metadata.labels.take();
        want.metadata = ObjectMeta { labels, ..have.metadata };
        others.push(Action::Update(want));
    }
    others.extend(observed.into_iter().map(Action::Delete));
    creations.extend(others);
    creations
}

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
pub(super) const ENDPOINTS_MAX: usize = 100;
pub(super) const SERVICE_NAME: &str = "kubernetes.io/service-name";
pub(super) const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const US: &str = "endpointslice-controller.k8s.io";

/// The slices of one writer: others' are never touched.
pub(super) struct Slices {
    pub slices: Informer<EndpointSlice>,
    api: Api<EndpointSlice>,
    /// A new slice has no name that a second try would run into.
    expectations: Expectations,
    /// What they are labelled with.
    manager: &'static str,
}

impl Slices {
    pub fn new(component: &Component, manager: &'static str) -> Arc<Self> {
        Arc::new(Slices {
            slices: component.informer(),
            api: component.api(),
            expectations: Expectations::new(component.clock.clone()),
            manager,
        })
    }

    /// Wakes the service of a slice that changes.
    pub fn wake(self: &Arc<Self>, component: &Component, queue: &WorkQueue<ObjectKey>) {
        let (woken, ours) = (queue.clone(), self.clone());
        component.on(&self.slices, move |change| {
            let Some(slice) = object(change) else { return };
            let Some(service) = slice.meta.label(SERVICE_NAME) else { return };
            let key = ObjectKey::new(&slice.key.namespace, service);
            if change.old.is_none() && slice.meta.label(MANAGED_BY) == Some(ours.manager) {
                ours.expectations.created(&key);
            }
            woken.add(key);
        });
    }

    /// There will be no more of this service's.
    pub fn forget(&self, service: &ObjectKey) {
        self.expectations.forget(service);
    }

    /// Writes what differs. Does nothing while creations of before have not been seen.
    pub async fn write(&self, service: &ObjectKey, desired: Vec<EndpointSlice>) -> anyhow::Result<()> {
        if !self.expectations.satisfied(service) {
            return Ok(());
        }
        let observed = self.slices.list_where(&service.namespace, |meta| {
            meta.label(SERVICE_NAME) == Some(&service.name)
                && meta.label(MANAGED_BY) == Some(self.manager)
                && !meta.deleting
        });
        let actions = diff(desired, observed);
        let created = actions.iter().filter(|a| matches!(a, Action::Create(_))).count();
        self.expectations.expect(service, created, []);
        for (done, action) in actions.into_iter().enumerate() {
            if let Err(status) = self.act(action).await {
                // Creations come first; those that did not happen will not be seen.
                (done..created).for_each(|_| self.expectations.created(service));
                return match status.is_not_found() || crate::replicas::is_namespace_terminating(&status) {
                    true => Ok(()),
                    false => Err(status).context("write endpoint slices"),
                };
            }
        }
        Ok(())
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

struct Controller {
    source: Arc<Source>,
    slices: Arc<Slices>,
}

pub fn start(component: Component) {
    let controller = Arc::new(Controller {
        source: Arc::new(Source::new(&component)),
        slices: Slices::new(&component, US),
    });
    let queue: WorkQueue<ObjectKey> = component.queue();
    controller.source.wake(&component, &queue);
    controller.slices.wake(&component, &queue);
    let source = &controller.source;
    let wait = vec![synced(&source.services), synced(&source.pods), synced(&controller.slices.slices)];
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
            self.slices.forget(key);
            return Ok(Requeue::Never);
        };
        let Some(selector) = super::selector(&service) else { return Ok(Requeue::Never) };
        let pods = self.source.pods_of(&service, &selector);
        let mut desired = Vec::new();
        for family in families(&service) {
            desired.extend(slices(&service, &family, &members(&service, &pods, &family)));
        }
        self.slices.write(key, desired).await?;
        Ok(Requeue::Never)
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
            && want
                .metadata
                .annotations
                .as_ref()
                .is_none_or(|a| have.metadata.annotations.as_ref() == Some(a))
        {
            continue;
        }
        let (labels, annotations) = (want.metadata.labels.take(), want.metadata.annotations.take());
        let annotations = annotations.or_else(|| have.metadata.annotations.clone());
        want.metadata = ObjectMeta { labels, annotations, ..have.metadata };
        others.push(Action::Update(want));
    }
    others.extend(observed.into_iter().map(Action::Delete));
    creations.extend(others);
    creations
}

//! Containers and claims within their namespace's limits, with its defaults where they ask for nothing.

mod bounds;

use apimachinery::Status;
use async_trait::async_trait;
use client::Informer;
use k8s_openapi::api::core::v1::{Container, LimitRange, PersistentVolumeClaim, Pod};
use registry::admit::{Attributes, Operation};
use resources::quantity::ResourceList;

use crate::ask;
use crate::chain::{Context, Plugin};

const ANNOTATION: &str = "kubernetes.io/limit-ranger";

pub(crate) struct LimitRanger {
    ranges: Informer<LimitRange>,
}

impl LimitRanger {
    pub(crate) fn new(context: &Context) -> Self {
        LimitRanger { ranges: Informer::all(&*context.transport) }
    }

    fn ranges(&self, a: &Attributes<'_>) -> Vec<LimitRange> {
        if a.namespace.is_empty() { Vec::new() } else { self.ranges.list(a.namespace) }
    }
}

/// Containers of a pod change only through `resize`; what is on its way out is let go.
fn concerns(a: &Attributes<'_>) -> bool {
    let part = match a.subresource {
        "" => ask::is::<PersistentVolumeClaim>(a) || ask::is::<Pod>(a) && a.operation == Operation::Create,
        "resize" => ask::is::<Pod>(a),
        _ => false,
    };
    let leaving = a.old.is_some_and(|o| o.object_meta().deletion_timestamp.is_some());
    part && matches!(a.operation, Operation::Create | Operation::Update) && !leaving
}

#[async_trait]
impl Plugin for LimitRanger {
    async fn mutate(&self, a: &mut Attributes<'_>) -> Result<(), Status> {
        if !concerns(a) || a.operation != Operation::Create {
            return Ok(());
        }
        let ranges = self.ranges(a);
        let Some(pod) = ask::object_mut::<Pod>(a) else { return Ok(()) };
        for range in &ranges {
            fill(pod, range);
        }
        Ok(())
    }

    async fn validate(&self, a: &Attributes<'_>) -> Result<(), Status> {
        if !concerns(a) {
            return Ok(());
        }
        for range in self.ranges(a) {
            let mut faults = Vec::new();
            if let Some(pod) = ask::object::<Pod>(a) {
                faults = bounds::pod(pod, &range);
            } else if let Some(claim) = ask::object::<PersistentVolumeClaim>(a) {
                faults = bounds::claim(claim, &range);
            }
            faults.dedup();
            match &faults[..] {
                [] => {}
                [one] => return Err(ask::forbidden(a, one)),
                many => return Err(ask::forbidden(a, format!("[{}]", many.join(", ")))),
            }
        }
        Ok(())
    }
}

/// The defaults of one range, noted in an annotation.
fn fill(pod: &mut Pod, range: &LimitRange) {
    let (mut requests, mut limits) = (ResourceList::new(), ResourceList::new());
    for item in range.spec.iter().flat_map(|s| &s.limits).filter(|i| i.type_ == "Container") {
        requests.extend(item.default_request.clone().unwrap_or_default());
        limits.extend(item.default.clone().unwrap_or_default());
    }
    let mut notes = Vec::new();
    let spec = pod.spec.get_or_insert_default();
    for container in &mut spec.containers {
        fill_container(container, "container", &requests, &limits, &mut notes);
    }
    for container in spec.init_containers.iter_mut().flatten() {
        fill_container(container, "init container", &requests, &limits, &mut notes);
    }
    if !notes.is_empty() {
        let annotations = pod.metadata.annotations.get_or_insert_default();
        annotations.insert(ANNOTATION.into(), format!("LimitRanger plugin set: {}", notes.join("; ")));
    }
}

fn fill_container(
    container: &mut Container,
    what: &str,
    requests: &ResourceList,
    limits: &ResourceList,
    notes: &mut Vec<String>,
) {
    let resources = container.resources.get_or_insert_default();
    let set = |into: &mut Option<ResourceList>, defaults: &ResourceList| {
        let mut set = Vec::new();
        for (resource, amount) in defaults {
            let list = into.get_or_insert_default();
            if !list.contains_key(resource) {
                list.insert(resource.clone(), amount.clone());
                set.push(resource.as_str());
            }
        }
        set.join(", ")
    };
    let (limited, requested) = (set(&mut resources.limits, limits), set(&mut resources.requests, requests));
    for (list, kind) in [(requested, "request"), (limited, "limit")] {
        if !list.is_empty() {
            notes.push(format!("{list} {kind} for {what} {}", container.name));
        }
    }
}

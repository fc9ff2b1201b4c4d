//! How much a pod asks for and may use.
//!
//! Init containers run one after the other before the rest, so the largest of them counts, not their sum; a sidecar
//! stays, so it counts beside whatever comes after it.

use std::collections::BTreeMap;

use apimachinery::Quantity;
use k8s_openapi::api::core::v1::{Container, PodSpec};

use super::ContainerExt;
use crate::quantity::{Amounts, ResourceList};

/// What has to be free on a node: containers or pod-level requests, and the overhead.
pub fn pod_requests(spec: &PodSpec) -> Amounts {
    let mut total = container_requests(spec);
    overlay(&mut total, spec.resources.as_ref().and_then(|r| r.requests.as_ref()));
    total.add(&Amounts::of(spec.overhead.as_ref()));
    total
}

/// The limits of the whole pod. Overhead is added to what is limited.
pub fn pod_limits(spec: &PodSpec) -> Amounts {
    let mut total = container_limits(spec);
    overlay(&mut total, spec.resources.as_ref().and_then(|r| r.limits.as_ref()));
    for (resource, overhead) in Amounts::of(spec.overhead.as_ref()).0 {
        if let Some(limit) = total.0.get_mut(&resource).filter(|l| !l.is_zero()) {
            *limit += overhead;
        }
    }
    total
}

/// Without overhead and pod-level requests.
pub fn container_requests(spec: &PodSpec) -> Amounts {
    at_peak(spec, ContainerExt::requests)
}

/// Without overhead and pod-level limits.
pub fn container_limits(spec: &PodSpec) -> Amounts {
    at_peak(spec, ContainerExt::limits)
}

/// Amounts that can be added up and compared.
pub trait Sum: Clone + Default {
    /// Adds `other`, resource by resource.
    fn add(&mut self, other: &Self);
    /// Takes the larger of both, resource by resource.
    fn raise_to(&mut self, other: &Self);
}

impl Sum for Amounts {
    fn add(&mut self, other: &Self) {
        Amounts::add(self, other);
    }

    fn raise_to(&mut self, other: &Self) {
        Amounts::raise_to(self, other);
    }
}

/// What the containers take together when they take most: the sum of containers and sidecars, or more if an init container
/// takes more, with the sidecars before it.
/// <https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#resource-sharing-within-containers>
pub fn at_peak<A: Sum>(spec: &PodSpec, of: impl Fn(&Container) -> A) -> A {
    let mut total = A::default();
    for container in &spec.containers {
        total.add(&of(container));
    }
    let (mut sidecars, mut peak) = (A::default(), A::default());
    for container in spec.init_containers.iter().flatten() {
        let mut amounts = of(container);
        if container.is_restartable_init() {
            total.add(&amounts);
            sidecars.add(&amounts);
            amounts = sidecars.clone();
        } else {
            amounts.add(&sidecars);
        }
        peak.raise_to(&amounts);
    }
    total.raise_to(&peak);
    total
}

/// Pod-level amounts stand instead of the containers'.
fn overlay(total: &mut Amounts, pod_level: Option<&ResourceList>) {
    for (resource, amount) in Amounts::of(pod_level).0 {
        if is_pod_level(&resource) {
            total.0.insert(resource, amount);
        }
    }
}

/// Resources that `spec.resources` of a pod may name.
pub fn is_pod_level(resource: &str) -> bool {
    matches!(resource, "cpu" | "memory") || resource.starts_with("hugepages-")
}

/// `Guaranteed` when every container's cpu and memory are limited to what they request, `BestEffort` when nothing is
/// asked for, else `Burstable`. Pod-level resources count instead of the containers' where they are set.
pub fn qos_class(spec: &PodSpec) -> &'static str {
    let mut requests = BTreeMap::new();
    let mut limits = BTreeMap::new();
    let mut all_limited = true;
    let mut count = |request: Amounts, limit: Amounts| {
        sum_compute(&mut requests, &request);
        all_limited &= sum_compute(&mut limits, &limit) == 2;
    };
    match spec
        .resources
        .as_ref()
        .filter(|r| has_compute(r.requests.as_ref()) || has_compute(r.limits.as_ref()))
    {
        Some(pod) => count(Amounts::of(pod.requests.as_ref()), Amounts::of(pod.limits.as_ref())),
        None => {
            for container in spec.containers.iter().chain(spec.init_containers.iter().flatten()) {
                count(container.requests(), container.limits());
            }
        }
    }
    if requests.is_empty() && limits.is_empty() {
        "BestEffort"
    } else if all_limited && requests == limits {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

fn has_compute(list: Option<&ResourceList>) -> bool {
    list.is_some_and(|l| l.keys().any(|k| is_pod_level(k)))
}

/// Adds cpu and memory where positive; how many of the two there were.
fn sum_compute(into: &mut BTreeMap<&'static str, Quantity>, amounts: &Amounts) -> usize {
    let positive = ["cpu", "memory"].into_iter().filter(|r| amounts.get(r).signum() > 0);
    positive.map(|r| *into.entry(r).or_default() += amounts.get(r)).count()
}

#[cfg(test)]
mod tests;

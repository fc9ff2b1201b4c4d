//! What an object uses of a quota. The admission plugin asks before a write, the controller for what is stored.

use std::collections::BTreeMap;

use apimachinery::quantity::Format;
use apimachinery::{Gvr, Quantity};
use codec::AnyObject;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container, PersistentVolumeClaim, Pod, ResourceQuota, Service};

use super::scope::{self, Facts};
use crate::core::pod::requests::{pod_limits, pod_requests};
use crate::core::pod::validation::resources::is_extended;
use crate::core::pod::{ContainerExt, PodExt};
use crate::quantity::{Amounts, QuantityExt};

/// Kinds of the core group whose number has a name of its own, besides `count/…`.
pub const NAMED: &[&str] = &[
    "pods",
    "services",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
];

/// `count/…` of a resource: `count/secrets`, `count/deployments.apps`.
pub fn count_name(gvr: &Gvr) -> String {
    match &*gvr.group {
        "" => format!("count/{}", gvr.resource),
        group => format!("count/{}.{group}", gvr.resource),
    }
}

/// One object as quotas see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    pub amounts: Amounts,
    pub facts: Facts,
}

/// What an object of the resource uses. Objects of most kinds are only counted.
pub fn of(gvr: &Gvr, object: &dyn AnyObject, now: Timestamp) -> Use {
    if let Some(pod) = object.downcast_ref::<Pod>() {
        return Use { amounts: pod_usage(pod, now), facts: Facts::of_pod(pod) };
    }
    let mut amounts = counted(gvr);
    let mut facts = Facts::default();
    if let Some(service) = object.downcast_ref::<Service>() {
        amounts.add(&service_usage(service));
    }
    if let Some(claim) = object.downcast_ref::<PersistentVolumeClaim>() {
        amounts.add(&claim_usage(claim));
        facts = Facts::of_claim(claim);
    }
    Use { amounts, facts }
}

/// One object of the resource, under every name that its number has.
pub fn counted(gvr: &Gvr) -> Amounts {
    let mut amounts = Amounts::default();
    amounts.0.insert(count_name(gvr), number(1));
    if gvr.group.is_empty() && NAMED.contains(&&*gvr.resource) {
        amounts.0.insert(gvr.resource.to_string(), number(1));
    }
    amounts
}

/// The part of `amounts` that the quota bounds; nothing when the object is outside of its scopes.
pub fn bounded(quota: &ResourceQuota, used: &Use) -> Amounts {
    let hard = quota.spec.as_ref().and_then(|s| s.hard.as_ref());
    let within = scope::matches(quota, &used.facts);
    let kept = used.amounts.0.iter().filter(|(k, _)| within && hard.is_some_and(|h| h.contains_key(*k)));
    Amounts(kept.map(|(k, v)| (k.clone(), *v)).collect())
}

fn number(value: i64) -> Quantity {
    Quantity::new(value, Format::DecimalSi)
}

fn pod_usage(pod: &Pod, now: Timestamp) -> Amounts {
    let mut amounts = Amounts::default();
    amounts.0.insert("count/pods".into(), number(1));
    // A pod that has ended, or whose node must have ended it, takes no room but its own.
    if is_over(pod, now) {
        return amounts;
    }
    amounts.0.insert("pods".into(), number(1));
    amounts.add(&compute(&pod_requests(pod.pod_spec()), &pod_limits(pod.pod_spec())));
    amounts
}

fn is_over(pod: &Pod, now: Timestamp) -> bool {
    let (at, grace) = (&pod.metadata.deletion_timestamp, pod.metadata.deletion_grace_period_seconds);
    let late = match (at, grace) {
        (Some(at), Some(grace)) => {
            at.0.saturating_add(SignedDuration::from_secs(grace)).is_ok_and(|end| now > end)
        }
        _ => false,
    };
    pod.is_terminal() || late
}

/// Requests and limits under the names that quotas have for them.
fn compute(requests: &Amounts, limits: &Amounts) -> Amounts {
    let mut amounts = BTreeMap::new();
    for (resource, amount) in &requests.0 {
        let plain = matches!(&**resource, "cpu" | "memory" | "ephemeral-storage");
        if plain || resource.starts_with("hugepages-") {
            amounts.insert(resource.clone(), *amount);
            amounts.insert(format!("requests.{resource}"), *amount);
        } else if is_extended(resource) {
            amounts.insert(format!("requests.{resource}"), *amount);
        }
    }
    for (resource, amount) in &limits.0 {
        if matches!(&**resource, "cpu" | "memory" | "ephemeral-storage") {
            amounts.insert(format!("limits.{resource}"), *amount);
        }
    }
    Amounts(amounts)
}

fn service_usage(service: &Service) -> Amounts {
    let spec = service.spec.clone().unwrap_or_default();
    let ports = spec.ports.as_deref().unwrap_or_default();
    let all = i64::try_from(ports.len()).unwrap_or(i64::MAX);
    let (node_ports, balancers) = match spec.type_.as_deref() {
        Some("NodePort") => (all, 0),
        Some("LoadBalancer") if spec.allocate_load_balancer_node_ports == Some(false) => {
            let given = ports.iter().filter(|p| p.node_port.is_some_and(|n| n != 0)).count();
            (i64::try_from(given).unwrap_or(i64::MAX), 1)
        }
        Some("LoadBalancer") => (all, 1),
        _ => (0, 0),
    };
    Amounts(BTreeMap::from([
        ("services.nodeports".into(), number(node_ports)),
        ("services.loadbalancers".into(), number(balancers)),
    ]))
}

fn claim_usage(claim: &PersistentVolumeClaim) -> Amounts {
    let mut amounts = BTreeMap::new();
    let class = crate::core::persistent_volume_claim::class_of(claim).filter(|c| !c.is_empty());
    let of_class = |what: &str| class.map(|c| format!("{c}.storageclass.storage.k8s.io/{what}"));
    amounts.extend(of_class("persistentvolumeclaims").map(|name| (name, number(1))));
    let asked = claim.spec.as_ref().and_then(|s| s.resources.as_ref()?.requests.as_ref()?.get("storage"));
    // A growing claim holds what it has been promised, also when the wish is taken back.
    let promised = claim.status.as_ref().and_then(|s| s.allocated_resources.as_ref()?.get("storage"));
    if let Some(size) = asked.into_iter().chain(promised).map(|q| q.amount()).max() {
        amounts.insert("requests.storage".into(), size);
        amounts.extend(of_class("requests.storage").map(|name| (name, size)));
    }
    Amounts(amounts)
}

/// Of `required` (resources that a quota bounds), what containers of the pod leave out: with quotas for cpu and memory
/// each container has to say how much it needs. The error is upstream's text.
pub fn missing(pod: &Pod, required: &[&str]) -> Result<(), String> {
    const ASKED: &[&str] =
        &["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];
    let required: Vec<&str> = required.iter().copied().filter(|r| ASKED.contains(r)).collect();
    let spec = pod.pod_spec();
    let whole = spec
        .resources
        .as_ref()
        .map(|r| compute(&Amounts::of(r.requests.as_ref()), &Amounts::of(r.limits.as_ref())));
    let mut absent: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let containers: Vec<&Container> =
        spec.containers.iter().chain(spec.init_containers.iter().flatten()).collect();
    for resource in required {
        if whole.as_ref().is_some_and(|w| w.0.contains_key(resource)) {
            continue;
        }
        let lacking = |c: &&&Container| !compute(&c.requests(), &c.limits()).0.contains_key(resource);
        let mut names: Vec<&str> = containers.iter().filter(lacking).map(|c| &*c.name).collect();
        names.sort_unstable();
        names.dedup();
        if !names.is_empty() {
            absent.insert(resource, names);
        }
    }
    if absent.is_empty() {
        return Ok(());
    }
    let parts: Vec<String> =
        absent.iter().map(|(r, names)| format!("{r} for: {}", names.join(","))).collect();
    Err(format!("must specify {}", parts.join("; ")))
}

#[cfg(test)]
mod tests;

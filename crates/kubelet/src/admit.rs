//! Whether a pod that is new here may begin. The scheduler has checked the same; a pod bound by hand, or two schedulers,
//! are why the node checks again. Start at [`rejection`].

mod sysctls;

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ContainerPort, Pod};
use resources::core::pod::PodExt;
use resources::quantity::Amounts;

use crate::plan::Verdict;
use crate::spec;

/// What pods may use.
pub struct NodeCapacity<'a> {
    pub allocatable: &'a Amounts,
    pub max_pods: u32,
}

/// Why `pod` fails at once, if it does; `others` are this node's pods. One that has begun before is not judged again.
pub fn rejection(pod: &Pod, others: &[Arc<Pod>], node: &NodeCapacity<'_>) -> Option<Verdict> {
    let status = pod.status.as_ref();
    if status.is_some_and(|s| s.start_time.is_some()) || pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let active: Vec<&Arc<Pod>> =
        others.iter().filter(|p| is_active(p) && p.metadata.uid != pod.metadata.uid).collect();
    wrong_os(pod)
        .or_else(|| no_app_armor(pod))
        .or_else(|| sysctls::forbidden(pod))
        .or_else(|| port_taken(pod, &active))
        .or_else(|| too_large(pod, &active, node))
}

fn is_active(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref());
    !matches!(phase, Some("Failed" | "Succeeded"))
}

fn wrong_os(pod: &Pod) -> Option<Verdict> {
    let os = spec::of(pod).os.as_ref().filter(|os| os.name != "linux")?;
    let _ = os;
    Some(Verdict {
        reason: "PodOSNotSupported",
        message: "Pod was rejected: Failed to admit pod as the OS field doesn't match node OS".into(),
    })
}

/// Asked for and not enforced would be worse than refused.
fn no_app_armor(pod: &Pod) -> Option<Verdict> {
    let of_pod = spec::of(pod).security_context.as_ref().and_then(|c| c.app_armor_profile.clone());
    let own = spec::all(pod).filter_map(|s| s.container.security_context.as_ref()?.app_armor_profile.clone());
    let asked = of_pod.into_iter().chain(own).any(|profile| profile.type_ != "Unconfined");
    asked.then(|| Verdict {
        reason: "AppArmor",
        message: "Pod was rejected: Cannot enforce AppArmor: AppArmor is not supported by this kubelet"
            .into(),
    })
}

/// Host ports, and in the host's network all ports that are declared as such.
fn host_ports(pod: &Pod) -> Vec<ContainerPort> {
    let ports =
        spec::init(pod).chain(spec::main(pod)).flat_map(|s| s.container.ports.clone().unwrap_or_default());
    ports.filter(|p| p.host_port.is_some_and(|n| n > 0)).collect()
}

fn port_taken(pod: &Pod, others: &[&Arc<Pod>]) -> Option<Verdict> {
    let any = |ip: &Option<String>| ip.as_deref().is_none_or(|ip| matches!(ip, "" | "0.0.0.0" | "::"));
    let clash = |a: &ContainerPort, b: &ContainerPort| {
        let protocol = |p: &ContainerPort| p.protocol.clone().unwrap_or_else(|| "TCP".into());
        a.host_port == b.host_port
            && protocol(a) == protocol(b)
            && (any(&a.host_ip) || any(&b.host_ip) || a.host_ip == b.host_ip)
    };
    let wanted = host_ports(pod);
    let taken: Vec<_> = others.iter().flat_map(|p| host_ports(p)).collect();
    wanted.iter().any(|w| taken.iter().any(|t| clash(w, t))).then(|| Verdict {
        reason: "NodePorts",
        message: "Pod was rejected: Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports".into(),
    })
}

fn too_large(pod: &Pod, others: &[&Arc<Pod>], node: &NodeCapacity<'_>) -> Option<Verdict> {
    let rejected = |reason, what: &str, requested: i64, used: i64, capacity: i64| {
        let message = format!(
            "Pod was rejected: Node didn't have enough resource: {what}, requested: {requested}, used: {used}, capacity: {capacity}"
        );
        Some(Verdict { reason, message })
    };
    let count = i64::try_from(others.len()).unwrap_or(i64::MAX);
    if count >= i64::from(node.max_pods) {
        return rejected("OutOfpods", "pods", 1, count, i64::from(node.max_pods));
    }
    let own = pod.requests();
    let used: Vec<Amounts> = others.iter().map(|p| p.requests()).collect();
    let cpu: i64 = used.iter().map(Amounts::milli_cpu).sum();
    if own.milli_cpu() > 0 && cpu + own.milli_cpu() > node.allocatable.milli_cpu() {
        return rejected("OutOfcpu", "cpu", own.milli_cpu(), cpu, node.allocatable.milli_cpu());
    }
    let memory: i64 = used.iter().map(Amounts::memory).sum();
    if own.memory() > 0 && memory + own.memory() > node.allocatable.memory() {
        return rejected("OutOfmemory", "memory", own.memory(), memory, node.allocatable.memory());
    }
    None
}

#[cfg(test)]
mod tests;

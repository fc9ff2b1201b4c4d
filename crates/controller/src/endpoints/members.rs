//! The pods behind a service and the ports they serve it on.

use std::collections::BTreeMap;

use codec::Kind;
use k8s_openapi::api::core::v1::{ObjectReference, Pod, Service, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use resources::core::pod::{ContainerExt, PodExt};
use resources::owner::ObjectMetaExt;

/// A pod behind a service, in one address family.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub address: String,
    /// It serves, and is not on its way out; or the service wants it in any case.
    pub ready: bool,
    pub serving: bool,
    pub terminating: bool,
    pub node: Option<String>,
    pub hostname: Option<String>,
    pub target: ObjectReference,
}

/// A service's port as a pod serves it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    pub name: String,
    pub protocol: String,
    pub port: i32,
    pub app_protocol: Option<String>,
}

/// Everybody behind `service` with an address of the family (`IPv4`, `IPv6`), by the ports that they serve it on, each in order of
/// names. Ended pods are left out.
pub fn members(service: &Service, pods: &[Pod], family: &str) -> BTreeMap<Vec<Port>, Vec<Member>> {
    let mut by_ports: BTreeMap<Vec<Port>, Vec<Member>> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| !pod.is_terminal()) {
        let Some(address) = pod.ips().into_iter().find(|ip| ip.contains(':') == (family == "IPv6")) else {
            continue;
        };
        by_ports.entry(ports(service, pod)).or_default().push(member(service, pod, address));
    }
    for members in by_ports.values_mut() {
        members.sort_by(|a, b| a.target.name.cmp(&b.target.name));
    }
    by_ports
}

fn member(service: &Service, pod: &Pod, address: &str) -> Member {
    let spec = service.spec.clone().unwrap_or_default();
    let (serving, terminating) = (pod.is_ready(), pod.metadata.is_deleting());
    let own = pod.pod_spec();
    let hostname = own.hostname.clone().filter(|_| own.subdomain.as_deref() == Some(service.name()));
    Member {
        address: address.to_owned(),
        ready: spec.publish_not_ready_addresses == Some(true) || (serving && !terminating),
        serving,
        terminating,
        node: pod.node_name().map(str::to_owned),
        hostname: hostname.filter(|h| !h.is_empty()),
        target: ObjectReference {
            kind: Some(Pod::KIND.into()),
            namespace: pod.metadata.namespace.clone(),
            name: pod.metadata.name.clone(),
            uid: pod.metadata.uid.clone(),
            ..ObjectReference::default()
        },
    }
}

fn ports(service: &Service, pod: &Pod) -> Vec<Port> {
    let wanted = service.spec.iter().flat_map(|s| s.ports.iter().flatten());
    let mut ports: Vec<_> = wanted
        .filter_map(|port| {
            Some(Port {
                name: port.name.clone().unwrap_or_default(),
                protocol: protocol(port.protocol.as_deref()).to_owned(),
                port: number(port, pod)?,
                app_protocol: port.app_protocol.clone(),
            })
        })
        .collect();
    ports.sort();
    ports
}

/// A named port is another number in each pod, and in some none.
fn number(port: &ServicePort, pod: &Pod) -> Option<i32> {
    let name = match &port.target_port {
        Some(IntOrString::Int(number)) if *number != 0 => return Some(*number),
        Some(IntOrString::String(name)) if !name.is_empty() => name,
        _ => return Some(port.port),
    };
    let spec = pod.pod_spec();
    let sidecars = spec.init_containers.iter().flatten().filter(|c| c.is_restartable_init());
    let offered = spec.containers.iter().chain(sidecars).flat_map(|c| c.ports.iter().flatten());
    let mut matching = offered.filter(|p| {
        p.name.as_ref() == Some(name) && protocol(p.protocol.as_deref()) == protocol(port.protocol.as_deref())
    });
    matching.next().map(|p| p.container_port)
}

fn protocol(protocol: Option<&str>) -> &str {
    protocol.filter(|p| !p.is_empty()).unwrap_or("TCP")
}

//! Fields that the registry fills: kept over updates that do not mention them, dropped when the type has no use for
//! them any more.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Service, ServiceSpec};

use super::ServiceExt;

/// `clusterIP` and the first of `clusterIPs` are one thing; a client that knows only the older one changes both.
pub fn normalize_cluster_ips(new: &mut Service, old: Option<&Service>) {
    let of = |s: &ServiceSpec| {
        (s.cluster_ip.clone().unwrap_or_default(), s.cluster_ips.clone().unwrap_or_default())
    };
    let Some(spec) = &mut new.spec else { return };
    let (ip, ips) = of(spec);
    let Some((old_ip, old_ips)) = old.map(|o| o.spec.as_ref().map(of).unwrap_or_default()) else {
        // Create: whoever gave one gave both.
        if !ip.is_empty() && ips.is_empty() {
            spec.cluster_ips = Some(vec![ip]);
        }
        return;
    };
    let was_list_changed = ips != old_ips;
    if ip != old_ip {
        if ip.is_empty() && !was_list_changed {
            spec.cluster_ips = None;
        } else if !ip.is_empty() && !was_list_changed {
            let mut list = vec![ip];
            list.extend(ips.into_iter().skip(1));
            list.truncate(1);
            spec.cluster_ips = Some(list);
        }
    }
}

/// Puts back what the client left out.
pub(super) fn keep(new: &mut Service, old: &Service) {
    let both = |f: fn(&Service) -> bool| f(new) && f(old);
    let ips = both(|s| s.needs_cluster_ip());
    let ports = both(|s| s.needs_node_ports());
    let health = both(needs_health_port);
    let Some((spec, before)) = new.spec.as_mut().zip(old.spec.as_ref()) else { return };
    if ips {
        crate::fill::text(&mut spec.cluster_ip, before.cluster_ip.as_deref().unwrap_or_default());
        let none = spec.cluster_ips.as_ref().is_none_or(|l| l.is_empty());
        if none && spec.cluster_ip == before.cluster_ip {
            spec.cluster_ips.clone_from(&before.cluster_ips);
        }
    }
    if ports {
        keep_node_ports(spec, before);
    }
    if health && spec.health_check_node_port.unwrap_or(0) == 0 {
        spec.health_check_node_port = before.health_check_node_port;
    }
    // Families follow the addresses unless the client has something to say about them.
    if ips && spec.ip_family_policy.is_none() && spec.ip_families.as_ref().is_none_or(|f| f.is_empty()) {
        spec.ip_family_policy.clone_from(&before.ip_family_policy);
        spec.ip_families.clone_from(&before.ip_families);
    }
}

/// By name of the port, unless the number was given to another port meanwhile.
fn keep_node_ports(spec: &mut ServiceSpec, before: &ServiceSpec) {
    let numbers = |s: &ServiceSpec| -> BTreeSet<i32> {
        s.ports.iter().flatten().filter_map(|p| p.node_port).filter(|p| *p != 0).collect()
    };
    let mut used: BTreeSet<i32> = numbers(spec).intersection(&numbers(before)).copied().collect();
    let name = |n: &Option<String>| n.clone().unwrap_or_default();
    for port in spec.ports.iter_mut().flatten().filter(|p| p.node_port.unwrap_or(0) == 0) {
        let old = before.ports.iter().flatten().find(|p| name(&p.name) == name(&port.name));
        if let Some(number) = old.and_then(|p| p.node_port).filter(|n| *n != 0 && used.insert(*n)) {
            port.node_port = Some(number);
        }
    }
}

pub(super) fn needs_health_port(service: &Service) -> bool {
    let policy = service.spec.as_ref().and_then(|s| s.external_traffic_policy.as_deref());
    service.service_type() == "LoadBalancer" && policy == Some("Local")
}

/// When an update changes the type, fields of the former type go, as long as the client did not set them anew.
pub(super) fn drop_foreign_fields(new: &mut Service, old: Option<&Service>) {
    let Some(old) = old else { return };
    let (needs_ip, needs_ports, needs_health) =
        (new.needs_cluster_ip(), new.needs_node_ports(), needs_health_port(new));
    let is_balancer = new.service_type() == "LoadBalancer";
    let external = is_balancer
        || new.service_type() == "NodePort"
        || new.service_type() == "ClusterIP"
            && new.spec.as_ref().and_then(|s| s.external_ips.as_ref()).is_some_and(|l| !l.is_empty());
    let Some((spec, before)) = new.spec.as_mut().zip(old.spec.as_ref()) else { return };
    if old.needs_cluster_ip() && !needs_ip {
        if spec.cluster_ip == before.cluster_ip && spec.cluster_ips == before.cluster_ips {
            spec.cluster_ip = None;
            spec.cluster_ips = None;
        }
        if spec.ip_families == before.ip_families {
            spec.ip_families = None;
        }
        if spec.ip_family_policy == before.ip_family_policy {
            spec.ip_family_policy = None;
        }
    }
    if old.needs_node_ports() && !needs_ports {
        drop_node_ports(spec, before);
    }
    if needs_health_port(old) && !needs_health && spec.health_check_node_port == before.health_check_node_port
    {
        spec.health_check_node_port = None;
    }
    if !is_balancer && old.service_type() == "LoadBalancer" {
        if spec.allocate_load_balancer_node_ports == before.allocate_load_balancer_node_ports {
            spec.allocate_load_balancer_node_ports = None;
        }
        if spec.load_balancer_class == before.load_balancer_class {
            spec.load_balancer_class = None;
        }
    }
    if !external && spec.external_traffic_policy == before.external_traffic_policy {
        spec.external_traffic_policy = None;
    }
}

/// Only when every number is as before: a client that changes one means them.
fn drop_node_ports(spec: &mut ServiceSpec, before: &ServiceSpec) {
    let numbers = |s: &ServiceSpec| -> BTreeSet<i32> {
        s.ports.iter().flatten().filter_map(|p| p.node_port).filter(|p| *p != 0).collect()
    };
    if numbers(spec).is_subset(&numbers(before)) {
        for port in spec.ports.iter_mut().flatten() {
            port.node_port = None;
        }
    }
}

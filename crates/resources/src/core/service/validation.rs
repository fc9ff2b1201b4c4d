//! Rules for services. They run after addresses and node ports were given out.

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path, Raw};
use apimachinery::names;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};

use super::{ServiceExt, allocated};
use crate::check::{each, ip, known, one, one_of, port, required};
use crate::core::endpoints::special_ip_errors;
use crate::owner::ObjectMetaExt;

mod addresses;

/// A new service.
pub fn create(service: &Service) -> ErrorList {
    let none = ServiceSpec::default();
    let spec = service.spec.as_ref().unwrap_or(&none);
    let path = Path::new("spec");
    let mut errs = ErrorList::new();
    let ports = spec.ports.as_deref().unwrap_or_default();
    let kind = spec.type_.as_deref().unwrap_or_default();
    if ports.is_empty() && !addresses::is_headless(spec) && kind != "ExternalName" {
        errs.push(Error::required(&path.child("ports"), ""));
    }
    errs.extend(of_type(spec, kind, &path));
    errs.extend(ports_errors(ports, &path.child("ports")));
    if let Some(labels) = &spec.selector {
        errs.extend(names::labels(labels, &path.child("selector")));
    }
    errs.extend(affinity(spec, &path));
    errs.extend(addresses::errors(spec, &path));
    for (i, address) in spec.external_ips.iter().flatten().enumerate() {
        let path = path.child("externalIPs").index(i);
        let bad = ip(&path, address);
        errs.extend(if bad.is_empty() { special_ip_errors(address, &path) } else { bad });
    }
    errs.extend(one_of(
        &path.child("type"),
        kind,
        &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"],
    ));
    errs.extend(duplicates(ports, kind, &path.child("ports")));
    errs.extend(load_balancer(service, spec, kind, &path));
    errs.extend(traffic(service, spec, kind, &path));
    errs
}

/// A changed service.
pub fn update(new: &Service, old: &Service) -> ErrorList {
    let none = ServiceSpec::default();
    let (after, before) = (new.spec.as_ref().unwrap_or(&none), old.spec.as_ref().unwrap_or(&none));
    let path = Path::new("spec");
    let mut errs = addresses::changes(after, before, &path);
    let balances = |s: &Service| s.service_type() == "LoadBalancer";
    if balances(new) && balances(old) && after.load_balancer_class != before.load_balancer_class {
        let shown = after.load_balancer_class.as_deref().unwrap_or("null");
        errs.push(Error::invalid(&path.child("loadBalancerClass"), shown, "may not change once set"));
    }
    if allocated::needs_health_port(new)
        && allocated::needs_health_port(old)
        && after.health_check_node_port != before.health_check_node_port
    {
        errs.push(Error::forbidden(&path.child("healthCheckNodePort"), "field is immutable"));
    }
    errs.extend(create(new));
    errs
}

/// Its status: what a load balancer has given.
pub fn status(service: &Service) -> ErrorList {
    let mut errs = ErrorList::new();
    let path = Path::new("status").child("loadBalancer").child("ingress");
    let balancer = service.status.as_ref().and_then(|s| s.load_balancer.as_ref());
    let ingress = balancer.and_then(|b| b.ingress.as_deref()).unwrap_or_default();
    if service.service_type() != "LoadBalancer" && !ingress.is_empty() {
        errs.push(Error::forbidden(&path, "may only be used when `spec.type` is 'LoadBalancer'"));
        return errs;
    }
    for (i, ingress) in ingress.iter().enumerate() {
        let path = path.index(i);
        let address = ingress.ip.as_deref().unwrap_or_default();
        if !address.is_empty() {
            errs.extend(ip(&path.child("ip"), address));
        }
        let mode = path.child("ipMode");
        match ingress.ip_mode.as_deref() {
            None if !address.is_empty() => {
                errs.push(Error::required(&mode, "must be specified when `ip` is set"));
            }
            Some(_) if address.is_empty() => {
                errs.push(Error::forbidden(&mode, "may not be specified when `ip` is not set"));
            }
            Some(text) => errs.extend(known(&mode, text, &["Proxy", "VIP"])),
            None => {}
        }
        if let Some(name) = ingress.hostname.as_deref().filter(|h| !h.is_empty()) {
            let path = path.child("hostname");
            errs.extend(each(&path, name, names::dns1123_subdomain(name)));
            errs.extend(one(names::ip(name).is_empty(), || {
                Error::invalid(&path, name, "must be a DNS name, not an IP address")
            }));
        }
    }
    errs
}

fn of_type(spec: &ServiceSpec, kind: &str, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    match kind {
        "LoadBalancer" | "NodePort" if addresses::is_headless(spec) => {
            let detail = format!("may not be set to 'None' for {kind} services");
            errs.push(Error::invalid(&path.child("clusterIPs").index(0), "None", detail));
        }
        "ExternalName" => {
            let set = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|l| !l.is_empty());
            let fields = [
                ("clusterIPs", set(&spec.cluster_ips)),
                ("ipFamilies", set(&spec.ip_families)),
                ("ipFamilyPolicy", spec.ip_family_policy.is_some()),
            ];
            for (field, _) in fields.into_iter().filter(|(_, set)| *set) {
                errs.push(Error::forbidden(&path.child(field), "may not be set for ExternalName services"));
            }
            let name = spec.external_name.as_deref().unwrap_or_default();
            let name = name.strip_suffix('.').unwrap_or(name);
            let path = path.child("externalName");
            match name {
                "" => errs.push(Error::required(&path, "")),
                name => errs.extend(each(&path, name, names::dns1123_subdomain(name))),
            }
        }
        _ => {}
    }
    errs
}

fn ports_errors(ports: &[ServicePort], path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let mut seen = BTreeSet::new();
    for (i, one) in ports.iter().enumerate() {
        let path = path.index(i);
        match one.name.as_deref().unwrap_or_default() {
            "" if ports.len() > 1 => errs.push(Error::required(&path.child("name"), "")),
            "" => {}
            name => {
                errs.extend(each(&path.child("name"), name, names::dns1123_label(name)));
                if !seen.insert(name) {
                    errs.push(Error::duplicate(&path.child("name"), name));
                }
            }
        }
        for message in names::port_number(one.port.into()) {
            errs.push(Error::invalid(&path.child("port"), one.port, message));
        }
        errs.extend(one_of(
            &path.child("protocol"),
            one.protocol.as_deref().unwrap_or_default(),
            &["SCTP", "TCP", "UDP"],
        ));
        if let Some(target) = &one.target_port {
            errs.extend(port(&path.child("targetPort"), target));
        }
        if let Some(protocol) = &one.app_protocol {
            errs.extend(each(&path.child("appProtocol"), protocol, names::qualified_name(protocol)));
        }
    }
    errs
}

/// Each port and each node port once for a protocol; node ports only where they lead somewhere.
fn duplicates(ports: &[ServicePort], kind: &str, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let protocol = |p: &ServicePort| p.protocol.clone().unwrap_or_default();
    let node_port = |p: &ServicePort| p.node_port.unwrap_or(0);
    if kind == "ClusterIP" {
        for (i, _) in ports.iter().enumerate().filter(|(_, p)| node_port(p) != 0) {
            let detail = "may not be used when `type` is 'ClusterIP'";
            errs.push(Error::forbidden(&path.index(i).child("nodePort"), detail));
        }
    }
    for (i, one) in ports.iter().enumerate().filter(|(_, p)| node_port(p) != 0) {
        let same = |p: &ServicePort| node_port(p) == node_port(one) && protocol(p) == protocol(one);
        if ports[..i].iter().any(same) {
            errs.push(Error::duplicate(&path.index(i).child("nodePort"), node_port(one)));
        }
    }
    for (i, one) in ports.iter().enumerate() {
        if ports[..i].iter().any(|p| p.port == one.port && protocol(p) == protocol(one)) {
            // The key of upstream's set, in its own shape.
            let key = format!(
                r#"{{"Name":"","Protocol":{:?},"AppProtocol":null,"Port":{},"TargetPort":0,"NodePort":0}}"#,
                protocol(one),
                one.port
            );
            errs.push(Error::duplicate(&path.index(i), Raw(key)));
        }
    }
    errs
}

fn affinity(spec: &ServiceSpec, path: &Path) -> ErrorList {
    const MAX: i32 = 86_400;
    let kind = spec.session_affinity.as_deref().unwrap_or_default();
    let mut errs = one_of(&path.child("sessionAffinity"), kind, &["ClientIP", "None"]);
    let path = path.child("sessionAffinityConfig");
    let config = spec.session_affinity_config.as_ref();
    if kind == "None" && config.is_some() {
        errs.push(Error::forbidden(&path, "must not be set when session affinity is None"));
    }
    if kind != "ClientIP" {
        return errs;
    }
    let needed = "when session affinity type is ClientIP";
    let client = config.and_then(|c| c.client_ip.as_ref());
    let timeout = path.child("clientIP").child("timeoutSeconds");
    match (config, client, client.and_then(|c| c.timeout_seconds)) {
        (None, ..) => errs.push(Error::required(&path, needed)),
        (_, None, _) => errs.push(Error::required(&path.child("clientIP"), needed)),
        (_, _, None) => errs.push(Error::required(&timeout, needed)),
        (_, _, Some(seconds)) if !(1..=MAX).contains(&seconds) => {
            let detail = format!("must be greater than 0 and less than {MAX}");
            errs.push(Error::invalid(&timeout, seconds, detail));
        }
        _ => {}
    }
    errs
}

const ONLY_BALANCERS: &str = "may only be used when `type` is 'LoadBalancer'";

fn load_balancer(service: &Service, spec: &ServiceSpec, kind: &str, path: &Path) -> ErrorList {
    const RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
    let mut errs = ErrorList::new();
    let balances = kind == "LoadBalancer";
    let ranges = spec.load_balancer_source_ranges.as_deref().unwrap_or_default();
    if !ranges.is_empty() {
        let path = path.child("LoadBalancerSourceRanges");
        errs.extend(one(!balances, || Error::forbidden(&path, ONLY_BALANCERS)));
        for (i, range) in ranges.iter().enumerate() {
            errs.extend(each(&path.index(i), range.trim(), names::cidr(range.trim())));
        }
    } else if let Some(ranges) = service.metadata.annotation(RANGES) {
        let path = Path::new("metadata").child("annotations").key(RANGES);
        errs.extend(one(!balances, || Error::forbidden(&path, ONLY_BALANCERS)));
        for range in ranges.trim().split(',').filter(|_| !ranges.trim().is_empty()) {
            errs.extend(each(&path, range.trim(), names::cidr(range.trim())));
        }
    }
    match spec.allocate_load_balancer_node_ports {
        Some(_) if !balances => {
            errs.push(Error::forbidden(&path.child("allocateLoadBalancerNodePorts"), ONLY_BALANCERS));
        }
        None if balances => errs.push(Error::required(&Path::new("allocateLoadBalancerNodePorts"), "")),
        _ => {}
    }
    if let Some(class) = &spec.load_balancer_class {
        let path = path.child("loadBalancerClass");
        match balances {
            true => errs.extend(each(&path, class, names::qualified_name(class))),
            false => errs.push(Error::forbidden(&path, ONLY_BALANCERS)),
        }
    }
    errs
}

fn traffic(service: &Service, spec: &ServiceSpec, kind: &str, path: &Path) -> ErrorList {
    const POLICIES: &[&str] = &["Cluster", "Local"];
    let mut errs = ErrorList::new();
    let has_external = spec.external_ips.as_ref().is_some_and(|ips| !ips.is_empty());
    let external = matches!(kind, "NodePort" | "LoadBalancer") || kind == "ClusterIP" && has_external;
    let policy = spec.external_traffic_policy.as_deref().unwrap_or_default();
    let at = path.child("externalTrafficPolicy");
    if external {
        errs.extend(one_of(&at, policy, POLICIES));
    } else if !policy.is_empty() {
        errs.push(Error::invalid(&at, policy, "may only be set for externally-accessible services"));
    }
    errs.extend(health_port(service, spec, &path.child("healthCheckNodePort")));
    let at = path.child("internalTrafficPolicy");
    match spec.internal_traffic_policy.as_deref() {
        None if kind != "ExternalName" => errs.extend(required(&at, "")),
        None => {}
        Some(policy) => errs.extend(known(&at, policy, POLICIES)),
    }
    if let Some(distribution) = &spec.traffic_distribution {
        errs.extend(known(
            &path.child("trafficDistribution"),
            distribution,
            &["PreferClose", "PreferSameNode", "PreferSameZone"],
        ));
    }
    errs
}

fn health_port(service: &Service, spec: &ServiceSpec, path: &Path) -> ErrorList {
    let number = spec.health_check_node_port.unwrap_or(0);
    match (allocated::needs_health_port(service), number) {
        (true, 0) => [Error::required(path, "")].into_iter().collect(),
        (true, number) => {
            let messages = names::port_number(number.into()).into_iter();
            messages.map(|m| Error::invalid(path, number, m)).collect()
        }
        (false, number) => one(number != 0, || {
            let detail =
                "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
            Error::invalid(path, number, detail)
        }),
    }
}

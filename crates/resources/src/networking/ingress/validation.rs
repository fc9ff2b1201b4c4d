//! Rules for ingresses.

use apimachinery::field::{Error, ErrorList, Path, Raw};
use apimachinery::names;
use k8s_openapi::api::core::v1::TypedLocalObjectReference;
use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, IngressBackend, IngressServiceBackend, IngressSpec, IngressStatus,
};

use crate::check::{each, each_number, required};

pub(super) fn spec(spec: &IngressSpec, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let rules = spec.rules.as_deref().unwrap_or_default();
    if rules.is_empty() && spec.default_backend.is_none() {
        let why = "either `defaultBackend` or `rules` must be specified";
        errs.push(Error::invalid(path, Raw(serde_json::json!(spec.rules).to_string()), why));
    }
    if let Some(default) = &spec.default_backend {
        errs.extend(backend(default, &path.child("defaultBackend")));
    }
    for (i, rule) in rules.iter().enumerate() {
        let path = path.child("rules").index(i);
        let host = rule.host.as_deref().unwrap_or_default();
        if !host.is_empty() {
            let at = path.child("host");
            if host.parse::<std::net::IpAddr>().is_ok() {
                errs.push(Error::invalid(&at, host, "must be a DNS name, not an IP address"));
            } else {
                errs.extend(each(&at, host, host_errors(host)));
            }
        }
        let Some(http) = &rule.http else { continue };
        let path = path.child("http").child("paths");
        if http.paths.is_empty() {
            errs.push(Error::required(&path, ""));
        }
        for (j, one) in http.paths.iter().enumerate() {
            errs.extend(http_path(one, &path.index(j)));
        }
    }
    for (i, tls) in spec.tls.iter().flatten().enumerate() {
        let path = path.child("tls").index(i);
        for (j, host) in tls.hosts.iter().flatten().enumerate() {
            errs.extend(each(&path.child("hosts").index(j), host, host_errors(host)));
        }
        if let Some(secret) = tls.secret_name.as_deref().filter(|s| !s.is_empty()) {
            errs.extend(each(&path.child("secretName"), secret, names::dns1123_subdomain(secret)));
        }
    }
    if let Some(class) = spec.ingress_class_name.as_deref() {
        errs.extend(each(&path.child("ingressClassName"), class, names::dns1123_subdomain(class)));
    }
    errs
}

fn host_errors(host: &str) -> Vec<String> {
    match host.contains('*') {
        true => names::wildcard_dns1123_subdomain(host),
        false => names::dns1123_subdomain(host),
    }
}

fn http_path(one: &HTTPIngressPath, path: &Path) -> ErrorList {
    const TYPES: &[&str] = &["Exact", "ImplementationSpecific", "Prefix"];
    const WITHIN: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];
    const AT_END: [&str; 2] = ["/..", "/."];
    let mut errs = ErrorList::new();
    let text = one.path.as_deref().unwrap_or_default();
    let at = path.child("path");
    match &*one.path_type {
        "" => errs.push(Error::required(&path.child("pathType"), "pathType must be specified")),
        "Exact" | "Prefix" => {
            if !text.starts_with('/') {
                errs.push(Error::invalid(&at, text, "must be an absolute path"));
            }
            for part in WITHIN.iter().filter(|part| text.contains(**part)) {
                errs.push(Error::invalid(&at, text, format!("must not contain '{part}'")));
            }
            for end in AT_END.iter().filter(|end| text.ends_with(**end)) {
                errs.push(Error::invalid(&at, text, format!("cannot end with '{end}'")));
            }
        }
        "ImplementationSpecific" => {
            if !text.is_empty() && !text.starts_with('/') {
                errs.push(Error::invalid(&at, text, "must be an absolute path"));
            }
        }
        other => errs.push(Error::not_supported(&path.child("pathType"), other, TYPES)),
    }
    errs.extend(backend(&one.backend, &path.child("backend")));
    errs
}

fn backend(backend: &IngressBackend, path: &Path) -> ErrorList {
    match (&backend.resource, &backend.service) {
        (Some(_), Some(_)) => {
            [Error::invalid(path, "", "cannot set both resource and service backends")].into_iter().collect()
        }
        (Some(resource), None) => reference(resource, &path.child("resource")),
        (None, Some(service)) => service_backend(service, path),
        (None, None) => {
            [Error::invalid(path, "", "resource or service backend is required")].into_iter().collect()
        }
    }
}

fn service_backend(service: &IngressServiceBackend, path: &Path) -> ErrorList {
    let at = path.child("service");
    let mut errs = ErrorList::new();
    match &*service.name {
        "" => errs.push(Error::required(&at.child("name"), "")),
        name => errs.extend(each(&at.child("name"), name, names::dns1035_label(name))),
    }
    let port = service.port.clone().unwrap_or_default();
    let (name, number) = (port.name.unwrap_or_default(), port.number.unwrap_or(0));
    match (name.is_empty(), number) {
        (true, 0) => errs.push(Error::required(path, "port name or number is required")),
        (false, 0) => errs.extend(each(&at.child("port").child("name"), &name, names::port_name(&name))),
        (true, number) => {
            let number = i64::from(number);
            errs.extend(each_number(&at.child("port").child("number"), number, names::port_number(number)));
        }
        _ => errs.push(Error::invalid(path, "", "cannot set both port name & port number")),
    }
    errs
}

/// Something of a kind with a name; also the parameters of ingress classes.
pub(in crate::networking) fn reference(reference: &TypedLocalObjectReference, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    if let Some(group) = reference.api_group.as_deref().filter(|g| !g.is_empty()) {
        errs.extend(each(&path.child("apiGroup"), group, names::dns1123_subdomain(group)));
    }
    for (field, value) in [("kind", &reference.kind), ("name", &reference.name)] {
        let at = path.child(field);
        if value.is_empty() {
            errs.push(Error::required(&at, format!("{field} is required")));
        } else {
            errs.extend(each(&at, value, names::path_segment(value)));
        }
    }
    errs
}

pub(super) fn status(status: &IngressStatus) -> ErrorList {
    let path = Path::new("status").child("loadBalancer").child("ingress");
    let mut errs = ErrorList::new();
    let points = status.load_balancer.as_ref().and_then(|l| l.ingress.as_deref()).unwrap_or_default();
    for (i, point) in points.iter().enumerate() {
        let path = path.index(i);
        if let Some(ip) = point.ip.as_deref().filter(|ip| !ip.is_empty()) {
            errs.extend(each(&path.child("ip"), ip, names::ip(ip)));
        }
        if let Some(host) = point.hostname.as_deref().filter(|h| !h.is_empty()) {
            let at = path.child("hostname");
            errs.extend(each(&at, host, names::dns1123_subdomain(host)));
            if host.parse::<std::net::IpAddr>().is_ok() {
                errs.push(Error::invalid(&at, host, "must be a DNS name, not an IP address"));
            }
        }
        errs.extend(ports(point.ports.as_deref().unwrap_or_default(), &path.child("ports")));
    }
    errs
}

fn ports(ports: &[k8s_openapi::api::networking::v1::IngressPortStatus], path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    for (i, port) in ports.iter().enumerate() {
        let path = path.index(i);
        let number = i64::from(port.port);
        errs.extend(each_number(&path.child("port"), number, names::port_number(number)));
        const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];
        errs.extend(required(&path.child("protocol"), &port.protocol));
        if !port.protocol.is_empty() && !PROTOCOLS.contains(&port.protocol.as_str()) {
            errs.push(Error::not_supported(&path.child("protocol"), &port.protocol, PROTOCOLS));
        }
    }
    errs
}

//! Endpoints, the older form of endpoint slices.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints};
use serde_json::{Value, json};

use crate::check::one_of;
use crate::columns::{AGE, NAME, text};
use crate::fill;
use crate::strategy::{Column, Part, age};

#[cfg(test)]
mod tests;

/// The rules of endpoints.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = Endpoints;

    fn default(&self, endpoints: &mut Endpoints) {
        for subset in endpoints.subsets.iter_mut().flatten() {
            for port in subset.ports.iter_mut().flatten() {
                fill::text(&mut port.protocol, "TCP");
            }
        }
    }

    fn validate(&self, endpoints: &Endpoints) -> ErrorList {
        let mut errs = ErrorList::new();
        for (i, subset) in endpoints.subsets.iter().flatten().enumerate() {
            errs.extend(subset_errors(subset, &Path::new("subsets").index(i)));
        }
        errs
    }

    fn validate_update(&self, new: &Endpoints, old: &Endpoints, _: Part) -> ErrorList {
        // What was stored under older rules may stay as long as nobody touches it.
        if new.subsets == old.subsets { ErrorList::new() } else { self.validate(new) }
    }

    fn allow_create_on_update(&self) -> bool {
        true
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[NAME, text("Endpoints", "Ready addresses with their ports."), AGE];
        COLUMNS
    }

    fn row(&self, endpoints: &Endpoints, now: Timestamp) -> Vec<Value> {
        vec![json!(endpoints.name()), json!(show(endpoints)), json!(age(&endpoints.metadata, now))]
    }
}

/// The first three ready addresses, and how many more there are.
pub fn show(endpoints: &Endpoints) -> String {
    const MAX: usize = 3;
    let subsets = endpoints.subsets.as_deref().unwrap_or_default();
    if subsets.is_empty() {
        return "<none>".into();
    }
    let all: Vec<String> = subsets.iter().flat_map(addresses).collect();
    match all.len() {
        n if n > MAX => format!("{} + {} more...", all[..MAX].join(","), n - MAX),
        _ => all.join(","),
    }
}

/// Every address at every port; bare addresses where a headless service names no port.
fn addresses(subset: &EndpointSubset) -> Vec<String> {
    let ready = || subset.addresses.iter().flatten().map(|a| a.ip.as_str());
    match subset.ports.as_deref() {
        Some(ports) if !ports.is_empty() => {
            ports.iter().flat_map(|p| ready().map(|ip| host_port(ip, p.port))).collect()
        }
        _ => ready().map(str::to_owned).collect(),
    }
}

fn host_port(ip: &str, port: i32) -> String {
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}

fn subset_errors(subset: &EndpointSubset, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let ready = subset.addresses.as_deref().unwrap_or_default();
    let not_ready = subset.not_ready_addresses.as_deref().unwrap_or_default();
    if ready.is_empty() && not_ready.is_empty() {
        errs.push(Error::required(path, "must specify `addresses` or `notReadyAddresses`"));
    }
    for (list, name) in [(ready, "addresses"), (not_ready, "notReadyAddresses")] {
        for (i, address) in list.iter().enumerate() {
            errs.extend(address_errors(address, &path.child(name).index(i)));
        }
    }
    let ports = subset.ports.as_deref().unwrap_or_default();
    for (i, port) in ports.iter().enumerate() {
        errs.extend(port_errors(port, ports.len() > 1, &path.child("ports").index(i)));
    }
    errs
}

fn address_errors(address: &EndpointAddress, path: &Path) -> ErrorList {
    let mut errs: ErrorList = names::ip(&address.ip)
        .into_iter()
        .map(|m| Error::invalid(&path.child("ip"), &address.ip, m))
        .collect();
    if let Some(name) = address.hostname.as_deref().filter(|h| !h.is_empty()) {
        for message in names::dns1123_label(name) {
            errs.push(Error::invalid(&path.child("hostname"), name, message));
        }
    }
    if let Some(node) = &address.node_name {
        for message in names::dns1123_subdomain(node) {
            errs.push(Error::invalid(&path.child("nodeName"), node, message));
        }
    }
    if errs.is_empty() {
        errs.extend(special_ip_errors(&address.ip, &path.child("ip")));
    }
    errs
}

/// Addresses that would let a service reach the node itself, or nothing at all.
pub(crate) fn special_ip_errors(text: &str, path: &Path) -> ErrorList {
    let Ok(ip) = text.parse::<std::net::IpAddr>() else { return ErrorList::new() };
    let mut errs = ErrorList::new();
    let mut refuse = |bad: bool, detail: &str| {
        if bad {
            errs.push(Error::invalid(path, text, detail));
        }
    };
    refuse(ip.is_unspecified(), &format!("may not be unspecified ({text})"));
    refuse(ip.is_loopback(), "may not be in the loopback range (127.0.0.0/8, ::1/128)");
    let (unicast, multicast) = match ip {
        std::net::IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        std::net::IpAddr::V6(v6) => (v6.is_unicast_link_local(), v6.segments()[0] & 0xff0f == 0xff02),
    };
    refuse(unicast, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
    refuse(multicast, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
    errs
}

fn port_errors(port: &EndpointPort, needs_name: bool, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let name = port.name.as_deref().unwrap_or_default();
    if name.is_empty() {
        if needs_name {
            errs.push(Error::required(&path.child("name"), ""));
        }
    } else {
        for message in names::dns1123_label(name) {
            errs.push(Error::invalid(&path.child("name"), name, message));
        }
    }
    for message in names::port_number(port.port.into()) {
        errs.push(Error::invalid(&path.child("port"), port.port, message));
    }
    errs.extend(one_of(
        &path.child("protocol"),
        port.protocol.as_deref().unwrap_or_default(),
        &["SCTP", "TCP", "UDP"],
    ));
    if let Some(protocol) = &port.app_protocol {
        for message in names::qualified_name(protocol) {
            errs.push(Error::invalid(&path.child("appProtocol"), protocol, message));
        }
    }
    errs
}

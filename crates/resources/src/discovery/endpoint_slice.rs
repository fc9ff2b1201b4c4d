//! Endpoint slices: who answers for a service.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
use serde_json::{Value, json};

use crate::check::{known, one_of, required};
use crate::columns::{AGE, NAME, first_three, text};
use crate::core::endpoints::special_ip_errors;
use crate::desired;
use crate::strategy::{Column, Part, age};

#[cfg(test)]
mod tests;

/// The label that names the service.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// The label that names who keeps the slice.
pub const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";

const MAX_ADDRESSES: usize = 100;
const MAX_ENDPOINTS: usize = 1000;
const MAX_PORTS: usize = 20000;
const MAX_HINTS: usize = 8;

/// What endpoints of a slice are asked. An unknown condition is read for the common case.
pub trait EndpointExt {
    fn is_ready(&self) -> bool;
    fn is_serving(&self) -> bool;
    fn is_terminating(&self) -> bool;
}

impl EndpointExt for Endpoint {
    fn is_ready(&self) -> bool {
        self.conditions.as_ref().and_then(|c| c.ready).unwrap_or(true)
    }

    fn is_serving(&self) -> bool {
        self.conditions.as_ref().and_then(|c| c.serving.or(c.ready)).unwrap_or(true)
    }

    fn is_terminating(&self) -> bool {
        self.conditions.as_ref().and_then(|c| c.terminating).unwrap_or(false)
    }
}

/// The rules of endpoint slices.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = EndpointSlice;

    fn default(&self, slice: &mut EndpointSlice) {
        for port in slice.ports.iter_mut().flatten() {
            port.name.get_or_insert_default();
            port.protocol.get_or_insert_with(|| "TCP".into());
        }
        for endpoint in slice.endpoints.iter_mut().flatten() {
            endpoint.conditions.get_or_insert_default();
        }
    }

    fn prepare_create(&self, slice: &mut EndpointSlice) {
        slice.metadata.generation = Some(1);
    }

    fn prepare_update(&self, new: &mut EndpointSlice, old: &EndpointSlice, _: Part) {
        let fields = ["addressType", "endpoints", "ports"];
        let changed = fields.iter().any(|f| desired::changed(new, old, f))
            || new.metadata.labels != old.metadata.labels;
        new.metadata.generation =
            Some(old.metadata.generation.unwrap_or(0).saturating_add(i64::from(changed)));
    }

    fn validate(&self, slice: &EndpointSlice) -> ErrorList {
        let mut errs = type_errors(&slice.address_type, &Path::new("addressType"));
        errs.extend(endpoints_errors(slice));
        errs.extend(ports_errors(slice.ports.as_deref().unwrap_or_default()));
        errs
    }

    fn validate_update(&self, new: &EndpointSlice, old: &EndpointSlice, _: Part) -> ErrorList {
        let mut errs = self.validate(new);
        if new.address_type != old.address_type {
            errs.push(Error::invalid(&Path::new("addressType"), &new.address_type, "field is immutable"));
        }
        errs
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            text("AddressType", "What the addresses are."),
            text("Ports", "The ports of every endpoint."),
            text("Endpoints", "The addresses."),
            AGE,
        ];
        COLUMNS
    }

    fn row(&self, slice: &EndpointSlice, now: Timestamp) -> Vec<Value> {
        let ports = slice.ports.iter().flatten().map(|p| match (p.port, &p.name) {
            (Some(port), _) => port.to_string(),
            (None, Some(name)) => name.clone(),
            (None, None) => "*".into(),
        });
        let addresses = slice.endpoints.iter().flatten().flat_map(|e| e.addresses.iter().cloned());
        vec![
            json!(slice.name()),
            json!(slice.address_type),
            json!(first_three(ports.collect())),
            json!(first_three(addresses.collect())),
            json!(age(&slice.metadata, now)),
        ]
    }
}

fn type_errors(kind: &str, path: &Path) -> ErrorList {
    one_of(path, kind, &["FQDN", "IPv4", "IPv6"])
}

fn endpoints_errors(slice: &EndpointSlice) -> ErrorList {
    let mut errs = ErrorList::new();
    let path = Path::new("endpoints");
    let endpoints = slice.endpoints.as_deref().unwrap_or_default();
    if endpoints.len() > MAX_ENDPOINTS {
        errs.push(Error::too_many(&path, endpoints.len(), MAX_ENDPOINTS));
        return errs;
    }
    for (i, endpoint) in endpoints.iter().enumerate() {
        errs.extend(endpoint_errors(endpoint, &slice.address_type, &path.index(i)));
    }
    errs
}

fn endpoint_errors(endpoint: &Endpoint, kind: &str, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let addresses = path.child("addresses");
    match endpoint.addresses.len() {
        0 => errs.push(Error::required(&addresses, "must contain at least 1 address")),
        n if n > MAX_ADDRESSES => errs.push(Error::too_many(&addresses, n, MAX_ADDRESSES)),
        _ => {}
    }
    for (i, address) in endpoint.addresses.iter().enumerate() {
        errs.extend(address_errors(address, kind, &addresses.index(i)));
    }
    if let Some(node) = &endpoint.node_name {
        for message in names::dns1123_subdomain(node) {
            errs.push(Error::invalid(&path.child("nodeName"), node, message));
        }
    }
    for key in endpoint.deprecated_topology.iter().flatten().map(|(key, _)| key) {
        errs.extend(names::label_key(key, &path.child("deprecatedTopology").key(key)));
    }
    if let Some(name) = &endpoint.hostname {
        for message in names::dns1123_label(name) {
            errs.push(Error::invalid(&path.child("hostname"), name, message));
        }
    }
    errs.extend(hints_errors(endpoint, &path.child("hints")));
    errs
}

fn address_errors(address: &str, kind: &str, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let family = |wanted_v4: bool, what: &str| -> ErrorList {
        let mut errs: ErrorList =
            names::ip(address).into_iter().map(|m| Error::invalid(path, address, m)).collect();
        let ip = address.parse::<std::net::IpAddr>();
        if ip.is_ok_and(|ip| ip.is_ipv4() != wanted_v4) {
            errs.push(Error::invalid(path, address, what));
        }
        errs
    };
    match kind {
        "IPv4" => errs.extend(family(true, "must be an IPv4 address")),
        "IPv6" => errs.extend(family(false, "must be an IPv6 address")),
        "FQDN" => {
            for message in names::fully_qualified_domain(address) {
                errs.push(Error::invalid(path, address, message));
            }
            return errs;
        }
        _ => return errs,
    }
    if errs.is_empty() {
        errs.extend(special_ip_errors(address, path));
    }
    errs
}

fn hints_errors(endpoint: &Endpoint, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let Some(hints) = &endpoint.hints else { return errs };
    let zones = hints.for_zones.iter().flatten().map(|z| z.name.as_str()).collect();
    let nodes = hints.for_nodes.iter().flatten().map(|n| n.name.as_str()).collect();
    let check_zone: fn(&str) -> Vec<String> = names::label_value;
    let check_node: fn(&str) -> Vec<String> = names::dns1123_subdomain;
    let lists: [(&str, Vec<&str>, _); 2] = [("forZones", zones, check_zone), ("forNodes", nodes, check_node)];
    for (field, list, check) in lists {
        let path = path.child(field);
        if list.len() > MAX_HINTS {
            errs.push(Error::too_many(&path, list.len(), MAX_HINTS));
            return errs;
        }
        for (i, name) in list.iter().enumerate() {
            let path = path.index(i).child("name");
            if list[..i].contains(name) {
                errs.push(Error::duplicate(&path, *name));
            }
            for message in check(name) {
                errs.push(Error::invalid(&path, *name, message));
            }
        }
    }
    errs
}

fn ports_errors(ports: &[EndpointPort]) -> ErrorList {
    const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];
    let mut errs = ErrorList::new();
    let path = Path::new("ports");
    if ports.len() > MAX_PORTS {
        errs.push(Error::too_many(&path, ports.len(), MAX_PORTS));
        return errs;
    }
    for (i, port) in ports.iter().enumerate() {
        let path = path.index(i);
        let name = port.name.as_deref().unwrap_or_default();
        if !name.is_empty() {
            for message in names::dns1123_label(name) {
                errs.push(Error::invalid(&path.child("name"), name, message));
            }
        }
        if ports[..i].iter().any(|p| p.name.as_deref().unwrap_or_default() == name) {
            errs.push(Error::duplicate(&path.child("name"), name));
        }
        if let Some(number) = port.port {
            for message in names::port_number(number.into()) {
                errs.push(Error::invalid(&path.child("port"), number, message));
            }
        }
        errs.extend(match port.protocol.as_deref() {
            None => required(&path.child("protocol"), ""),
            Some(protocol) => known(&path.child("protocol"), protocol, PROTOCOLS),
        });
        if let Some(protocol) = &port.app_protocol {
            for message in names::qualified_name(protocol) {
                errs.push(Error::invalid(&path.child("appProtocol"), protocol, message));
            }
        }
    }
    errs
}

//! Which endpoints a service port is led to: upstream's rules of readiness, termination, locality and hints.

use std::collections::BTreeSet;
use std::net::IpAddr;

use k8s_openapi::api::discovery::v1::{Endpoint as Object, EndpointSlice};
use resources::prelude::EndpointExt as _;

use crate::rules::{Endpoint, Ip, Protocol};

/// What of this node matters to the choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    pub name: String,
    /// `topology.kubernetes.io/zone`
    pub zone: Option<String>,
    /// Where node ports are answered.
    pub addresses: BTreeSet<IpAddr>,
}

/// The endpoints of one service port and family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// Wherever they are.
    pub cluster: BTreeSet<Endpoint>,
    /// Those on this node.
    pub local: BTreeSet<Endpoint>,
}

struct Candidate<'a> {
    at: Endpoint,
    object: &'a Object,
    local: bool,
}

/// Chooses among `slices`, which are all of one service.
pub fn choose(slices: &[EndpointSlice], port_name: &str, protocol: Protocol, ip: Ip, node: &Node) -> Chosen {
    let all = candidates(slices, port_name, protocol, ip, node);
    let ready: Vec<&Candidate<'_>> = all.iter().filter(|c| c.object.is_ready()).collect();
    // KEP-1669: while nobody is ready, those that end but still serve are better than none.
    let leaving = || all.iter().filter(|c| c.object.is_serving() && c.object.is_terminating());
    let mut cluster = hinted(&ready, node);
    if cluster.is_empty() {
        cluster = leaving().map(|c| c.at).collect();
    }
    let mut local: BTreeSet<Endpoint> = ready.iter().filter(|c| c.local).map(|c| c.at).collect();
    if local.is_empty() {
        local = leaving().filter(|c| c.local).map(|c| c.at).collect();
    }
    Chosen { cluster, local }
}

fn candidates<'a>(
    slices: &'a [EndpointSlice],
    port_name: &str,
    protocol: Protocol,
    ip: Ip,
    node: &Node,
) -> Vec<Candidate<'a>> {
    let mut found = Vec::new();
    for slice in slices {
        let ports = slice.ports.iter().flatten().filter(|p| {
            p.name.as_deref().unwrap_or_default() == port_name
                && Protocol::parse(p.protocol.as_deref().unwrap_or_default()) == Some(protocol)
        });
        for port in ports.filter_map(|p| p.port.and_then(|n| u16::try_from(n).ok())).filter(|n| *n != 0) {
            for object in slice.endpoints.iter().flatten() {
                // Consumers take the first address only; the API says so.
                let address = object.addresses.first().and_then(|a| a.parse::<IpAddr>().ok());
                let Some(address) = address.filter(|a| Ip::of(*a) == ip) else { continue };
                let local = object.node_name.as_deref() == Some(&*node.name);
                found.push(Candidate { at: Endpoint { ip: address, port }, object, local });
            }
        }
    }
    found
}

/// Those whose hints name this node, else this zone; all, unless every one has a hint of that sort and one fits.
fn hinted(ready: &[&Candidate<'_>], node: &Node) -> BTreeSet<Endpoint> {
    let by = |names: &dyn Fn(&Object) -> Vec<String>, me: &str| -> Option<BTreeSet<Endpoint>> {
        let hints: Vec<(Endpoint, Vec<String>)> = ready.iter().map(|c| (c.at, names(c.object))).collect();
        if hints.iter().any(|(_, names)| names.is_empty()) {
            return None;
        }
        let fit: BTreeSet<Endpoint> =
            hints.into_iter().filter(|(_, names)| names.iter().any(|n| n == me)).map(|(at, _)| at).collect();
        (!fit.is_empty()).then_some(fit)
    };
    let nodes = |o: &Object| {
        let hints = o.hints.as_ref().and_then(|h| h.for_nodes.as_ref());
        hints.into_iter().flatten().map(|h| h.name.clone()).collect()
    };
    let zones = |o: &Object| {
        let hints = o.hints.as_ref().and_then(|h| h.for_zones.as_ref());
        hints.into_iter().flatten().map(|h| h.name.clone()).collect()
    };
    by(&nodes, &node.name)
        .or_else(|| by(&zones, node.zone.as_deref()?))
        .unwrap_or_else(|| ready.iter().map(|c| c.at).collect())
}

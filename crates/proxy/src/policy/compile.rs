//! From policies, pods and namespaces to this node's table.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use apimachinery::Selector;
use ipnet::IpNet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::networking::v1::{IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use resources::prelude::*;
use resources::selector;

use super::table::{Allow, Direction, Peers, Ports, Table, name};
use crate::rules::Protocol;

type Labels = BTreeMap<String, String>;

/// What policies ask of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    pub namespace: String,
    pub labels: Labels,
    pub node: String,
    pub addresses: Vec<IpAddr>,
    /// Names of its containers' ports.
    pub ports: Vec<(String, Protocol, u16)>,
}

impl Member {
    /// None for a pod that has no address of its own: its node's are not filtered, and nobody's peers.
    pub fn of(pod: &Pod) -> Option<Member> {
        let spec = pod.spec.as_ref()?;
        if spec.host_network.unwrap_or(false) || pod.is_terminal() {
            return None;
        }
        let addresses: Vec<IpAddr> = pod
            .status
            .iter()
            .flat_map(|s| s.pod_ips.iter().flatten())
            .filter_map(|a| a.ip.parse().ok())
            .collect();
        if addresses.is_empty() {
            return None;
        }
        // Those of sidecars, too.
        let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
        let ports = containers.flat_map(|c| c.ports.iter().flatten()).filter_map(|port| {
            let protocol = Protocol::parse(port.protocol.as_deref().unwrap_or("TCP"))?;
            Some((port.name.clone()?, protocol, u16::try_from(port.container_port).ok()?))
        });
        Some(Member {
            namespace: pod.metadata.namespace.clone().unwrap_or_default(),
            labels: pod.metadata.labels.clone().unwrap_or_default(),
            node: spec.node_name.clone().unwrap_or_default(),
            addresses,
            ports: ports.collect(),
        })
    }

    fn port(&self, name: &str, protocol: Protocol) -> Option<u16> {
        self.ports.iter().find(|(n, p, _)| n == name && *p == protocol).map(|(_, _, number)| *number)
    }
}

/// A rule of a policy, either direction.
struct Rule<'a> {
    peers: &'a [NetworkPolicyPeer],
    ports: &'a [NetworkPolicyPort],
}

struct World<'a> {
    pods: &'a [&'a Member],
    namespaces: &'a BTreeMap<String, Labels>,
}

/// The table for the pods of `node`. A policy whose selectors are broken selects nothing: validation lets none in.
pub fn compile(
    policies: &[NetworkPolicy],
    pods: &[&Member],
    namespaces: &BTreeMap<String, Labels>,
    node: &str,
) -> Table {
    let world = World { pods, namespaces };
    let mut table = Table::default();
    // Per local pod: what its policies allow; no entry where none is for it.
    let mut allowed: BTreeMap<(Direction, usize), Vec<Allow>> = BTreeMap::new();
    for policy in policies {
        let namespace = policy.metadata.namespace.as_deref().unwrap_or_default();
        let wanted = policy.spec.as_ref().and_then(|s| s.pod_selector.clone()).unwrap_or_default();
        let Ok(selector) = wanted.compile() else { continue };
        let selected =
            |pod: &Member| pod.node == node && pod.namespace == namespace && selector.matches(&pod.labels);
        let selected: Vec<usize> = (0..pods.len()).filter(|i| selected(pods[*i])).collect();
        if selected.is_empty() {
            continue;
        }
        for direction in [Direction::Ingress, Direction::Egress] {
            let filters = match direction {
                Direction::Ingress => policy.filters_ingress(),
                Direction::Egress => policy.filters_egress(),
            };
            if !filters {
                continue;
            }
            let rules = rules(policy, direction);
            for pod in &selected {
                let of_pod = allowed.entry((direction, *pod)).or_default();
                for rule in &rules {
                    of_pod.extend(world.allow(rule, direction, namespace, pods[*pod], &mut table));
                }
            }
        }
    }
    for ((direction, pod), allowed) in allowed {
        let chain = table.chain(direction, allowed);
        let of_direction = match direction {
            Direction::Ingress => &mut table.ingress,
            Direction::Egress => &mut table.egress,
        };
        of_direction.extend(pods[pod].addresses.iter().map(|a| (*a, chain.clone())));
    }
    table
}

fn rules(policy: &NetworkPolicy, direction: Direction) -> Vec<Rule<'_>> {
    let Some(spec) = &policy.spec else { return Vec::new() };
    match direction {
        Direction::Ingress => {
            let rules = spec.ingress.iter().flatten();
            rules.map(|r| rule(r.from.as_deref(), r.ports.as_deref())).collect()
        }
        Direction::Egress => {
            let rules = spec.egress.iter().flatten();
            rules.map(|r| rule(r.to.as_deref(), r.ports.as_deref())).collect()
        }
    }
}

fn rule<'a>(peers: Option<&'a [NetworkPolicyPeer]>, ports: Option<&'a [NetworkPolicyPort]>) -> Rule<'a> {
    Rule { peers: peers.unwrap_or_default(), ports: ports.unwrap_or_default() }
}

impl World<'_> {
    /// What a rule allows `pod`. No peers are everybody, no ports are all.
    fn allow(
        &self,
        rule: &Rule<'_>,
        direction: Direction,
        namespace: &str,
        pod: &Member,
        table: &mut Table,
    ) -> Vec<Allow> {
        let everybody = [None];
        let peers: Vec<Option<&NetworkPolicyPeer>> = match rule.peers {
            [] => everybody.into(),
            peers => peers.iter().map(Some).collect(),
        };
        let mut all = Vec::new();
        for peer in peers {
            if rule.ports.is_empty() {
                all.push(Allow { peers: self.peers(peer, namespace, table), port: Ports::All });
            }
            for port in rule.ports {
                let Some(protocol) = Protocol::parse(port.protocol.as_deref().unwrap_or("TCP")) else {
                    continue;
                };
                match (&port.port, direction) {
                    // Whose port it is: the destination's. A name may mean another number in every pod.
                    (Some(IntOrString::String(named)), Direction::Ingress) => {
                        let number = pod.port(named, protocol);
                        all.extend(number.map(|number| Allow {
                            peers: self.peers(peer, namespace, table),
                            port: Ports::Range(protocol, number, number),
                        }));
                    }
                    (Some(IntOrString::String(named)), Direction::Egress) => {
                        all.extend(self.named(peer, namespace, named, protocol, table));
                    }
                    (numbered, _) => all.extend(
                        numbers(numbered.as_ref(), port, protocol)
                            .map(|port| Allow { peers: self.peers(peer, namespace, table), port }),
                    ),
                }
            }
        }
        all
    }

    fn peers(&self, peer: Option<&NetworkPolicyPeer>, namespace: &str, table: &mut Table) -> Peers {
        let Some(peer) = peer else { return Peers::Everybody };
        if let Some(block) = &peer.ip_block {
            let ranges = ranges(block);
            let name = name("block", &ranges);
            table.blocks.entry(name.clone()).or_insert(ranges);
            return Peers::Block(name);
        }
        let name = name("pods", identity(peer, namespace));
        if !table.sets.contains_key(&name) {
            let selected = self.selected(peer, namespace);
            table.sets.insert(name.clone(), selected.flat_map(|pod| pod.addresses.iter().copied()).collect());
        }
        Peers::Set(name)
    }

    /// A named port of the peers: a set for each number that it means.
    fn named(
        &self,
        peer: Option<&NetworkPolicyPeer>,
        namespace: &str,
        port: &str,
        protocol: Protocol,
        table: &mut Table,
    ) -> Vec<Allow> {
        let mut by_number: BTreeMap<u16, BTreeSet<IpAddr>> = BTreeMap::new();
        let block = peer.and_then(|p| p.ip_block.as_ref()).map(ranges);
        let pods: Vec<&Member> = match peer {
            Some(peer) if block.is_none() => self.selected(peer, namespace).collect(),
            _ => self.pods.to_vec(),
        };
        for pod in pods {
            let Some(number) = pod.port(port, protocol) else { continue };
            let within = |a: &IpAddr| block.as_ref().is_none_or(|b| b.iter().any(|range| range.contains(a)));
            by_number.entry(number).or_default().extend(pod.addresses.iter().copied().filter(within));
        }
        let what = peer.map(|p| identity(p, namespace));
        let allow = |(number, addresses)| {
            let name = name("named", (&what, &block, port, protocol, number));
            table.sets.insert(name.clone(), addresses);
            Allow { peers: Peers::Set(name), port: Ports::Range(protocol, number, number) }
        };
        by_number.into_iter().map(allow).collect()
    }

    /// The pods that a peer means: of its own namespace, or of those that it selects.
    fn selected<'b>(
        &'b self,
        peer: &NetworkPolicyPeer,
        namespace: &'b str,
    ) -> impl Iterator<Item = &'b Member> + use<'b> {
        let pods = peer.pod_selector.as_ref().map_or_else(Selector::everything, compiled);
        let namespaces = peer.namespace_selector.as_ref().map(compiled);
        let none = Labels::new();
        let in_namespace = move |pod: &Member| match &namespaces {
            None => pod.namespace == namespace,
            Some(selector) => selector.matches(self.namespaces.get(&pod.namespace).unwrap_or(&none)),
        };
        self.pods.iter().copied().filter(move |pod| in_namespace(pod) && pods.matches(&pod.labels))
    }
}

fn compiled(selector: &k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector) -> Selector {
    selector::compile(Some(selector)).unwrap_or_else(|_| Selector::nothing())
}

/// What tells one peer from another. Selectors without a namespace's are about the policy's own.
fn identity(peer: &NetworkPolicyPeer, namespace: &str) -> String {
    let own = if peer.namespace_selector.is_some() { "" } else { namespace };
    format!("{own}/{:?}/{:?}", peer.namespace_selector, peer.pod_selector)
}

/// A port by its number, a range of them, or all of the protocol.
fn numbers(port: Option<&IntOrString>, rule: &NetworkPolicyPort, protocol: Protocol) -> Option<Ports> {
    let Some(IntOrString::Int(first)) = port else { return Some(Ports::Protocol(protocol)) };
    let last = rule.end_port.unwrap_or(*first);
    Some(Ports::Range(protocol, u16::try_from(*first).ok()?, u16::try_from(last).ok()?))
}

/// The block without its exceptions.
fn ranges(block: &IPBlock) -> Vec<IpNet> {
    let Ok(whole) = block.cidr.parse::<IpNet>() else { return Vec::new() };
    let mut left = vec![whole.trunc()];
    for except in block.except.iter().flatten().filter_map(|e| e.parse::<IpNet>().ok()) {
        left = left.into_iter().flat_map(|range| without(range, except.trunc())).collect();
    }
    IpNet::aggregate(&left)
}

/// `range` in parts, but for `except`.
fn without(range: IpNet, except: IpNet) -> Vec<IpNet> {
    if except.contains(&range) {
        return Vec::new();
    }
    if !range.contains(&except) {
        return vec![range];
    }
    // One longer than the range is never longer than the exception, which lies within it and is shorter.
    let Ok(halves) = range.subnets(range.prefix_len() + 1) else { return vec![range] };
    halves.flat_map(|half| without(half, except)).collect()
}

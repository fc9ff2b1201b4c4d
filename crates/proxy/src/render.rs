//! One service and its endpoint slices → its [`Part`] of the table. Pure.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use codec::Kind as _;
use ipnet::IpNet;
use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use resources::prelude::ServiceExt as _;

use crate::endpoints::{Chosen, Node, choose};
use crate::rules::{Chain, Endpoint, Ip, Key, Kind, Part, Pool, Protocol, Step, Value};

/// Where dead ports lead: a refusal at once.
pub const REJECT: &str = "reject";

/// Services and slices with it belong to another proxy.
pub const OTHER_PROXY: &str = "service.kubernetes.io/service-proxy-name";
/// What `sessionAffinity: ClientIP` means without a time-out.
const AFFINITY_SECONDS: i32 = resources::core::service::AFFINITY_SECONDS;

/// Numbers for pools. A pool's comes from its name, so that what the kernel remembers of clients means the same to the next
/// process.
#[derive(Debug)]
pub struct Ids {
    taken: HashMap<u32, String>,
    first: fn(&str) -> u32,
}

impl Default for Ids {
    fn default() -> Self {
        Ids { taken: HashMap::new(), first: hash }
    }
}

impl Ids {
    fn of(&mut self, name: &str) -> u32 {
        let mut id = (self.first)(name);
        while self.taken.get(&id).is_some_and(|owner| owner != name) {
            id = id.wrapping_add(1);
        }
        self.taken.insert(id, name.to_owned());
        id
    }

    /// Gives back the numbers of pools that are in `before` and no more in `after`.
    pub fn free(&mut self, before: &Part, after: &Part) {
        for (_, pool) in before.pools.iter().filter(|(name, _)| !after.pools.contains_key(*name)) {
            self.taken.remove(&pool.id);
        }
    }
}

/// FNV-1a: the same in every process and version.
fn hash(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// What `service` puts into the table; nothing for services without an address. `previous` is what it put there last: pools
/// keep their numbers and their order.
pub fn render(
    service: &Service,
    slices: &[EndpointSlice],
    node: &Node,
    previous: Option<&Part>,
    ids: &mut Ids,
) -> Part {
    let mut part = Part::default();
    let labels = service.metadata.labels.as_ref();
    let no_proxy = service.service_type() == "ExternalName" || service.is_headless();
    if no_proxy || labels.is_some_and(|l| l.contains_key(OTHER_PROXY)) {
        return part;
    }
    let policy = Policy::of(service);
    let addresses = Addresses::of(service);
    for ip in &addresses.cluster {
        part.element(Kind::ClusterIps, Ip::of(*ip), Key::Address(*ip), Value::Present);
    }
    for port in service.spec.iter().flat_map(|s| s.ports.iter().flatten()) {
        let Some(protocol) = Protocol::parse(port.protocol.as_deref().unwrap_or_default()) else { continue };
        for ip in Ip::BOTH.into_iter().filter(|ip| addresses.has(*ip)) {
            let chosen = choose(slices, port.name.as_deref().unwrap_or_default(), protocol, ip, node);
            let name = format!(
                "{}/{}/{protocol}/{}",
                service.namespace(),
                service.name(),
                port.name.as_deref().unwrap_or_default()
            );
            let part = &mut part;
            Writer { part, previous, ids, policy: &policy, node, name, ip, protocol, port, chosen }
                .write(&addresses);
        }
    }
    part.health = health(service, &part);
    part
}

/// Where a balancer asks whether this node has endpoints.
fn health(service: &Service, part: &Part) -> Option<(u16, usize)> {
    let spec = service.spec.as_ref().filter(|s| s.external_traffic_policy.as_deref() == Some("Local"))?;
    let port = spec.health_check_node_port.and_then(|p| u16::try_from(p).ok()).filter(|p| *p != 0)?;
    let local = part.pools.iter().filter(|(name, _)| name.starts_with("local"));
    let addresses: BTreeSet<IpAddr> = local.flat_map(|(_, p)| p.slots.iter().map(|e| e.ip)).collect();
    Some((port, addresses.len()))
}

/// How a service wants to be reached.
struct Policy {
    internal_local: bool,
    external_local: bool,
    /// Seconds that a client stays with its endpoint.
    affinity: Option<u32>,
    /// Who may use the load balancer's addresses; empty: everybody.
    sources: Vec<IpNet>,
}

impl Policy {
    fn of(service: &Service) -> Self {
        let spec = service.service_spec();
        let seconds = || {
            let config = spec.session_affinity_config.as_ref().and_then(|c| c.client_ip.as_ref());
            config.and_then(|c| c.timeout_seconds).unwrap_or(AFFINITY_SECONDS).max(1) as u32
        };
        let ranges = spec.load_balancer_source_ranges.iter().flatten();
        Policy {
            internal_local: spec.internal_traffic_policy.as_deref() == Some("Local"),
            external_local: spec.external_traffic_policy.as_deref() == Some("Local"),
            affinity: (spec.session_affinity.as_deref() == Some("ClientIP")).then(seconds),
            sources: ranges.filter_map(|r| r.trim().parse().ok()).collect(),
        }
    }
}

/// Where a service answers.
struct Addresses {
    cluster: Vec<IpAddr>,
    external: Vec<IpAddr>,
    balancer: Vec<IpAddr>,
}

impl Addresses {
    fn of(service: &Service) -> Self {
        let parse = |a: &str| a.parse::<IpAddr>().ok();
        let spec = service.spec.as_ref();
        let status = service.status.as_ref().and_then(|s| s.load_balancer.as_ref());
        let ingress = status.iter().flat_map(|l| l.ingress.iter().flatten());
        Addresses {
            cluster: service.cluster_ips().into_iter().filter_map(parse).collect(),
            external: spec
                .iter()
                .flat_map(|s| s.external_ips.iter().flatten())
                .filter_map(|a| parse(a))
                .collect(),
            balancer: match service.service_type() {
                // A balancer of ipMode Proxy wants its own packets back.
                "LoadBalancer" => ingress
                    .filter(|i| i.ip_mode.as_deref() != Some("Proxy"))
                    .filter_map(|i| parse(i.ip.as_deref()?))
                    .collect(),
                _ => Vec::new(),
            },
        }
    }

    /// The service is of this family.
    fn has(&self, ip: Ip) -> bool {
        self.cluster.iter().any(|a| Ip::of(*a) == ip)
    }
}

/// One port of a service in one family.
struct Writer<'a> {
    part: &'a mut Part,
    previous: Option<&'a Part>,
    ids: &'a mut Ids,
    policy: &'a Policy,
    node: &'a Node,
    /// `namespace/service/protocol/port name`
    name: String,
    ip: Ip,
    protocol: Protocol,
    port: &'a ServicePort,
    chosen: Chosen,
}

impl Writer<'_> {
    fn write(&mut self, addresses: &Addresses) {
        let Ok(number) = u16::try_from(self.port.port) else { return };
        let ip = self.ip;
        let of_family = move |list: &[IpAddr]| -> Vec<IpAddr> {
            list.iter().copied().filter(|a| Ip::of(*a) == ip).collect()
        };
        let node_port = self.port.node_port.and_then(|n| u16::try_from(n).ok()).filter(|n| *n != 0);
        let (external, balancer) = (of_family(&addresses.external), of_family(&addresses.balancer));
        let has_external = node_port.is_some() || !external.is_empty() || !balancer.is_empty();
        let needs_local = self.policy.internal_local || self.policy.external_local && has_external;

        let everywhere = self.pool("service", self.chosen.cluster.clone(), None);
        let memory = self.part.pools.get(&self.chain("service")).map(|p| p.id);
        let here = match needs_local {
            true => self.pool("local", self.chosen.local.clone(), memory),
            false => None,
        };
        let alive = everywhere.is_some() || here.is_some();

        let internal = match self.policy.internal_local {
            true => here.as_ref().map(|chain| self.internal(chain)),
            false => everywhere.clone(),
        };
        for address in of_family(&addresses.cluster) {
            let key = Key::Frontend(address, self.protocol, number);
            match &internal {
                Some(chain) => self.element(Kind::Frontends, key, Value::Goto(chain.clone())),
                None => self.element(Kind::Dead, key, dead(alive)),
            }
        }
        if !has_external {
            return;
        }
        let outside = self.external(everywhere.as_deref(), here.as_deref());
        let answered = if self.policy.external_local { here.is_some() } else { everywhere.is_some() };
        let places = external
            .iter()
            .chain(&balancer)
            .map(|a| (Kind::Frontends, Kind::Dead, Key::Frontend(*a, self.protocol, number)))
            .chain(node_port.map(|n| (Kind::NodePorts, Kind::DeadNodePorts, Key::Port(self.protocol, n))));
        for (lives, dies, key) in places.collect::<Vec<_>>() {
            if let Some(chain) = &outside {
                self.element(lives, key, Value::Goto(chain.clone()));
            }
            if !answered {
                self.element(dies, key, dead(alive));
            }
        }
        self.guard(&balancer, number);
    }

    fn element(&mut self, kind: Kind, key: Key, value: Value) {
        if matches!(key, Key::Frontend(_, Protocol::Udp, _) | Key::Port(Protocol::Udp, _)) {
            let all = self.chosen.cluster.union(&self.chosen.local).copied().collect();
            self.part.udp.insert(key, all);
        }
        self.part.element(kind, self.ip, key, value);
    }

    fn chain(&self, kind: &str) -> String {
        format!("{kind}{}/{}", self.ip.digit(), self.name)
    }

    /// The chain that balances over `wanted`, if there is anybody.
    fn pool(&mut self, kind: &str, wanted: BTreeSet<Endpoint>, memory: Option<u32>) -> Option<String> {
        if wanted.is_empty() {
            return None;
        }
        let name = self.chain(kind);
        let before = self.previous.and_then(|p| p.pools.get(&name));
        let id = before.map_or_else(|| self.ids.of(&name), |p| p.id);
        let slots = number(before.map_or(&[], |p| &p.slots), wanted);
        let count = slots.len() as u32;
        for (n, endpoint) in slots.iter().enumerate() {
            self.element(Kind::Endpoints, Key::Slot(id, n as u32), Value::Endpoint(*endpoint));
            self.element(Kind::Hairpins, Key::Address(endpoint.ip), Value::Present);
            if self.policy.affinity.is_some() {
                self.element(Kind::Members, Key::Member(id, *endpoint), Value::Present);
            }
        }
        let choose = match self.policy.affinity {
            None => Step::Balance { pool: id, count },
            Some(seconds) => Step::Remember { pool: id, count, memory: memory.unwrap_or(id), seconds },
        };
        let steps = match kind {
            // Who comes from outside keeps his address on the way to a local pool: that is what it is for.
            "local" => vec![choose],
            _ => vec![Step::MasqueradeUnlessPod, choose],
        };
        self.part.chains.insert(name.clone(), Chain { ip: self.ip, steps });
        self.part.pools.insert(name.clone(), Pool { id, slots });
        Some(name)
    }

    /// The chain for the cluster's own clients of a service that answers them on their node only.
    fn internal(&mut self, here: &str) -> String {
        let name = self.chain("internal");
        let steps = vec![Step::MasqueradeUnlessPod, Step::Goto(here.to_owned())];
        self.part.chains.insert(name.clone(), Chain { ip: self.ip, steps });
        name
    }

    /// The chain for addresses and ports by which the world comes in.
    fn external(&mut self, everywhere: Option<&str>, here: Option<&str>) -> Option<String> {
        let mut steps = Vec::new();
        if self.policy.external_local {
            // Pods and this node itself are not "outside", whatever address they use.
            if let Some(chain) = everywhere {
                steps.push(Step::PodsGoto(chain.to_owned()));
                steps.push(Step::HostGoto(chain.to_owned()));
            }
            steps.extend(here.map(|chain| Step::Goto(chain.to_owned())));
        } else if let Some(chain) = everywhere {
            steps = vec![Step::Masquerade, Step::Goto(chain.to_owned())];
        }
        if steps.is_empty() {
            return None;
        }
        let name = self.chain("external");
        self.part.chains.insert(name.clone(), Chain { ip: self.ip, steps });
        Some(name)
    }

    /// `loadBalancerSourceRanges`
    fn guard(&mut self, balancer: &[IpAddr], number: u16) {
        if self.policy.sources.is_empty() || balancer.is_empty() {
            return;
        }
        let name = self.chain("firewall");
        let family = |range: &&IpNet| Ip::of(range.addr()) == self.ip;
        let mut sources: Vec<IpNet> = self.policy.sources.iter().filter(family).copied().collect();
        // A node that may come in may also show up with the balancer's address as its own.
        if sources.iter().any(|range| self.node.addresses.iter().any(|a| range.contains(a))) {
            sources.extend(balancer.iter().map(|a| IpNet::from(*a)));
        }
        let steps = vec![Step::ReturnFrom(sources), Step::Drop];
        self.part.chains.insert(name.clone(), Chain { ip: self.ip, steps });
        for address in balancer {
            let key = Key::Frontend(*address, self.protocol, number);
            self.element(Kind::Guarded, key, Value::Goto(name.clone()));
        }
    }
}

/// With endpoints elsewhere nothing is said, so that a balancer tries another node; without any the client learns at once.
fn dead(alive: bool) -> Value {
    if alive { Value::Drop } else { Value::Goto(REJECT.into()) }
}

/// Numbers for `wanted`: who was there keeps his, and a gap is filled by the newcomers, at last by the last.
fn number(before: &[Endpoint], mut wanted: BTreeSet<Endpoint>) -> Vec<Endpoint> {
    let count = wanted.len();
    let mut slots: Vec<Option<Endpoint>> = before.iter().map(|e| wanted.remove(e).then_some(*e)).collect();
    let mut new = wanted.into_iter();
    for slot in slots.iter_mut().filter(|s| s.is_none()) {
        *slot = new.next();
    }
    slots.extend(new.map(Some));
    while slots.len() > count {
        match slots.pop().flatten() {
            Some(last) => {
                if let Some(gap) = slots.iter_mut().find(|s| s.is_none()) {
                    *gap = Some(last);
                }
            }
            None => continue,
        }
    }
    slots.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests;

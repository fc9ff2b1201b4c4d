//! What names of the cluster mean: the Kubernetes DNS specification 1.1, over the index. Start at [`Zone::find`].
//!
//! A name either does not exist (`NXDOMAIN`) or holds records, perhaps none (an empty answer): whether it exists never depends on
//! the type that is asked for.

mod reverse;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use anyhow::{Result, bail};
use apimachinery::ObjectKey;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS, SOA, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use ipnet::IpNet;

use crate::records::{Port, Records, ServiceRecord, Target, undashed};

/// How long clients may keep what is told here, in seconds; also what does not exist.
pub const TTL: u32 = 5;
/// The version of the specification.
const VERSION: &str = "1.1.0";

/// An answer, apart from the message that carries it.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub code: ResponseCode,
    /// From this server's own knowledge.
    pub authoritative: bool,
    /// The resolver behind it has checked signatures.
    pub authentic: bool,
    pub answers: Vec<Record>,
    pub authorities: Vec<Record>,
    pub additionals: Vec<Record>,
}

impl Answer {
    /// Nothing but a code.
    pub fn code(code: ResponseCode) -> Self {
        Answer {
            code,
            authoritative: false,
            authentic: false,
            answers: Vec::new(),
            authorities: Vec::new(),
            additionals: Vec::new(),
        }
    }
}

/// Where an answer is to be had.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    Here(Answer),
    /// The name is not the cluster's: ask others.
    Elsewhere,
    /// An alias of this name ([`alias`] is the record that says so).
    Alias(Name),
}

/// The record of an alias.
pub fn alias(name: Name, target: Name) -> Record {
    Record::from_rdata(name, TTL, RData::CNAME(CNAME(target)))
}

/// The names that the cluster answers for.
pub struct Zone {
    origin: Name,
    labels: Vec<String>,
    service_ips: Vec<IpAddr>,
    ranges: Vec<IpNet>,
}

/// What a name holds.
#[derive(Default)]
struct Node {
    data: Vec<RData>,
    additionals: Vec<Record>,
}

impl Zone {
    /// The zone of `domain`. Its own server is at `service_ips`; reverse names in `ranges` are answered here alone.
    pub fn new(domain: &str, service_ips: Vec<IpAddr>, ranges: Vec<IpNet>) -> Result<Self> {
        let origin = Name::from_ascii(format!("{}.", domain.trim_end_matches('.')))?.to_lowercase();
        if origin.is_root() {
            bail!("an empty domain");
        }
        let labels = labels(&origin);
        Ok(Zone { origin, labels, service_ips, ranges })
    }

    /// What is known of `name`. `serial` goes into SOA records.
    pub fn find(&self, records: &Records, name: &Name, kind: RecordType, serial: u32) -> Found {
        let asked = labels(name);
        if let Some(rest) = asked.strip_suffix(self.labels.as_slice()) {
            return self.own(records, name, kind, serial, rest);
        }
        match reverse::parse(&asked) {
            Some(net) => self.reverse(records, name, kind, serial, net),
            None => Found::Elsewhere,
        }
    }

    fn own(&self, records: &Records, name: &Name, kind: RecordType, serial: u32, rest: &[String]) -> Found {
        if !records.is_loaded() {
            return Found::Here(Answer::code(ResponseCode::ServFail));
        }
        let Some(node) = self.node(records, rest, serial) else {
            return Found::Here(self.nothing(ResponseCode::NXDomain, &self.origin, serial));
        };
        let alias = node.data.iter().find_map(|d| match d {
            RData::CNAME(CNAME(target)) => Some(target.clone()),
            _ => None,
        });
        match alias {
            Some(target) if !matches!(kind, RecordType::CNAME | RecordType::ANY) => Found::Alias(target),
            _ => Found::Here(self.answer(name, kind, serial, node)),
        }
    }

    /// Of what a name holds, what was asked for.
    fn answer(&self, name: &Name, kind: RecordType, serial: u32, node: Node) -> Answer {
        let wanted = |d: &RData| kind == RecordType::ANY || d.record_type() == kind;
        let answers: Vec<Record> = node
            .data
            .into_iter()
            .filter(wanted)
            .map(|data| Record::from_rdata(name.clone(), TTL, data))
            .collect();
        if answers.is_empty() {
            return self.nothing(ResponseCode::NoError, &self.origin, serial);
        }
        let additionals = if kind == RecordType::SRV { node.additionals } else { Vec::new() };
        Answer { authoritative: true, answers, additionals, ..Answer::code(ResponseCode::NoError) }
    }

    /// A negative answer, and for how long.
    fn nothing(&self, code: ResponseCode, apex: &Name, serial: u32) -> Answer {
        let soa = Record::from_rdata(apex.clone(), TTL, self.soa(serial));
        Answer { authoritative: true, authorities: vec![soa], ..Answer::code(code) }
    }

    fn soa(&self, serial: u32) -> RData {
        let (server, person) = (self.name(&["ns", "dns"]), self.name(&["hostmaster"]));
        let (server, person) = (server.unwrap_or_default(), person.unwrap_or_default());
        RData::SOA(SOA::new(server, person, serial, 7200, 1800, 86400, TTL))
    }

    /// What the name holds that stands before the zone's own; `None`: there is no such name.
    fn node(&self, records: &Records, rest: &[String], serial: u32) -> Option<Node> {
        let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
        match rest[..] {
            [] => Some(Node::of(
                [Some(self.soa(serial)), self.name(&["ns", "dns"]).map(|n| RData::NS(NS(n)))]
                    .into_iter()
                    .flatten(),
            )),
            ["dns-version"] => Some(Node::of([RData::TXT(TXT::new(vec![VERSION.into()]))])),
            ["ns", "dns"] => Some(Node::of(self.service_ips.iter().copied().map(address))),
            ["dns" | "svc" | "pod"] => Some(Node::default()),
            [namespace, "svc" | "pod"] => records.has_namespace(namespace).then(Node::default),
            [ip, namespace, "pod"] => {
                let ip = undashed(ip).filter(|ip| records.has_pod(namespace, *ip))?;
                Some(Node::of([address(ip)]))
            }
            [service, namespace, "svc"] => {
                let key = ObjectKey::new(namespace, service);
                Some(self.of_service(records, &key, records.service(&key)?))
            }
            [label, service, namespace, "svc"] => {
                let key = ObjectKey::new(namespace, service);
                below_service(records, &key, records.service(&key)?, label)
            }
            [port, protocol, service, namespace, "svc"] => {
                let key = ObjectKey::new(namespace, service);
                let (port, protocol) = (port.strip_prefix('_')?, protocol.strip_prefix('_')?);
                self.of_port(records, &key, records.service(&key)?, port, protocol)
            }
            _ => None,
        }
    }

    fn of_service(&self, records: &Records, key: &ObjectKey, service: &ServiceRecord) -> Node {
        match &service.target {
            Target::Addresses(ips) => Node::of(ips.iter().copied().map(address)),
            Target::Endpoints => {
                let mut ips: Vec<IpAddr> =
                    records.slices_of(key).flat_map(|s| s.hosts.values().flatten().copied()).collect();
                ips.sort_unstable();
                ips.dedup();
                Node::of(ips.into_iter().map(address))
            }
            Target::External(name) => {
                // An address is no name: such a service has no records.
                let is_ip = name.trim_end_matches('.').parse::<IpAddr>().is_ok();
                let target = Name::from_ascii(format!("{}.", name.trim_end_matches('.'))).ok();
                Node::of(target.filter(|n| !is_ip && !n.is_root()).map(|n| RData::CNAME(CNAME(n))))
            }
        }
    }

    /// `_http._tcp.web.ns.svc`: the service itself, or each of a headless one's endpoints.
    fn of_port(
        &self,
        records: &Records,
        key: &ObjectKey,
        service: &ServiceRecord,
        name: &str,
        protocol: &str,
    ) -> Option<Node> {
        let named = |p: &&Port| p.name == name && p.protocol == protocol;
        let targets = match &service.target {
            Target::Addresses(ips) => {
                let port = service.ports.iter().find(named)?;
                vec![(self.name(&[&key.name, &key.namespace, "svc"])?, port.number, ips.clone())]
            }
            Target::Endpoints => {
                let mut hosts: BTreeMap<(Arc<str>, u16), Vec<IpAddr>> = BTreeMap::new();
                for slice in records.slices_of(key) {
                    for port in slice.ports.iter().filter(named) {
                        for (host, ips) in &slice.hosts {
                            hosts.entry((host.clone(), port.number)).or_default().extend(ips);
                        }
                    }
                }
                if hosts.is_empty() && !service.ports.iter().any(|p| named(&p)) {
                    return None;
                }
                let named = |host: &str| self.name(&[host, &key.name, &key.namespace, "svc"]);
                let all = hosts.into_iter();
                all.filter_map(|((host, port), ips)| Some((named(&host)?, port, ips))).collect()
            }
            Target::External(_) => return None,
        };
        let weight = u16::try_from(100 / targets.len().max(1)).unwrap_or(1).max(1);
        let mut node = Node::default();
        for (target, port, ips) in targets {
            node.data.push(RData::SRV(SRV::new(0, weight, port, target.clone())));
            let more = ips.into_iter().map(|ip| Record::from_rdata(target.clone(), TTL, address(ip)));
            let known: Vec<Record> = more.filter(|r| !node.additionals.contains(r)).collect();
            node.additionals.extend(known);
        }
        Some(node)
    }

    /// The labels, below the zone's origin; `None` when that is too long for a name.
    fn name(&self, labels: &[&str]) -> Option<Name> {
        let relative = Name::from_labels(labels.iter().map(|l| l.as_bytes())).ok()?;
        relative.append_domain(&self.origin).ok()
    }
}

/// An endpoint by its label, or the place below which ports are.
fn below_service(records: &Records, key: &ObjectKey, service: &ServiceRecord, label: &str) -> Option<Node> {
    if let Some(protocol) = label.strip_prefix('_') {
        let of_service = service.ports.iter().any(|p| p.protocol == protocol);
        let of_endpoints = service.target == Target::Endpoints
            && records.slices_of(key).any(|s| s.ports.iter().any(|p| p.protocol == protocol));
        return (of_service || of_endpoints).then(Node::default);
    }
    let mut ips: Vec<IpAddr> =
        records.slices_of(key).flat_map(|s| s.hosts.get(label).into_iter().flatten().copied()).collect();
    ips.sort_unstable();
    ips.dedup();
    (!ips.is_empty()).then(|| Node::of(ips.into_iter().map(address)))
}

impl Node {
    fn of(data: impl IntoIterator<Item = RData>) -> Self {
        Node { data: data.into_iter().collect(), additionals: Vec::new() }
    }
}

fn address(ip: IpAddr) -> RData {
    match ip {
        IpAddr::V4(ip) => RData::A(A(ip)),
        IpAddr::V6(ip) => RData::AAAA(AAAA(ip)),
    }
}

/// Lower-cased, from the left.
fn labels(name: &Name) -> Vec<String> {
    name.iter().map(|l| String::from_utf8_lossy(l).to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests;

//! From addresses to names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::PTR;
use hickory_proto::rr::{Name, RData, RecordType};
use ipnet::IpNet;

use super::{Found, Node, Zone};
use crate::records::Records;

/// The range that a reverse name stands for: a full address, or all below the name. `None`: it is not one.
pub fn parse(labels: &[String]) -> Option<IpNet> {
    let (parts, v4) = match labels {
        [parts @ .., a, b] if a == "in-addr" && b == "arpa" => (parts, true),
        [parts @ .., a, b] if a == "ip6" && b == "arpa" => (parts, false),
        _ => return None,
    };
    let parts = parts.iter().rev();
    if v4 {
        let bytes: Vec<u8> = parts.map(|p| p.parse().ok()).collect::<Option<_>>()?;
        let mut full = [0; 4];
        full.get_mut(..bytes.len())?.copy_from_slice(&bytes);
        return IpNet::new(IpAddr::V4(Ipv4Addr::from(full)), bytes.len() as u8 * 8).ok();
    }
    let nibble = |p: &String| (p.len() == 1).then(|| u8::from_str_radix(p, 16).ok()).flatten();
    let nibbles: Vec<u8> = parts.map(nibble).collect::<Option<_>>()?;
    if nibbles.len() > 32 {
        return None;
    }
    let mut full = [0; 16];
    for (i, n) in nibbles.iter().enumerate() {
        full[i / 2] |= if i % 2 == 0 { n << 4 } else { *n };
    }
    IpNet::new(IpAddr::V6(Ipv6Addr::from(full)), nibbles.len() as u8 * 4).ok()
}

impl Zone {
    /// Services' addresses and headless services' endpoints; the cluster's own ranges are nobody else's to answer.
    pub(super) fn reverse(
        &self,
        records: &Records,
        name: &Name,
        kind: RecordType,
        serial: u32,
        net: IpNet,
    ) -> Found {
        let ours = self.ranges.iter().any(|r| r.contains(&net));
        if !records.is_loaded() && ours {
            return Found::Here(super::Answer::code(ResponseCode::ServFail));
        }
        if net.prefix_len() < net.max_prefix_len() {
            return match ours {
                true => Found::Here(self.nothing(ResponseCode::NoError, &name.base_name(), serial)),
                false => Found::Elsewhere,
            };
        }
        let names = self.names_of(records, net.addr());
        if names.is_empty() {
            return match ours {
                true => Found::Here(self.nothing(ResponseCode::NXDomain, &name.base_name(), serial)),
                false => Found::Elsewhere,
            };
        }
        let mut answer =
            self.answer(name, kind, serial, Node::of(names.into_iter().map(|n| RData::PTR(PTR(n)))));
        for soa in &mut answer.authorities {
            soa.name = name.base_name();
        }
        Found::Here(answer)
    }

    fn names_of(&self, records: &Records, ip: IpAddr) -> Vec<Name> {
        if let Some(key) = records.service_at(ip) {
            return self.name(&[&key.name, &key.namespace, "svc"]).into_iter().collect();
        }
        let endpoints = records.endpoints_at(ip);
        let mut names: Vec<Name> = endpoints
            .filter_map(|(key, host)| self.name(&[host, &key.name, &key.namespace, "svc"]))
            .collect();
        names.sort();
        names.dedup();
        names
    }
}

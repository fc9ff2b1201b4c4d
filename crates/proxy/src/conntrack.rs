//! UDP flows that the kernel still sends to endpoints which are gone: it asks the rules only about the first packet of a flow,
//! and a client that keeps sending keeps its flow alive.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use nlink::netlink::netfilter::{ConntrackEntry, ConntrackFilter, IpProtocol};
use nlink::netlink::{Connection, Netfilter};

use crate::rules::{Endpoint, Key, Part, Protocol};

/// Where UDP is answered, and who may answer.
pub type Fronts = BTreeMap<Key, BTreeSet<Endpoint>>;

/// The fronts whose flows must be looked at when a service's part is replaced, with those who may answer from now on.
pub fn affected(old: Option<&Part>, new: &Part) -> Fronts {
    let none = Fronts::new();
    let old = old.map_or(&none, |p| &p.udp);
    let keys: BTreeSet<&Key> = old.keys().chain(new.udp.keys()).collect();
    keys.into_iter()
        .filter(|key| old.get(key) != new.udp.get(key))
        .map(|key| (*key, new.udp.get(key).cloned().unwrap_or_default()))
        .collect()
}

/// Makes the kernel forget flows to `fronts` that somebody else answers.
pub async fn forget(fronts: &Fronts) -> Result<()> {
    let netfilter = Connection::<Netfilter>::new().context("open a netfilter socket")?;
    let udp = ConntrackFilter::new().proto(IpProtocol::Udp);
    let flows = netfilter.get_conntrack_matching(&udp).await.context("list UDP flows")?;
    for flow in flows.iter().filter(|flow| is_stale(flow, fronts)) {
        match netfilter.del_conntrack_entry(flow).await {
            Err(error) if !error.is_not_found() => return Err(error).context("delete a UDP flow"),
            _ => {}
        }
    }
    Ok(())
}

fn is_stale(flow: &ConntrackEntry, fronts: &Fronts) -> bool {
    let (Some(to), Some(port)) = (flow.orig.dst_ip, flow.orig.dst_port) else { return false };
    let (Some(ip), Some(from)) = (flow.reply.src_ip, flow.reply.src_port) else { return false };
    let by_address = fronts.get(&Key::Frontend(to, Protocol::Udp, port));
    // A node port is on several addresses; what was translated on one of them shows by its endpoint.
    let by_port = || fronts.get(&Key::Port(Protocol::Udp, port)).filter(|_| ip != to);
    by_address.or_else(by_port).is_some_and(|endpoints| !endpoints.contains(&Endpoint { ip, port: from }))
}

//! Which way the pods of other nodes are reached, as values: a route over a link that both nodes are on, or else a VXLAN tunnel.
//! Start at [`ways`].
//!
//! Nothing is agreed upon between nodes: what a tunnel's far end is called follows from its pod CIDR.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

/// Another node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peer {
    pub node: String,
    /// By which the node is reached, the preferred one first.
    pub addresses: Vec<IpAddr>,
    /// Where its pods are.
    pub pod_cidrs: Vec<IpNet>,
}

/// This node, as others see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Here {
    pub addresses: Vec<IpAddr>,
    pub pod_cidrs: Vec<IpNet>,
}

/// A network that this machine is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attached {
    /// With the machine's own address in it.
    pub network: IpNet,
    /// The link's index.
    pub link: u32,
}

/// The next hop to a pod CIDR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hop {
    /// The node itself, over a link that we share.
    Link { via: IpAddr, link: u32 },
    /// The far end of the tunnel.
    Tunnel { via: IpAddr },
}

/// The far end of a tunnel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Far {
    /// The node's own address, where the packets are sent to.
    pub underlay: IpAddr,
    pub mac: [u8; 6],
    /// Its addresses inside, one for each family of pods.
    pub inside: Vec<IpAddr>,
}

/// Everything that is to be in the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    pub routes: BTreeMap<IpNet, Hop>,
    pub tunnels: Vec<Far>,
    /// Peers whose pods cannot be reached, with the reason.
    pub refused: Vec<String>,
}

/// The ways from `here`, on a machine that is on `attached`, to the peers.
pub fn ways(here: &Here, attached: &[Attached], peers: &[Peer]) -> Ways {
    let mut ways = Ways::default();
    let mut peers: Vec<&Peer> = peers.iter().collect();
    peers.sort();
    for peer in peers {
        if let Err(why) = add(&mut ways, here, attached, peer) {
            ways.refused.push(format!("node {}: {why}", peer.node));
        }
    }
    ways
}

fn add(ways: &mut Ways, here: &Here, attached: &[Attached], peer: &Peer) -> Result<(), String> {
    for cidr in &peer.pod_cidrs {
        let clash = attached.iter().find(|a| overlap(&a.network, cidr));
        if let Some(a) = clash {
            return Err(format!("its pod CIDR {cidr} overlaps this machine's network {}", a.network.trunc()));
        }
        if let Some(taken) = here.pod_cidrs.iter().chain(ways.routes.keys()).find(|c| overlap(c, cidr)) {
            return Err(format!("its pod CIDR {cidr} overlaps another node's, {taken}"));
        }
    }
    let mut through = Vec::new();
    for cidr in &peer.pod_cidrs {
        let near = peer.addresses.iter().filter(|p| p.is_ipv4() == cidr.addr().is_ipv4()).find_map(|via| {
            let on = attached.iter().find(|a| a.network.contains(via) && a.network.addr() != *via)?;
            Some(Hop::Link { via: *via, link: on.link })
        });
        match near {
            Some(hop) => drop(ways.routes.insert(cidr.trunc(), hop)),
            None => through.push(*cidr),
        }
    }
    let Some(first) = peer.pod_cidrs.first().filter(|_| !through.is_empty()) else { return Ok(()) };
    // As its own end calls itself, whichever families go through.
    let mac = mac(first);
    let families = here.addresses.iter().map(IpAddr::is_ipv4);
    let underlay = families.filter_map(|v4| peer.addresses.iter().find(|a| a.is_ipv4() == v4)).next();
    let underlay = *underlay.ok_or("it has no address of a family that this node has")?;
    for cidr in &through {
        ways.routes.insert(cidr.trunc(), Hop::Tunnel { via: cidr.network() });
    }
    ways.tunnels.push(Far { underlay, mac, inside: through.iter().map(IpNet::network).collect() });
    Ok(())
}

fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}

/// The hardware address of the tunnel's end at the node with this pod CIDR (its first): locally administered, one for each.
pub fn mac(cidr: &IpNet) -> [u8; 6] {
    let tail = match cidr.network() {
        IpAddr::V4(a) => a.octets(),
        IpAddr::V6(a) => {
            // FNV-1a over what tells networks apart.
            let hash =
                a.octets().iter().fold(0x811c_9dc5_u32, |h, b| (h ^ u32::from(*b)).wrapping_mul(0x0100_0193));
            hash.to_be_bytes()
        }
    };
    [0x0a, 0x6b, tail[0], tail[1], tail[2], tail[3]]
}

#[cfg(test)]
mod tests;

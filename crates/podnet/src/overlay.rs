//! The ways to other nodes' pods in the kernel: routes under a protocol number of our own, one VXLAN link, its neighbours. Start at
//! [`Overlay::apply`].

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ipnet::IpNet;
use nlink::netlink::addr::{Ipv4Address, Ipv6Address};
use nlink::netlink::fdb::FdbEntryBuilder;
use nlink::netlink::link::VxlanLink;
use nlink::netlink::neigh::Neighbor;
use nlink::netlink::route::{Ipv4Route, Ipv6Route};
use nlink::netlink::types::route::RouteProtocol;
use nlink::netlink::{Connection, Route};
use serde::{Deserialize, Serialize};

use crate::links;
use crate::peers::{Attached, Far, Here, Hop, Ways, mac};

/// The tunnel's link. No pod's link is called so: theirs have letters and digits only.
pub const LINK: &str = "knr-vxlan";
/// Where packets of the tunnel are sent to, as flannel and Linux itself have it.
pub const PORT: u16 = 8472;
const VNI: u32 = 0x6b6e;
/// Our routes, told from others' by the number in `proto`.
const PROTOCOL: RouteProtocol = RouteProtocol::Other(0x6b);
/// In the pod network's directory: what the link was made with.
const FILE: &str = "tunnel";
/// What VXLAN puts before a packet: Ethernet, VXLAN, UDP, and IPv4 or IPv6.
const OVERHEAD_V4: u32 = 50;
const OVERHEAD_V6: u32 = 70;
/// Where the underlay says nothing.
const USUAL_MTU: u32 = 1500;

/// What the link is made with. Another one means another link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Tunnel {
    local: IpAddr,
    mac: [u8; 6],
    mtu: u32,
}

/// The kernel's side.
#[derive(Debug)]
pub struct Overlay {
    file: PathBuf,
    /// What was put there last, to take it away again.
    neighbours: BTreeSet<(IpAddr, [u8; 6])>,
    forwarding: BTreeSet<([u8; 6], IpAddr)>,
}

impl Overlay {
    /// `dir` is the pod network's.
    pub fn new(dir: &Path) -> Self {
        Overlay { file: dir.join(FILE), neighbours: BTreeSet::new(), forwarding: BTreeSet::new() }
    }

    /// Brings the kernel to `ways`; what is right already is not touched, so packets under way are not lost.
    pub async fn apply(&mut self, here: &Here, ways: &Ways) -> Result<()> {
        let kernel = Connection::<Route>::new().context("open a netlink socket")?;
        let tunnel = match ways.tunnels.first() {
            Some(far) => Some(self.tunnel(&kernel, here, far).await.context("make the tunnel's link")?),
            None => None,
        };
        if tunnel.is_some() {
            self.far_ends(&kernel, &ways.tunnels).await.context("name the tunnel's far ends")?;
        }
        let ours = our_routes(&kernel).await?;
        for (cidr, hop) in &ways.routes {
            if !ours.iter().any(|r| r.cidr == *cidr && r.goes(hop)) {
                route(&kernel, cidr, hop).await.with_context(|| format!("add the route to {cidr}"))?;
            }
        }
        for old in ours.iter().filter(|r| !ways.routes.contains_key(&r.cidr)) {
            delete_route(&kernel, &old.cidr).await?;
        }
        if tunnel.is_none() {
            remove_link(&kernel, &self.file).await?;
        }
        Ok(())
    }

    async fn tunnel(&mut self, kernel: &Connection<Route>, here: &Here, far: &Far) -> Result<()> {
        let local = here.addresses.iter().find(|a| a.is_ipv4() == far.underlay.is_ipv4());
        let local = *local.context("this node has no address of the peer's family")?;
        let first = here.pod_cidrs.first().context("this node has no pod CIDR yet")?;
        let overhead = if local.is_ipv4() { OVERHEAD_V4 } else { OVERHEAD_V6 };
        let mtu = link_of(kernel, local).await?.and_then(|(_, mtu)| mtu).unwrap_or(USUAL_MTU) - overhead;
        let wanted = Tunnel { local, mac: mac(first), mtu };
        let made: Option<Tunnel> =
            std::fs::read(&self.file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let there = kernel.get_link_by_name(LINK).await.context("look for the link")?.is_some();
        if !there || made.as_ref() != Some(&wanted) {
            kernel.del_link_if_exists(LINK).await.context("remove the old link")?;
            self.neighbours.clear();
            self.forwarding.clear();
            let link = VxlanLink::new(LINK, VNI).port(PORT).learning(false).address(wanted.mac).mtu(mtu);
            let link = match local {
                IpAddr::V4(a) => link.local(a),
                IpAddr::V6(a) => link.local6(a),
            };
            kernel.add_link(link).await.with_context(|| {
                format!(
                    "create {LINK} (VXLAN at UDP port {PORT}; does another network of this machine use it?)"
                )
            })?;
            std::fs::write(&self.file, serde_json::to_vec(&wanted)?)
                .with_context(|| format!("write {}", self.file.display()))?;
        }
        let have = kernel.get_addresses_by_name(LINK).await.context("read the link's addresses")?;
        let have: Vec<IpAddr> = have.iter().filter_map(|a| a.primary_address().copied()).collect();
        // The network's own address: no pod has it, and what the node itself sends to far pods comes from it.
        for address in here.pod_cidrs.iter().map(IpNet::network).filter(|a| !have.contains(a)) {
            match address {
                IpAddr::V4(a) => kernel.add_address(Ipv4Address::new(LINK, a, 32)).await?,
                IpAddr::V6(a) => kernel.add_address(Ipv6Address::new(LINK, a, 128).nodad()).await?,
            }
        }
        kernel.set_link_up(LINK).await.context("set the link up")
    }

    /// Nobody is asked by multicast: who has which address is written down.
    async fn far_ends(&mut self, kernel: &Connection<Route>, tunnels: &[Far]) -> Result<()> {
        let neighbours: BTreeSet<_> =
            tunnels.iter().flat_map(|f| f.inside.iter().map(|inside| (*inside, f.mac))).collect();
        let forwarding: BTreeSet<_> = tunnels.iter().map(|f| (f.mac, f.underlay)).collect();
        for (mac, underlay) in &forwarding {
            let entry = FdbEntryBuilder::new(*mac).dev(LINK).dst(*underlay).self_().permanent();
            kernel.replace_fdb(entry).await.with_context(|| format!("write where {underlay} is"))?;
        }
        for (address, mac) in &neighbours {
            let entry = Neighbor::new(LINK, *address).lladdr(*mac).permanent();
            kernel.replace_neighbor(entry).await.with_context(|| format!("write who has {address}"))?;
        }
        for (address, mac) in self.neighbours.difference(&neighbours) {
            if !neighbours.iter().any(|(a, _)| a == address) {
                let gone = kernel.del_neighbor_if_exists(Neighbor::new(LINK, *address).lladdr(*mac)).await;
                gone.with_context(|| format!("forget who had {address}"))?;
            }
        }
        for (mac, _) in self.forwarding.difference(&forwarding) {
            if !forwarding.iter().any(|(m, _)| m == mac)
                && let Err(error) = kernel.del_fdb(LINK, *mac, None).await
            {
                tracing::debug!(%error, "an old far end of the tunnel was gone already");
            }
        }
        (self.neighbours, self.forwarding) = (neighbours, forwarding);
        Ok(())
    }
}

/// Everything of it goes. Idempotent.
pub async fn remove(dir: &Path) -> Result<()> {
    let kernel = Connection::<Route>::new().context("open a netlink socket")?;
    for route in our_routes(&kernel).await? {
        delete_route(&kernel, &route.cidr).await?;
    }
    remove_link(&kernel, &dir.join(FILE)).await
}

/// The MTU that pods get where some of their packets go through the tunnel.
pub async fn mtu() -> Result<Option<u32>> {
    let kernel = Connection::<Route>::new().context("open a netlink socket")?;
    Ok(kernel.get_link_by_name(LINK).await.context("look for the tunnel")?.and_then(|l| l.mtu()))
}

/// The networks this machine is on: all but loopback and our own links.
pub async fn attached() -> Result<Vec<Attached>> {
    let kernel = Connection::<Route>::new().context("open a netlink socket")?;
    let links = kernel.get_links().await.context("read the links")?;
    let addresses = kernel.get_addresses().await.context("read the addresses")?;
    let mut found: Vec<Attached> = addresses
        .iter()
        .filter_map(|a| {
            let link = links.iter().find(|l| l.ifindex() == a.ifindex())?;
            if link.is_loopback() || link.name().is_none_or(links::is_ours) {
                return None;
            }
            let address = a.local().or(a.address()).copied()?;
            let local = matches!(address, IpAddr::V6(a) if a.is_unicast_link_local());
            let network = IpNet::new(address, a.prefix_len()).ok()?;
            (!local).then_some(Attached { network, link: a.ifindex() })
        })
        .collect();
    found.sort();
    found.dedup();
    Ok(found)
}

/// The link with this address, and its MTU.
async fn link_of(kernel: &Connection<Route>, address: IpAddr) -> Result<Option<(u32, Option<u32>)>> {
    let addresses = kernel.get_addresses().await.context("read the addresses")?;
    let found = addresses.iter().find(|a| a.local().or(a.address()) == Some(&address));
    let Some(index) = found.map(|a| a.ifindex()) else { return Ok(None) };
    let link = kernel.get_link_by_index(index).await.context("read a link")?;
    Ok(link.map(|l| (index, l.mtu())))
}

async fn route(kernel: &Connection<Route>, cidr: &IpNet, hop: &Hop) -> Result<()> {
    let (via, link) = match hop {
        Hop::Link { via, link } => (*via, Some(*link)),
        Hop::Tunnel { via } => (*via, None),
    };
    match (cidr, via) {
        (IpNet::V4(cidr), IpAddr::V4(via)) => {
            let route = Ipv4Route::new(cidr.network(), cidr.prefix_len()).gateway(via).protocol(PROTOCOL);
            let route = match link {
                Some(link) => route.dev_index(link),
                None => route.dev(LINK).onlink(),
            };
            kernel.replace_route(route).await?;
        }
        (IpNet::V6(cidr), IpAddr::V6(via)) => {
            let route = Ipv6Route::new(cidr.network(), cidr.prefix_len()).gateway(via).protocol(PROTOCOL);
            let route = match link {
                Some(link) => route.dev_index(link),
                None => route.dev(LINK).onlink(),
            };
            kernel.replace_route(route).await?;
        }
        _ => anyhow::bail!("{cidr} and {via} are of different families"),
    }
    Ok(())
}

/// One of ours, as the kernel has it.
struct Installed {
    cidr: IpNet,
    gateway: Option<IpAddr>,
    link: Option<u32>,
}

impl Installed {
    /// Whether it leads where it should. A tunnel's gateway is nowhere but in the tunnel.
    fn goes(&self, hop: &Hop) -> bool {
        match hop {
            Hop::Link { via, link } => self.gateway == Some(*via) && self.link == Some(*link),
            Hop::Tunnel { via } => self.gateway == Some(*via),
        }
    }
}

/// Whether a route is one that [`Overlay::apply`] made.
pub fn is_ours(route: &nlink::netlink::messages::RouteMessage) -> bool {
    route.protocol() == PROTOCOL
}

async fn our_routes(kernel: &Connection<Route>) -> Result<Vec<Installed>> {
    let routes = kernel.get_routes().await.context("read routes")?;
    let installed = |r: &nlink::netlink::messages::RouteMessage| {
        let cidr = IpNet::new(*r.destination()?, r.dst_len()).ok()?;
        Some(Installed { cidr, gateway: r.gateway().copied(), link: r.oif() })
    };
    Ok(routes.iter().filter(|r| is_ours(r)).filter_map(installed).collect())
}

async fn delete_route(kernel: &Connection<Route>, cidr: &IpNet) -> Result<()> {
    let gone = match cidr {
        IpNet::V4(c) => kernel.del_route_v4_if_exists(c.network(), c.prefix_len()).await,
        IpNet::V6(c) => kernel.del_route_v6_if_exists(c.network(), c.prefix_len()).await,
    };
    gone.map(drop).with_context(|| format!("remove the route to {cidr}"))
}

async fn remove_link(kernel: &Connection<Route>, file: &Path) -> Result<()> {
    if !file.exists() {
        // Not ours to remove.
        return Ok(());
    }
    kernel.del_link_if_exists(LINK).await.context("remove the tunnel's link")?;
    std::fs::remove_file(file).with_context(|| format!("remove {}", file.display()))
}

//! The pod network of one node, built in: a routed veth per pod, addresses from the node's pod CIDRs, masquerade to the
//! world, host ports. Start at [`PodNetwork`].
//!
//! There is no bridge: every packet of a pod is routed, so that replies pass netfilter and services work also between
//! pods of one node. Pods of other nodes are reached by routes or through a tunnel: [`peers`] decides, `overlay` does it.
//! Never knows the API; never touches a table, link or address that it did not make.

pub mod ipam;
mod lease;
mod links;
mod overlay;
pub mod peers;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use futures::StreamExt as _;
use ipnet::IpNet;
use nlink::netlink::{Connection, NetworkEvent, Route, RtnetlinkGroup};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, watch};

use ipam::Pool;
use lease::Lease;
pub use overlay::attached;
use peers::{Here, Peer};
pub use rules::{TABLE, answers as nftables_answers};

/// Where a node's pods get their addresses, and which addresses are pods' anywhere in the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges {
    /// This node's, one per IP family (`Node.spec.podCIDRs`).
    pub pod_cidrs: Vec<IpNet>,
    /// The whole cluster's: traffic to these is never masqueraded.
    pub cluster_cidrs: Vec<IpNet>,
}

/// Which transport protocol a host port is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

/// A port of the host that leads to a port of a pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HostPort {
    pub protocol: Protocol,
    pub host_ip: Option<IpAddr>,
    pub host_port: u16,
    pub container_port: u16,
}

/// This node and the others, as the API knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    pub here: Here,
    pub peers: Vec<Peer>,
}

/// The network of this node's pods.
#[derive(Debug)]
pub struct PodNetwork {
    /// One file per sandbox: what it holds survives a restart of ours, and goes with a reboot as the links do.
    dir: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    ranges: Ranges,
    pools: Vec<Pool>,
    leases: BTreeMap<String, Lease>,
    /// Sysctls as they were before us, for [`PodNetwork::reset`].
    configured: bool,
    /// Sandboxes whose link is being made or removed by us.
    busy: BTreeSet<String>,
}

impl PodNetwork {
    /// Reads the leases left in `dir` (made if absent, 0700).
    pub fn open(dir: &Path) -> Result<Self> {
        let leases = lease::read_all(dir)?;
        Ok(PodNetwork { dir: dir.to_owned(), state: Mutex::new(State { leases, ..State::default() }) })
    }

    /// Sets the ranges, switches forwarding on and puts the nftables table in place. May be called again when they change.
    pub async fn configure(&self, ranges: &Ranges) -> Result<()> {
        let mut state = self.state.lock().await;
        if state.configured && state.ranges == *ranges {
            return Ok(());
        }
        if ranges.pod_cidrs.is_empty() {
            bail!("the node has no pod CIDR yet");
        }
        links::enable_forwarding(&self.dir, ranges).context("switch IP forwarding on")?;
        let mut pools = ranges.pod_cidrs.iter().map(|c| Pool::new(*c)).collect::<Result<Vec<_>>>()?;
        for address in state.leases.values().flat_map(|l| &l.addresses) {
            pools.iter_mut().for_each(|p| p.reserve(*address));
        }
        rules::apply(ranges, &state.leases).await.context("write the nftables table")?;
        *state = State {
            ranges: ranges.clone(),
            pools,
            configured: true,
            busy: std::mem::take(&mut state.busy),
            leases: std::mem::take(&mut state.leases),
        };
        Ok(())
    }

    /// Why pods cannot be connected now, if so.
    pub async fn ready(&self) -> Result<()> {
        match self.state.lock().await.configured {
            true => Ok(()),
            false => bail!("the pod network has no pod CIDR yet"),
        }
    }

    /// Connects the network namespace at `netns` and returns its addresses, one per family. On failure nothing is left behind.
    /// A sandbox that has a lease keeps its addresses.
    pub async fn setup(&self, sandbox: &str, netns: &Path, ports: &[HostPort]) -> Result<Vec<IpAddr>> {
        let (lease, gateways, ranges) = self.lease(sandbox, netns, ports).await?;
        self.state.lock().await.busy.insert(sandbox.to_owned());
        let connected = links::connect(&lease, netns, &gateways).await;
        self.state.lock().await.busy.remove(sandbox);
        let connected = match connected {
            Ok(()) if ports.is_empty() => Ok(()),
            Ok(()) => self.apply_rules(&ranges).await,
            Err(e) => Err(e),
        };
        if let Err(error) = connected {
            if let Err(e) = self.teardown(sandbox).await {
                tracing::warn!(sandbox, error = format!("{e:#}"), "cannot undo a failed network setup");
            }
            return Err(error.context(format!("connect sandbox {sandbox}")));
        }
        Ok(lease.addresses)
    }

    async fn lease(
        &self,
        sandbox: &str,
        netns: &Path,
        ports: &[HostPort],
    ) -> Result<(Lease, Vec<IpAddr>, Ranges)> {
        let mut state = self.state.lock().await;
        if !state.configured {
            bail!("the pod network has no pod CIDR yet");
        }
        rules::check_free(&state.leases, sandbox, ports)?;
        let gateways = state.pools.iter().map(Pool::gateway).collect();
        let ranges = state.ranges.clone();
        if let Some(lease) = state.leases.get(sandbox) {
            return Ok((lease.clone(), gateways, ranges));
        }
        let mut addresses = Vec::new();
        for pool in &mut state.pools {
            match pool.allocate() {
                Some(address) => addresses.push(address),
                None => {
                    let cidr = pool.cidr();
                    state.pools.iter_mut().for_each(|p| addresses.iter().for_each(|a| p.release(*a)));
                    bail!("no address left in the node's pod CIDR {cidr}");
                }
            }
        }
        let lease = Lease {
            sandbox: sandbox.to_owned(),
            link: links::host_name(sandbox),
            netns: netns.to_owned(),
            addresses,
            ports: ports.to_vec(),
        };
        if let Err(e) = lease.write(&self.dir) {
            state.pools.iter_mut().for_each(|p| lease.addresses.iter().for_each(|a| p.release(*a)));
            return Err(e);
        }
        state.leases.insert(sandbox.to_owned(), lease.clone());
        Ok((lease, gateways, ranges))
    }

    async fn apply_rules(&self, ranges: &Ranges) -> Result<()> {
        let state = self.state.lock().await;
        rules::apply(ranges, &state.leases).await
    }

    /// Disconnects a sandbox and frees its addresses. Idempotent.
    pub async fn teardown(&self, sandbox: &str) -> Result<()> {
        let lease = {
            let mut state = self.state.lock().await;
            let Some(lease) = state.leases.get(sandbox).cloned() else { return Ok(()) };
            state.busy.insert(sandbox.to_owned());
            lease
        };
        let disconnected = links::disconnect(&lease).await;
        let mut state = self.state.lock().await;
        state.busy.remove(sandbox);
        disconnected?;
        state.leases.remove(sandbox);
        if !lease.ports.is_empty() && state.configured {
            rules::apply(&state.ranges, &state.leases).await?;
        }
        lease.delete(&self.dir)?;
        state.pools.iter_mut().for_each(|p| lease.addresses.iter().for_each(|a| p.release(*a)));
        Ok(())
    }

    /// The addresses of a sandbox, empty when it has none.
    pub async fn addresses(&self, sandbox: &str) -> Vec<IpAddr> {
        let state = self.state.lock().await;
        state.leases.get(sandbox).map(|l| l.addresses.clone()).unwrap_or_default()
    }

    /// Tears down what belongs to no sandbox of `known`: left by a crash between our steps and the runtime's.
    pub async fn retain(&self, known: &[String]) -> Result<()> {
        let stale: Vec<String> = {
            let state = self.state.lock().await;
            state.leases.keys().filter(|s| !known.contains(s)).cloned().collect()
        };
        for sandbox in stale {
            self.teardown(&sandbox).await?;
        }
        Ok(())
    }

    /// Puts links back that somebody else deleted, with their addresses and routes; connections live on. `told` hears of
    /// each sandbox, with what went wrong if it could not be mended. Ends with an error when the kernel's news cannot be heard.
    pub async fn mend(&self, told: impl Fn(&str, Result<()>)) -> Result<()> {
        let connection = Connection::<Route>::new().context("open a netlink socket")?;
        connection.subscribe(&[RtnetlinkGroup::Link]).context("subscribe to links")?;
        let mut events = std::pin::pin!(connection.events().await);
        while let Some(event) = events.next().await {
            let link = match event {
                Ok(NetworkEvent::DelLink(link)) => link,
                Ok(_) => continue,
                Err(e) => return Err(e).context("hear of links"),
            };
            let Some(lost) = link.name().filter(|name| links::is_ours(name)) else { continue };
            let (lease, gateways) = {
                let state = self.state.lock().await;
                let of = state.leases.values().find(|l| l.link == lost && !state.busy.contains(&l.sandbox));
                let Some(lease) = of.cloned() else { continue };
                (lease, state.pools.iter().map(Pool::gateway).collect::<Vec<_>>())
            };
            // Another namespace's news, or one that has been made anew.
            if links::exists(&lease).await.unwrap_or(false) || !lease.netns.exists() {
                continue;
            }
            told(&lease.sandbox, links::connect(&lease, &lease.netns, &gateways).await);
        }
        bail!("the kernel tells no more of links")
    }

    /// Keeps the ways to other nodes' pods as `cluster` says, also when somebody else removes them or the machine's networks
    /// change. `told` hears what could not be done, once for each change. Ends with an error when the kernel's news cannot be
    /// heard, without one when `cluster` has no sender any more.
    pub async fn keep_ways(&self, mut cluster: watch::Receiver<Cluster>, told: impl Fn(&str)) -> Result<()> {
        let connection = Connection::<Route>::new().context("open a netlink socket")?;
        let groups = [
            RtnetlinkGroup::Link,
            RtnetlinkGroup::Ipv4Addr,
            RtnetlinkGroup::Ipv6Addr,
            RtnetlinkGroup::Ipv4Route,
            RtnetlinkGroup::Ipv6Route,
        ];
        connection.subscribe(&groups).context("subscribe to links, addresses and routes")?;
        let mut events = std::pin::pin!(connection.events().await);
        let mut overlay = overlay::Overlay::new(&self.dir);
        let mut last = Vec::new();
        loop {
            let Cluster { here, peers } = cluster.borrow_and_update().clone();
            let mut failed = Vec::new();
            if !here.pod_cidrs.is_empty() {
                let ways = peers::ways(&here, &overlay::attached().await?, &peers);
                failed.extend(overlay.apply(&here, &ways).await.err().map(|e| format!("{e:#}")));
                failed.extend(ways.refused);
            }
            failed.iter().filter(|f| !last.contains(*f)).for_each(|f| told(f));
            last = failed;
            loop {
                tokio::select! {
                    changed = cluster.changed() => match changed {
                        Ok(()) => break,
                        Err(_) => return Ok(()),
                    },
                    event = events.next() => match event {
                        Some(Ok(event)) if matters(&event) => break,
                        Some(Ok(_)) => {}
                        // Too much at once for the socket: what was missed is looked for.
                        Some(Err(e)) if e.is_no_buffer_space() => break,
                        Some(Err(e)) => return Err(e).context("hear of links and routes"),
                        None => bail!("the kernel tells no more of links and routes"),
                    },
                }
            }
        }
    }

    /// Removes every link, the table and the files, and puts sysctls back.
    pub async fn reset(dir: &Path) -> Result<()> {
        let network = Self::open(dir)?;
        network.retain(&[]).await?;
        overlay::remove(dir).await?;
        rules::remove().await?;
        links::restore_sysctls(dir)?;
        match std::fs::remove_dir_all(dir) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(e).with_context(|| format!("remove {}", dir.display()))
            }
            _ => Ok(()),
        }
    }
}

/// Whether what is in the kernel may have to change: a route of ours is gone, or the machine is on other networks.
fn matters(event: &NetworkEvent) -> bool {
    match event {
        NetworkEvent::DelRoute(route) => overlay::is_ours(route),
        NetworkEvent::DelLink(link) => link.name() == Some(overlay::LINK),
        // A link that comes up again has lost the routes over it.
        NetworkEvent::NewLink(link) => link.is_up() && link.name().is_some_and(|n| !links::is_ours(n)),
        NetworkEvent::NewAddress(_) | NetworkEvent::DelAddress(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests;

//! The kernel's side: veth pairs, addresses, routes, sysctls.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, Result};
use nlink::netlink::addr::{Ipv4Address, Ipv6Address};
use nlink::netlink::link::VethLink;
use nlink::netlink::route::{Ipv4Route, Ipv6Route};
use nlink::netlink::{Connection, Route};

use crate::lease::Lease;
use crate::{Ranges, overlay};

/// The pod's end of its link.
const POD_LINK: &str = "eth0";
/// Every link of ours on the host starts with it.
pub const PREFIX: &str = "knr";

/// The host's end of a sandbox's veth pair: at most 15 characters, and `/` or spaces never appear in ids.
pub fn host_name(sandbox: &str) -> String {
    format!("{PREFIX}{}", sandbox.chars().filter(char::is_ascii_alphanumeric).take(12).collect::<String>())
}

/// Whether a link has a name of ours.
pub fn is_ours(link: &str) -> bool {
    link.starts_with(PREFIX)
}

/// Whether the host's end is there.
pub async fn exists(lease: &Lease) -> Result<bool> {
    let host = Connection::<Route>::new().context("open a netlink socket")?;
    Ok(host.get_link_by_name(lease.link.as_str()).await.context("look for a link")?.is_some())
}

/// Makes the pair and configures both ends. A pair left by an earlier try is replaced.
pub async fn connect(lease: &Lease, netns: &Path, gateways: &[IpAddr]) -> Result<()> {
    let host = Connection::<Route>::new().context("open a netlink socket")?;
    host.del_link_if_exists(lease.link.as_str()).await.context("remove a stale link")?;
    let namespace = fs::File::open(netns).with_context(|| format!("open {}", netns.display()))?;
    let mut veth = VethLink::new(&lease.link, POD_LINK).peer_netns_fd(&namespace);
    // Where packets may go through the tunnel, all of a pod's fit it.
    let mtus = [default_mtu(&host).await?, overlay::mtu().await?];
    if let Some(mtu) = mtus.into_iter().flatten().min() {
        veth = veth.mtu(mtu).peer_mtu(mtu);
    }
    host.add_link(veth).await.with_context(|| format!("create link {}", lease.link))?;
    host_end(&host, lease, gateways).await.with_context(|| format!("configure link {}", lease.link))?;
    let pod = Connection::<Route>::new_in(netns).with_context(|| format!("enter {}", netns.display()))?;
    pod_end(&pod, lease, gateways).await.context("configure the pod's end")
}

/// The host answers as the gateway on every link and knows each pod by its link.
async fn host_end(host: &Connection<Route>, lease: &Lease, gateways: &[IpAddr]) -> Result<()> {
    let link = lease.link.as_str();
    for gateway in gateways {
        match gateway {
            IpAddr::V4(a) => host.add_address(Ipv4Address::new(link, *a, 32)).await?,
            IpAddr::V6(a) => host.add_address(Ipv6Address::new(link, *a, 128).nodad()).await?,
        }
    }
    host.set_link_up(link).await?;
    if !lease.ports.is_empty() {
        // For connections from loopback to a host port; the table's chain `loopback` keeps pods out.
        let sysctl = format!("/proc/sys/net/ipv4/conf/{link}/route_localnet");
        fs::write(&sysctl, "1").with_context(|| format!("write {sysctl}"))?;
    }
    for address in &lease.addresses {
        match address {
            IpAddr::V4(a) => host.replace_route(Ipv4Route::new(*a, 32).dev(link)).await?,
            IpAddr::V6(a) => host.replace_route(Ipv6Route::new(*a, 128).dev(link)).await?,
        }
    }
    Ok(())
}

async fn pod_end(pod: &Connection<Route>, lease: &Lease, gateways: &[IpAddr]) -> Result<()> {
    pod.set_link_up("lo").await?;
    for address in &lease.addresses {
        match address {
            IpAddr::V4(a) => pod.add_address(Ipv4Address::new(POD_LINK, *a, 32)).await?,
            IpAddr::V6(a) => pod.add_address(Ipv6Address::new(POD_LINK, *a, 128).nodad()).await?,
        }
    }
    pod.set_link_up(POD_LINK).await?;
    for gateway in gateways {
        // A route to the gateway itself first, so that tools that know no "onlink" understand the default route.
        match gateway {
            IpAddr::V4(a) => {
                pod.replace_route(Ipv4Route::new(*a, 32).dev(POD_LINK)).await?;
                pod.replace_route(Ipv4Route::default_route().gateway(*a).dev(POD_LINK)).await?;
            }
            IpAddr::V6(a) => {
                pod.replace_route(Ipv6Route::new(*a, 128).dev(POD_LINK)).await?;
                pod.replace_route(Ipv6Route::default_route().gateway(*a).dev(POD_LINK)).await?;
            }
        }
    }
    Ok(())
}

/// Removes the pair (both ends go together). Idempotent.
pub async fn disconnect(lease: &Lease) -> Result<()> {
    let host = Connection::<Route>::new().context("open a netlink socket")?;
    host.del_link_if_exists(lease.link.as_str())
        .await
        .with_context(|| format!("remove link {}", lease.link))?;
    Ok(())
}

/// The MTU of the link that leads to the world; pods get the same.
async fn default_mtu(host: &Connection<Route>) -> Result<Option<u32>> {
    let routes = host.get_routes().await.context("read routes")?;
    let Some(index) = routes.iter().find(|r| r.dst_len() == 0 && r.oif().is_some()).and_then(|r| r.oif())
    else {
        return Ok(None);
    };
    Ok(host.get_link_by_index(index).await.context("read the default link")?.and_then(|l| l.mtu()))
}

const SYSCTLS_FILE: &str = "sysctls";

/// Lets the kernel forward, remembering what was set before.
pub fn enable_forwarding(dir: &Path, ranges: &Ranges) -> Result<()> {
    let mut wanted = vec![("/proc/sys/net/ipv4/ip_forward", "1")];
    if ranges.pod_cidrs.iter().any(|c| matches!(c, ipnet::IpNet::V6(_))) {
        wanted.push(("/proc/sys/net/ipv6/conf/all/forwarding", "1"));
    }
    let saved = dir.join(SYSCTLS_FILE);
    let mut before: BTreeMap<String, String> = match fs::read(&saved) {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
        Err(e) if e.kind() == ErrorKind::NotFound => BTreeMap::new(),
        Err(e) => return Err(e).with_context(|| format!("read {}", saved.display())),
    };
    for (path, value) in wanted {
        let now = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
        if now.trim() == value {
            continue;
        }
        before.entry(path.to_owned()).or_insert_with(|| now.trim().to_owned());
        fs::write(&saved, serde_json::to_vec(&before)?)
            .with_context(|| format!("write {}", saved.display()))?;
        fs::write(path, value).with_context(|| format!("write {path}"))?;
    }
    Ok(())
}

/// Puts back what [`enable_forwarding`] changed.
pub fn restore_sysctls(dir: &Path) -> Result<()> {
    let saved = dir.join(SYSCTLS_FILE);
    let before: BTreeMap<String, String> = match fs::read(&saved) {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
        Err(_) => return Ok(()),
    };
    for (path, value) in before {
        fs::write(&path, value).with_context(|| format!("write {path}"))?;
    }
    Ok(())
}

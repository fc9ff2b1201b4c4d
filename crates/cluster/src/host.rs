//! What this machine is called, and by which address it is reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// The host's name as a node name: lower case.
pub fn node_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" | "(none)" => "localhost".into(),
        name => name.to_ascii_lowercase().replace('_', "-"),
    }
}

/// The address that packets to the world carry; without a default route the first that is not loopback; at last loopback.
pub fn node_ip(v4: bool) -> IpAddr {
    let (any, world): (IpAddr, IpAddr) = match v4 {
        // Documentation ranges: a UDP socket that is "connected" sends nothing.
        true => (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into()),
        false => (Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()),
    };
    let routed = UdpSocket::bind((any, 0))
        .and_then(|s| s.connect((world, 9)).and_then(|()| s.local_addr()))
        .map(|a| a.ip())
        .ok()
        .filter(|a| !a.is_unspecified());
    routed.or_else(|| first_address(v4)).unwrap_or(match v4 {
        true => Ipv4Addr::LOCALHOST.into(),
        false => Ipv6Addr::LOCALHOST.into(),
    })
}

fn first_address(v4: bool) -> Option<IpAddr> {
    addresses().into_iter().find(|a| a.is_ipv4() == v4 && !a.is_loopback())
}

/// Asks the kernel for its nftables tables, which pods and services need.
pub fn check_nftables() -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(podnet::nftables_answers())
}

/// nftables chains of others that drop what they do not know: on its way through this machine, and on its way to it.
pub fn foreign_drops() -> anyhow::Result<(Vec<String>, Vec<String>)> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(::proxy::foreign_drops())
}

/// Every address of this machine but pods' links and link-local ones.
pub fn addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else { return Vec::new() };
    interfaces
        .filter(|i| !i.interface_name.starts_with("knr"))
        .filter_map(|i| {
            let address = i.address?;
            let v4 = address.as_sockaddr_in().map(|s| IpAddr::V4(s.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|s| IpAddr::V6(s.ip())))
        })
        .filter(|a| !matches!(a, IpAddr::V6(a) if a.is_unicast_link_local()))
        .collect()
}

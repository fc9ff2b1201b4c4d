//! Addresses of one CIDR: which are free, which comes next.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Result, bail};
use ipnet::IpNet;

/// The free and used addresses of one CIDR. Goes round, so that an address rests as long as possible before it serves
/// another pod. The network address, the first address (the pods' gateway) and IPv4's broadcast are never given.
#[derive(Debug)]
pub struct Pool {
    cidr: IpNet,
    used: HashSet<u128>,
    /// Offset from the network address where the search starts.
    next: u128,
}

/// Of an IPv6 range only so many addresses are used.
const MOST: u128 = 1 << 20;

impl Pool {
    /// A pool with all addresses free. Fails for ranges too small for gateway and one pod.
    pub fn new(cidr: IpNet) -> Result<Self> {
        let pool = Pool { cidr: cidr.trunc(), used: HashSet::new(), next: 2 };
        if pool.end() <= 2 {
            bail!("pod CIDR {cidr} is too small");
        }
        Ok(pool)
    }

    pub fn cidr(&self) -> IpNet {
        self.cidr
    }

    /// The first address: the host's side of every pod's link.
    pub fn gateway(&self) -> IpAddr {
        self.at(1)
    }

    /// The next free address.
    pub fn allocate(&mut self) -> Option<IpAddr> {
        let end = self.end();
        let start = self.next;
        let offset = (start..end).chain(2..start.min(end)).find(|o| !self.used.contains(o))?;
        self.used.insert(offset);
        self.next = if offset + 1 < end { offset + 1 } else { 2 };
        Some(self.at(offset))
    }

    /// Marks an address as used. Others' addresses are ignored.
    pub fn reserve(&mut self, address: IpAddr) {
        if let Some(offset) = self.offset(address) {
            self.used.insert(offset);
        }
    }

    /// Frees an address. Others' addresses are ignored.
    pub fn release(&mut self, address: IpAddr) {
        if let Some(offset) = self.offset(address) {
            self.used.remove(&offset);
        }
    }

    /// One past the last offset that is given.
    fn end(&self) -> u128 {
        let bits = u32::from(self.cidr.max_prefix_len() - self.cidr.prefix_len());
        let size = 1u128.checked_shl(bits).unwrap_or(u128::MAX).min(MOST);
        match self.cidr {
            IpNet::V4(_) => size - 1,
            IpNet::V6(_) => size,
        }
    }

    fn at(&self, offset: u128) -> IpAddr {
        match self.cidr.network() {
            IpAddr::V4(a) => IpAddr::V4(Ipv4Addr::from(u32::from(a) + offset as u32)),
            IpAddr::V6(a) => IpAddr::V6(Ipv6Addr::from(u128::from(a) + offset)),
        }
    }

    fn offset(&self, address: IpAddr) -> Option<u128> {
        if !self.cidr.contains(&address) {
            return None;
        }
        match (self.cidr.network(), address) {
            (IpAddr::V4(n), IpAddr::V4(a)) => Some(u128::from(u32::from(a) - u32::from(n))),
            (IpAddr::V6(n), IpAddr::V6(a)) => Some(u128::from(a) - u128::from(n)),
            _ => None,
        }
    }
}

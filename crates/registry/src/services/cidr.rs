//! A range of addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Addresses with a common prefix, such as `10.96.0.0/12`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    /// First address; its host bits are zero.
    base: u128,
    prefix: u8,
    v6: bool,
}

/// Of a range larger than this only the first so many addresses are used.
const SIZE_MAX: u128 = 1 << 20;

impl Cidr {
    pub fn is_v6(self) -> bool {
        self.v6
    }

    fn host_bits(self) -> u32 {
        (if self.v6 { 128 } else { 32 }) - u32::from(self.prefix)
    }

    fn addresses(self) -> u128 {
        1u128.checked_shl(self.host_bits()).unwrap_or(u128::MAX).min(SIZE_MAX)
    }

    /// Addresses that may be given out: neither the first nor, for IPv4, the broadcast address.
    pub fn size(self) -> u64 {
        let all = self.addresses() as u64;
        all.saturating_sub(if self.v6 { 1 } else { 2 })
    }

    /// The address at `offset`, from 0 for the first that may be given out.
    pub fn at(self, offset: u64) -> IpAddr {
        let bits = self.base + 1 + u128::from(offset);
        if self.v6 { Ipv6Addr::from(bits).into() } else { Ipv4Addr::from(bits as u32).into() }
    }

    /// Whether the address may be given out.
    pub fn contains(self, address: IpAddr) -> bool {
        let (bits, v6) = bits(address);
        v6 == self.v6
            && bits.checked_sub(self.base + 1).is_some_and(|offset| offset < u128::from(self.size()))
    }
}

fn bits(address: IpAddr) -> (u128, bool) {
    match address {
        IpAddr::V4(a) => (u128::from(u32::from(a)), false),
        IpAddr::V6(a) => (u128::from(a), true),
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base: IpAddr =
            if self.v6 { Ipv6Addr::from(self.base).into() } else { Ipv4Addr::from(self.base as u32).into() };
        write!(f, "{base}/{}", self.prefix)
    }
}

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is not a range of addresses such as 10.96.0.0/12");
        let (address, prefix) = text.split_once('/').ok_or_else(bad)?;
        let (bits, v6) = bits(address.parse().map_err(|_| bad())?);
        let prefix: u8 = prefix.parse().map_err(|_| bad())?;
        let width = if v6 { 128 } else { 32 };
        // At least the `kubernetes` service and one more need room.
        if prefix > width - 2 {
            return Err(bad());
        }
        let host = u32::from(width - prefix);
        let base = if host == 128 { 0 } else { bits >> host << host };
        Ok(Cidr { base, prefix, v6 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let range: Cidr = "10.96.0.7/12".parse().unwrap();
        assert_eq!(range.to_string(), "10.96.0.0/12");
        assert_eq!(range.at(0).to_string(), "10.96.0.1");
        assert_eq!(range.size(), (1 << 20) - 2);
        assert!(range.contains("10.111.255.254".parse().unwrap()));
        assert!(!range.contains("10.111.255.255".parse().unwrap()));
        assert!(!range.contains("10.96.0.0".parse().unwrap()));
        assert!(!range.contains("fd00::1".parse().unwrap()));
        let six: Cidr = "fd00:1::/108".parse().unwrap();
        assert_eq!(six.at(9).to_string(), "fd00:1::a");
        for bad in ["10.96.0.0", "10.96.0.0/31", "x/8", "10.0.0.0/33", "10.0.0.0/x"] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
    }
}

//! Rules as the kernel's virtual machine runs them: what is loaded into which of its sixteen 32-bit registers, and looked up.

use std::time::Duration;

use nlink::netlink::nftables::{
    CmpOp, DynsetExpr, DynsetOp, Expr, LookupExpr, MetaKey, NumgenKind, PayloadBase, RawExpr, Register,
};

use crate::kernel::set_name;
use crate::rules::{Ip, Kind};

/// Where looked-up endpoints go: the address from here on, then the port. Just before it a pool's number fits, which makes
/// the key of a member.
const ENDPOINT: usize = 8;

/// A set's or map's name for one family.
pub fn both(name: &str, ip: Ip) -> String {
    format!("{name}{}", ip.digit())
}

/// Expressions about packets of one family, being written.
pub struct Packet {
    ip: Ip,
    /// The next free register; keys begin at 0.
    next: usize,
    exprs: Vec<Expr>,
}

/// Starts a rule that only packets of this family pass.
pub fn packet(ip: Ip) -> Packet {
    let guard = [
        Expr::Meta { dreg: word(0), key: MetaKey::NfProto },
        Expr::Cmp { sreg: word(0), op: CmpOp::Eq, data: vec![family(ip)] },
    ];
    Packet { ip, next: 0, exprs: guard.into() }
}

/// The lookups, apart from the loads.
pub trait Lookup {
    /// Goes on only when the key loaded so far is in the set.
    fn found_in(self, set: &str) -> Self;
    /// Goes on only when it is not.
    fn not_in(self, set: &str) -> Self;
    /// Does what the map says of the key loaded so far; goes on to the next rule when it says nothing.
    fn verdict(self, map: Kind) -> Self;
}

impl Lookup for Packet {
    fn found_in(mut self, set: &str) -> Self {
        self.exprs.push(LookupExpr::new(both(set, self.ip), word(0)).into());
        self.next = 0;
        self
    }

    fn not_in(mut self, set: &str) -> Self {
        self.exprs.push(LookupExpr::new(both(set, self.ip), word(0)).invert().into());
        self.next = 0;
        self
    }

    fn verdict(mut self, map: Kind) -> Self {
        let lookup = LookupExpr::new(set_name(map, self.ip), word(0)).dreg(Register::Verdict);
        self.exprs.push(lookup.into());
        self
    }
}

impl Packet {
    pub fn done(self) -> Vec<Expr> {
        self.exprs
    }

    fn words(&self) -> usize {
        match self.ip {
            Ip::V4 => 1,
            Ip::V6 => 4,
        }
    }

    fn address(mut self, at: usize, offset: u32) -> Self {
        let len = 4 * self.words() as u32;
        self.exprs.push(Expr::Payload { dreg: word(at), base: PayloadBase::Network, offset, len });
        self.next = at + self.words();
        self
    }

    /// Loads the source address into registers from `at` on.
    pub fn source(self, at: usize) -> Self {
        let offset = if self.ip == Ip::V4 { 12 } else { 8 };
        self.address(at, offset)
    }

    /// Loads the destination address into registers from `at` on.
    pub fn destination(self, at: usize) -> Self {
        let offset = if self.ip == Ip::V4 { 16 } else { 24 };
        self.address(at, offset)
    }

    /// Loads the destination behind what is loaded.
    pub fn destination_after(self) -> Self {
        let at = self.next;
        self.destination(at)
    }

    /// Loads protocol and destination port behind what is loaded.
    pub fn port(mut self) -> Self {
        let at = self.next;
        self.exprs.push(Expr::Meta { dreg: word(at), key: MetaKey::L4Proto });
        // It lies there for TCP, UDP and SCTP; for anything else the protocol makes that nothing is found.
        let base = PayloadBase::Transport;
        self.exprs.push(Expr::Payload { dreg: word(at + 1), base, offset: 2, len: 2 });
        self.next = at + 2;
        self
    }

    /// Loads the key of a frontend.
    pub fn frontend(self) -> Self {
        self.destination(0).port()
    }

    fn number(mut self, at: usize, number: u32) -> Self {
        self.exprs.push(Expr::Immediate { dreg: word(at), data: number.to_ne_bytes().into() });
        self
    }

    /// Loads one of `count` endpoints of `pool`.
    pub fn pick(self, pool: u32, count: u32) -> Self {
        let mut picked = self.number(0, pool);
        let (kind, offset) = (NumgenKind::Random, 0);
        picked.exprs.push(Expr::Numgen { dreg: word(1), kind, modulus: count.max(1), offset });
        let map = set_name(Kind::Endpoints, picked.ip);
        picked.exprs.push(LookupExpr::new(map, word(0)).dreg(word(ENDPOINT)).into());
        picked
    }

    /// Sends the connection to the loaded endpoint.
    pub fn translate(mut self) -> Self {
        let (address, port) = (word(ENDPOINT), word(ENDPOINT + self.words()));
        self.exprs.push(nat(self.ip, address, port));
        self
    }

    /// Loads the key under which a client is remembered.
    fn client(self, memory: u32) -> Self {
        self.number(0, memory).source(1)
    }

    fn memory(mut self, op: DynsetOp, seconds: u32) -> Self {
        let change = DynsetExpr::new(op, both("affinity", self.ip), word(0)).sreg_data(word(ENDPOINT));
        self.exprs.push(change.timeout(Duration::from_secs(seconds.into())).into());
        self
    }
}

/// The rules of client affinity. The map that packets write cannot be corrected by us without a race, so each use is checked
/// against the pool's members, and what fails that is forgotten.
pub fn remember(ip: Ip, pool: u32, count: u32, memory: u32, seconds: u32) -> Vec<Vec<Expr>> {
    let mut known = packet(ip).client(memory);
    let affinity = LookupExpr::new(both("affinity", ip), word(0)).dreg(word(ENDPOINT));
    known.exprs.push(affinity.into());
    known = known.number(ENDPOINT - 1, pool);
    known.exprs.push(LookupExpr::new(set_name(Kind::Members, ip), word(ENDPOINT - 1)).into());
    let known = known.memory(DynsetOp::Update, seconds).translate();

    let mut stale = packet(ip).client(memory);
    // A deletion from a map names data, too, which nobody reads.
    for at in 0..=stale.words() {
        stale = stale.number(ENDPOINT + at, 0);
    }
    let stale = stale.memory(DynsetOp::Delete, seconds);

    let new = packet(ip).pick(pool, count).client(memory).memory(DynsetOp::Update, seconds).translate();
    // The map is full: better without memory than not at all.
    let full = packet(ip).pick(pool, count).translate();
    [known, stale, new, full].map(Packet::done).into()
}

/// Destination translation to registers; nlink's own expression of it takes constants only.
fn nat(ip: Ip, address: Register, port: Register) -> Expr {
    use nlink::netlink::nftables::{
        NFTA_NAT_FAMILY, NFTA_NAT_REG_ADDR_MAX, NFTA_NAT_REG_ADDR_MIN, NFTA_NAT_REG_PROTO_MAX,
        NFTA_NAT_REG_PROTO_MIN, NFTA_NAT_TYPE, NatType,
    };
    let attributes = [
        (NFTA_NAT_TYPE, NatType::Dnat as u32),
        (NFTA_NAT_FAMILY, family(ip).into()),
        (NFTA_NAT_REG_ADDR_MIN, address.wire()),
        (NFTA_NAT_REG_ADDR_MAX, address.wire()),
        (NFTA_NAT_REG_PROTO_MIN, port.wire()),
        (NFTA_NAT_REG_PROTO_MAX, port.wire()),
    ];
    let mut data = Vec::new();
    for (kind, value) in attributes {
        data.extend(8u16.to_ne_bytes());
        data.extend(kind.to_ne_bytes());
        data.extend(value.to_be_bytes());
    }
    RawExpr::new("nat", data).into()
}

/// `NFPROTO_IPV4` and `NFPROTO_IPV6`, as the kernel numbers them.
fn family(ip: Ip) -> u8 {
    match ip {
        Ip::V4 => 2,
        Ip::V6 => 10,
    }
}

fn word(n: usize) -> Register {
    // Sixteen words; every number here is a constant below that.
    Register::word(n).unwrap_or(Register::R0)
}

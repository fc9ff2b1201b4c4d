//! What of the table changes with services, as values: elements of sets and maps, and small chains that they lead to.
//!
//! The kernel's part of it (which set has which key, which rule a [`Step`] is) is `kernel`'s business.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

/// A transport protocol of services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

impl Protocol {
    /// As objects name it; `None` for one that services do not have.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "TCP" | "" => Some(Protocol::Tcp),
            "UDP" => Some(Protocol::Udp),
            "SCTP" => Some(Protocol::Sctp),
            _ => None,
        }
    }

    /// IANA's number.
    pub fn number(self) -> u8 {
        match self {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
            Protocol::Sctp => 132,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        })
    }
}

/// IPv4 and IPv6 have sets of their own: their keys differ in length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ip {
    V4,
    V6,
}

impl Ip {
    pub const BOTH: [Ip; 2] = [Ip::V4, Ip::V6];

    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Ip::V4 } else { Ip::V6 }
    }

    /// What names of sets and chains end with.
    pub fn digit(self) -> char {
        match self {
            Ip::V4 => '4',
            Ip::V6 => '6',
        }
    }
}

/// Where a connection is led to in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    pub ip: IpAddr,
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", std::net::SocketAddr::new(self.ip, self.port))
    }
}

/// The sets and maps whose elements come from services. Each is there twice, for either [`Ip`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// address . protocol . port → chain
    Frontends,
    /// protocol . port → chain, on the node's own addresses
    NodePorts,
    /// As `Frontends`: what nobody answers, after translation had its chance.
    Dead,
    /// As `NodePorts`: the same for node ports.
    DeadNodePorts,
    /// As `Frontends` → chain that lets wanted sources through and drops the rest
    Guarded,
    /// pool . number → endpoint
    Endpoints,
    /// pool . endpoint: an affinity that points elsewhere is out of date
    Members,
    /// source . destination, both the same endpoint: who meets himself
    Hairpins,
    /// Every address of a service, to answer for ports that it does not have.
    ClusterIps,
    /// This node's addresses at which node ports are answered.
    NodeIps,
}

/// An element's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub kind: Kind,
    pub ip: Ip,
    pub key: Key,
}

/// An element's key within its set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    Frontend(IpAddr, Protocol, u16),
    Port(Protocol, u16),
    Slot(u32, u32),
    Member(u32, Endpoint),
    Address(IpAddr),
}

/// What a map has at a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// It is a set: to be in it is all.
    Present,
    Goto(String),
    Drop,
    Endpoint(Endpoint),
}

/// What a chain does, in order. Each is one rule, or a few.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Connections that do not come from pods get the node's address, so that answers find back.
    MasqueradeUnlessPod,
    Masquerade,
    PodsGoto(String),
    /// Processes of this node, masqueraded.
    HostGoto(String),
    Goto(String),
    /// One of `count` endpoints of a pool, at random.
    Balance {
        pool: u32,
        count: u32,
    },
    /// The one that this client had before, if it is still in the pool; else one at random, remembered for `seconds`.
    /// Clients are remembered under `memory`, so that pools of one service port share it.
    Remember {
        pool: u32,
        count: u32,
        memory: u32,
        seconds: u32,
    },
    /// Sources that may pass.
    ReturnFrom(Vec<IpNet>),
    Drop,
}

/// A chain's content. Its rules are about one family of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    pub ip: Ip,
    pub steps: Vec<Step>,
}

/// Endpoints with stable numbers, so that one that comes or goes moves at most one other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    pub id: u32,
    pub slots: Vec<Endpoint>,
}

/// What one service puts into the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    pub chains: BTreeMap<String, Chain>,
    pub elements: BTreeMap<Place, Value>,
    /// By the name of the chain that balances over it.
    pub pools: BTreeMap<String, Pool>,
    /// Where UDP is answered and by whom. The kernel remembers UDP "connections" to endpoints that are gone.
    pub udp: BTreeMap<Key, BTreeSet<Endpoint>>,
    /// `spec.healthCheckNodePort`, and how many endpoints are on this node.
    pub health: Option<(u16, usize)>,
}

impl Part {
    pub(crate) fn element(&mut self, kind: Kind, ip: Ip, key: Key, value: Value) {
        self.elements.insert(Place { kind, ip, key }, value);
    }
}

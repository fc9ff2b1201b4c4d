//! The policies' table as a value.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher, Hash};
use std::net::IpAddr;

use ipnet::IpNet;

use crate::rules::Protocol;

/// What this node filters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Addresses of pods, by a name that says which pods they are: these change while rules stay.
    pub sets: BTreeMap<String, BTreeSet<IpAddr>>,
    /// Ranges, by a name that says which they are.
    pub blocks: BTreeMap<String, Vec<IpNet>>,
    /// What is allowed, by a name that says what that is; everything else is dropped.
    pub chains: BTreeMap<String, Vec<Allow>>,
    /// The chain for what comes to a pod's address. Addresses that are not here are not filtered.
    pub ingress: BTreeMap<IpAddr, String>,
    /// The chain for what a pod's address sends.
    pub egress: BTreeMap<IpAddr, String>,
}

/// One thing that is allowed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Allow {
    pub peers: Peers,
    pub port: Ports,
}

/// Whom the other end is looked for among.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peers {
    Everybody,
    /// A set of [`Table::sets`].
    Set(String),
    /// A set of [`Table::blocks`].
    Block(String),
}

/// The destination's port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ports {
    /// Also what has no ports.
    All,
    Protocol(Protocol),
    /// Both included.
    Range(Protocol, u16, u16),
}

/// A direction's side of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    Ingress,
    Egress,
}

impl Table {
    /// Puts a chain for these allowances into the table, and returns its name. Pods that are allowed the same share one.
    pub fn chain(&mut self, direction: Direction, mut allowed: Vec<Allow>) -> String {
        allowed.sort();
        allowed.dedup();
        let prefix = match direction {
            Direction::Ingress => "to",
            Direction::Egress => "from",
        };
        let name = name(prefix, &allowed);
        self.chains.entry(name.clone()).or_insert(allowed);
        name
    }
}

/// A name that is the same for the same thing, in this process.
pub fn name(prefix: &str, what: impl Hash) -> String {
    format!("{prefix}-{:016x}", BuildHasherDefault::<DefaultHasher>::default().hash_one(what))
}

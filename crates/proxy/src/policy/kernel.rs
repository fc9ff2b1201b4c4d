//! The policies' table in the kernel: all of it, or what is different, each in one transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use anyhow::{Context, Result};
use ipnet::IpNet;
use nix::sys::socket::{setsockopt, sockopt};
use nlink::netlink::nftables::{
    BaseChain, Chain, CmpOp, CtState, Expr, Family, FilterHook, PacketField, PayloadBase, Priority, Register,
    Rule, Set, SetElement, SetKeyType, Transaction, Verdict,
};
use nlink::netlink::{Connection, Nftables};

use super::table::{Allow, Direction, Peers, Ports, Table};
use crate::rules::Ip;

/// Our only table here, of family inet.
pub const TABLE: &str = "knarr-policies";

const SEND_BUFFER: usize = 64 << 20;
/// Elements per message: an attribute has a 16-bit length.
const ELEMENTS: usize = 400;

/// A way to the kernel's tables.
pub struct Kernel {
    nft: Connection<Nftables>,
}

impl Kernel {
    /// Opens a socket in the network namespace of this thread.
    pub fn open() -> Result<Self> {
        let nft = Connection::<Nftables>::new().context("open an nftables socket")?;
        setsockopt(nft.socket(), sockopt::SndBufForce, &SEND_BUFFER).context("enlarge its send buffer")?;
        Ok(Kernel { nft })
    }

    /// By which notifications show whose change it was.
    pub fn port_id(&self) -> u32 {
        self.nft.socket().pid()
    }

    /// Replaces the whole table: no packet sees it half-made.
    pub async fn replace(&self, table: &Table) -> Result<()> {
        // Adding before deleting makes the deletion succeed also the first time.
        let mut change = self
            .nft
            .transaction()
            .update_table(TABLE, Family::Inet, 0)
            .del_table(TABLE, Family::Inet)
            .add_table(TABLE, Family::Inet);
        for ip in Ip::BOTH {
            change = change.add_set(of_pods(Direction::Ingress, ip)).add_set(of_pods(Direction::Egress, ip));
            change = change.add_set(selves(ip));
        }
        let forward = BaseChain::filter(FilterHook::Forward, Priority::Filter);
        change = change.add_chain(chain("forward")?.base(forward));
        for rule in fixed_rules() {
            change = change.add_rule(rule);
        }
        differences(change, &Table::default(), table)?.commit(&self.nft).await.context("write the table")
    }

    /// Changes the table from `before` to `after`.
    pub async fn change(&self, before: &Table, after: &Table) -> Result<()> {
        let change = differences(self.nft.transaction(), before, after)?;
        change.commit(&self.nft).await.context("change the table")
    }
}

/// Removes the table. Idempotent.
pub async fn remove() -> Result<()> {
    let nft = Connection::<Nftables>::new().context("open an nftables socket")?;
    nft.del_table_if_exists(TABLE, Family::Inet).await.context("remove the policies' table")?;
    Ok(())
}

fn named(name: &str, ip: Ip) -> String {
    format!("{name}-{}", ip.digit())
}

fn chain(name: &str) -> Result<Chain> {
    Ok(Chain::new(TABLE, name)?.family(Family::Inet))
}

fn rule(chain: &str) -> Rule {
    Rule::new(TABLE, chain).family(Family::Inet)
}

fn address(ip: Ip) -> SetKeyType {
    match ip {
        Ip::V4 => SetKeyType::Ipv4Addr,
        Ip::V6 => SetKeyType::Ipv6Addr,
    }
}

fn set(name: &str, ip: Ip) -> Set {
    Set::new(TABLE, &named(name, ip)).family(Family::Inet).key_type(address(ip))
}

/// From a pod's address to its chain.
fn of_pods(direction: Direction, ip: Ip) -> Set {
    let name = match direction {
        Direction::Ingress => "ingress",
        Direction::Egress => "egress",
    };
    set(name, ip).vmap()
}

/// Pairs of one address: who speaks to himself by way of a service.
fn selves(ip: Ip) -> Set {
    set("selves", ip).key_type(SetKeyType::Concat(vec![address(ip), address(ip)]))
}

fn source(ip: Ip) -> PacketField {
    match ip {
        Ip::V4 => PacketField::Ip4Saddr,
        Ip::V6 => PacketField::Ip6Saddr,
    }
}

fn destination(ip: Ip) -> PacketField {
    match ip {
        Ip::V4 => PacketField::Ip4Daddr,
        Ip::V6 => PacketField::Ip6Daddr,
    }
}

/// Answers pass, and who speaks to himself; then the sender's policies are asked, then the receiver's.
fn fixed_rules() -> Vec<Rule> {
    let mut all = vec![rule("forward").match_ct_state(CtState::ESTABLISHED | CtState::RELATED).accept()];
    for ip in Ip::BOTH {
        let (from, to) = (source(ip), destination(ip));
        all.push(rule("forward").match_concat_in_set(&[from, to], &named("selves", ip)).accept());
        all.push(rule("forward").vmap(from, &named("egress", ip)));
        all.push(rule("forward").vmap(to, &named("ingress", ip)));
    }
    all
}

/// In the order in which the kernel can follow: nothing may point to what is not there.
fn differences(mut change: Transaction, before: &Table, after: &Table) -> Result<Transaction> {
    for (name, ranges) in after.blocks.iter().filter(|(name, _)| !before.blocks.contains_key(*name)) {
        for ip in Ip::BOTH {
            let set = set(name, ip).interval();
            change = add(change.add_set(set.clone()), &set, prefixes(ranges, ip)?);
        }
    }
    let nobody = BTreeSet::new();
    for (name, addresses) in &after.sets {
        let old = before.sets.get(name);
        for ip in Ip::BOTH {
            let set = set(name, ip);
            if old.is_none() {
                change = change.add_set(set.clone());
            }
            change = remove_all(change, &set, hosts(old.unwrap_or(&nobody).difference(addresses), ip));
            change = add(change, &set, hosts(addresses.difference(old.unwrap_or(&nobody)), ip));
        }
    }
    for (name, allowed) in after.chains.iter().filter(|(name, _)| !before.chains.contains_key(*name)) {
        change = change.add_chain(chain(name)?);
        for rule in chain_rules(name, allowed) {
            change = change.add_rule(rule);
        }
    }
    change = pods(change, Direction::Ingress, &before.ingress, &after.ingress)?;
    change = pods(change, Direction::Egress, &before.egress, &after.egress)?;
    change = pairs(change, before, after);
    let gone = before.chains.keys().filter(|name| !after.chains.contains_key(*name));
    for name in gone {
        change = change.flush_chain(TABLE, name, Family::Inet).del_chain(TABLE, name, Family::Inet);
    }
    let sets = before.sets.keys().filter(|name| !after.sets.contains_key(*name));
    for name in sets.chain(before.blocks.keys().filter(|name| !after.blocks.contains_key(*name))) {
        for ip in Ip::BOTH {
            change = change.del_set(TABLE, &named(name, ip), Family::Inet);
        }
    }
    Ok(change)
}

/// The verdict maps: from pods' addresses to chains.
fn pods(
    mut change: Transaction,
    direction: Direction,
    before: &BTreeMap<IpAddr, String>,
    after: &BTreeMap<IpAddr, String>,
) -> Result<Transaction> {
    for ip in Ip::BOTH {
        let map = of_pods(direction, ip);
        let gone = before.iter().filter(|(a, chain)| after.get(*a) != Some(*chain)).map(|(a, _)| a);
        change = remove_all(change, &map, hosts(gone, ip));
        let new = after.iter().filter(|(a, chain)| before.get(*a) != Some(*chain) && Ip::of(**a) == ip);
        let elements = new.map(|(a, chain)| Ok(host(*a).verdict(Verdict::JumpTo(chain.parse()?))));
        change = add(change, &map, elements.collect::<Result<Vec<_>>>()?);
    }
    Ok(change)
}

fn pairs(mut change: Transaction, before: &Table, after: &Table) -> Transaction {
    let filtered = |t: &Table| t.ingress.keys().chain(t.egress.keys()).copied().collect::<BTreeSet<IpAddr>>();
    let (before, after) = (filtered(before), filtered(after));
    for ip in Ip::BOTH {
        let pairs = |addresses: Vec<&IpAddr>| {
            let of_family = addresses.into_iter().filter(|a| Ip::of(**a) == ip);
            of_family.map(|a| SetElement::concat([host(*a), host(*a)])).collect::<Vec<_>>()
        };
        change = remove_all(change, &selves(ip), pairs(before.difference(&after).collect()));
        change = add(change, &selves(ip), pairs(after.difference(&before).collect()));
    }
    change
}

fn add(mut change: Transaction, set: &Set, elements: Vec<SetElement>) -> Transaction {
    for some in elements.chunks(ELEMENTS) {
        change = change.add_set_elements(set, some);
    }
    change
}

fn remove_all(mut change: Transaction, set: &Set, elements: Vec<SetElement>) -> Transaction {
    for some in elements.chunks(ELEMENTS) {
        change = change.del_set_elements(set, some);
    }
    change
}

fn host(address: IpAddr) -> SetElement {
    match address {
        IpAddr::V4(a) => SetElement::ipv4(a),
        IpAddr::V6(a) => SetElement::ipv6(a),
    }
}

fn hosts<'a>(addresses: impl Iterator<Item = &'a IpAddr>, ip: Ip) -> Vec<SetElement> {
    addresses.filter(|a| Ip::of(**a) == ip).map(|a| host(*a)).collect()
}

fn prefixes(ranges: &[IpNet], ip: Ip) -> Result<Vec<SetElement>> {
    let of_family = ranges.iter().filter(|r| Ip::of(r.addr()) == ip);
    let elements = of_family.map(|range| match range {
        IpNet::V4(r) => SetElement::ipv4_prefix(r.network(), r.prefix_len()),
        IpNet::V6(r) => SetElement::ipv6_prefix(r.network(), r.prefix_len()),
    });
    elements.collect::<nlink::Result<Vec<_>>>().context("write a range")
}

/// What is allowed goes on to the next question; the rest ends here.
fn chain_rules(name: &str, allowed: &[Allow]) -> Vec<Rule> {
    let outgoing = name.starts_with("from");
    let mut all = Vec::new();
    for allow in allowed {
        let returns = |matched: Rule| matched.expr(Expr::Verdict(Verdict::Return));
        let field = |ip| if outgoing { destination(ip) } else { source(ip) };
        match &allow.peers {
            Peers::Everybody => all.push(returns(port(rule(name), allow.port))),
            Peers::Set(set) => all
                .extend(Ip::BOTH.map(|ip| {
                    returns(port(rule(name).match_in_set(field(ip), &named(set, ip)), allow.port))
                })),
            Peers::Block(set) => all.extend(Ip::BOTH.map(|ip| {
                returns(port(rule(name).match_in_interval_set(field(ip), &named(set, ip)), allow.port))
            })),
        }
    }
    all.push(rule(name).drop());
    all
}

fn port(rule: Rule, ports: Ports) -> Rule {
    match ports {
        Ports::All => rule,
        Ports::Protocol(protocol) => rule.match_l4proto(protocol.number()),
        Ports::Range(protocol, first, last) => {
            // The destination port lies there for TCP, UDP and SCTP.
            let load = Expr::Payload { dreg: Register::R0, base: PayloadBase::Transport, offset: 2, len: 2 };
            let compare =
                |op, number: u16| Expr::Cmp { sreg: Register::R0, op, data: number.to_be_bytes().to_vec() };
            let at = rule.match_l4proto(protocol.number()).expr(load);
            match first == last {
                true => at.expr(compare(CmpOp::Eq, first)),
                false => at.expr(compare(CmpOp::Gte, first)).expr(compare(CmpOp::Lte, last)),
            }
        }
    }
}

//! The pod network's nftables table as a value, and its way into the kernel.

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::{Context, Result, bail};
use ipnet::IpNet;
use nlink::netlink::nftables::{
    BaseChain, Chain, ChainName, CmpOp, Expr, Family, FibFlags, Field, FilterHook, Match, MatchOp, NatHook,
    NatStatement, PacketField, PayloadBase, Priority, Register, Rule, Set, SetElement, SetKeyType, Value,
};
use nlink::netlink::types::route::RouteType;
use nlink::netlink::{Connection, Nftables};

use crate::lease::Lease;
use crate::{HostPort, Protocol, Ranges};

/// Our only table of family inet; nothing outside it is ever touched.
pub const TABLE: &str = "knarr-pods";

const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 0));
const LOOPBACK_BITS: u8 = 8;
const IPPROTO_SCTP: u8 = 132;

/// Replaces the table's whole content in one transaction: no packet sees it half-made.
pub async fn apply(ranges: &Ranges, leases: &BTreeMap<String, Lease>) -> Result<()> {
    let nft = Connection::<Nftables>::new().context("open an nftables socket")?;
    // Adding before deleting makes the deletion succeed also the first time.
    let mut change = nft
        .transaction()
        .update_table(TABLE, Family::Inet, 0)
        .del_table(TABLE, Family::Inet)
        .add_table(TABLE, Family::Inet);
    for (name, v6) in [("cluster4", false), ("cluster6", true)] {
        let key = if v6 { SetKeyType::Ipv6Addr } else { SetKeyType::Ipv4Addr };
        let set = Set::new(TABLE, name).family(Family::Inet).key_type(key).interval();
        let cidrs = IpNet::aggregate(&ranges.cluster_cidrs);
        let elements = cidrs
            .iter()
            .filter(|c| matches!(c, IpNet::V6(_)) == v6)
            .map(|c| match c {
                IpNet::V4(c) => SetElement::ipv4_prefix(c.network(), c.prefix_len()),
                IpNet::V6(c) => SetElement::ipv6_prefix(c.network(), c.prefix_len()),
            })
            .collect::<nlink::Result<Vec<_>>>()?;
        change = change.add_set(set.clone());
        if !elements.is_empty() {
            change = change.add_set_elements(&set, &elements);
        }
    }
    change = change
        .add_chain(chain("hostports")?)
        .add_chain(chain("loopback")?.base(BaseChain::filter(FilterHook::Prerouting, Priority::Raw)))
        .add_chain(chain("prerouting")?.base(BaseChain::nat(NatHook::Prerouting, Priority::DstNat)))
        .add_chain(chain("output")?.base(BaseChain::nat(NatHook::Output, Priority::DstNat)))
        .add_chain(chain("postrouting")?.base(BaseChain::nat(NatHook::Postrouting, Priority::SrcNat)));
    for rule in rules(ranges, leases)? {
        change = change.add_rule(rule);
    }
    change.commit(&nft).await.context("commit the table")
}

/// Whether the kernel has nftables, and we may ask it: a module's name would not tell where it is built in.
pub async fn answers() -> Result<()> {
    let nft = Connection::<Nftables>::new().context("open an nftables socket")?;
    nft.list_tables().await.context("list tables").map(drop)
}

/// Removes the table. Idempotent.
pub async fn remove() -> Result<()> {
    let nft = Connection::<Nftables>::new().context("open an nftables socket")?;
    nft.del_table_if_exists(TABLE, Family::Inet).await.context("remove the table")?;
    Ok(())
}

fn chain(name: &str) -> Result<Chain> {
    Ok(Chain::new(TABLE, name)?.family(Family::Inet))
}

fn rule(chain: &str) -> Rule {
    Rule::new(TABLE, chain).family(Family::Inet)
}

fn rules(ranges: &Ranges, leases: &BTreeMap<String, Lease>) -> Result<Vec<Rule>> {
    let hostports: ChainName = "hostports".parse()?;
    let mut rules = Vec::new();
    // Links whose pods have host ports let packets of 127.0.0.0/8 through, so that `curl localhost:PORT` works. Answers on
    // the wire name the gateway: what names loopback there comes from a pod that tries the machine's own services.
    let ours = Match::new(Field::Iifname, MatchOp::Eq, Value::NamePrefix(crate::links::PREFIX.into()));
    rules.push(rule("loopback").then(ours).match_daddr(LOOPBACK, LOOPBACK_BITS).drop());
    for hook in ["prerouting", "output"] {
        rules.push(rule(hook).match_fib_type(FibFlags::DADDR, RouteType::Local).jump(hostports.clone()));
    }
    for lease in leases.values() {
        for port in &lease.ports {
            rules.extend(lease.addresses.iter().filter_map(|a| host_port(port, *a)));
        }
        if !lease.ports.is_empty() {
            // A pod that calls itself through its host port would else see its own address answer from elsewhere.
            rules.extend(lease.addresses.iter().map(|a| {
                let bits = if a.is_ipv4() { 32 } else { 128 };
                rule("postrouting").match_saddr(*a, bits).match_daddr(*a, bits).masquerade()
            }));
            // A pod would answer 127.0.0.1 to itself.
            rules.extend(lease.addresses.iter().filter(|a| a.is_ipv4()).map(|a| {
                rule("postrouting").match_saddr(LOOPBACK, LOOPBACK_BITS).match_daddr(*a, 32).masquerade()
            }));
        }
    }
    for cidr in &ranges.pod_cidrs {
        let from_pods = rule("postrouting").match_saddr(cidr.network(), cidr.prefix_len());
        let (field, set) = match cidr {
            IpNet::V4(_) => (PacketField::Ip4Daddr, "cluster4"),
            IpNet::V6(_) => (PacketField::Ip6Daddr, "cluster6"),
        };
        // Multicast is never translated: neighbours must see who speaks.
        let multicast: IpNet =
            if cidr.addr().is_ipv4() { "224.0.0.0/4".parse()? } else { "ff00::/8".parse()? };
        rules.push(
            from_pods
                .match_not_in_interval_set(field, set)
                .match_daddr_not(multicast.network(), multicast.prefix_len())
                .masquerade(),
        );
    }
    Ok(rules)
}

fn host_port(port: &HostPort, to: IpAddr) -> Option<Rule> {
    let mut rule = rule("hostports");
    if let Some(host) = port.host_ip.filter(|a| !a.is_unspecified()) {
        if host.is_ipv4() != to.is_ipv4() {
            return None;
        }
        rule = rule.match_daddr(host, if host.is_ipv4() { 32 } else { 128 });
    } else {
        rule = rule.then(Match::eq(Field::NfProto, if to.is_ipv4() { 2u8 } else { 10u8 }));
    }
    rule = match port.protocol {
        Protocol::Tcp => rule.match_tcp_dport(port.host_port),
        Protocol::Udp => rule.match_udp_dport(port.host_port),
        // SCTP's destination port lies where TCP's does.
        Protocol::Sctp => rule
            .match_l4proto(IPPROTO_SCTP)
            .expr(Expr::Payload { dreg: Register::R0, base: PayloadBase::Transport, offset: 2, len: 2 })
            .expr(Expr::Cmp {
                sreg: Register::R0,
                op: CmpOp::Eq,
                data: port.host_port.to_be_bytes().to_vec(),
            }),
    };
    Some(rule.nat(NatStatement::dnat(to).port(port.container_port)))
}

/// Fails when another sandbox holds one of these host ports.
pub fn check_free(leases: &BTreeMap<String, Lease>, sandbox: &str, ports: &[HostPort]) -> Result<()> {
    for wanted in ports {
        let holder = leases.values().filter(|l| l.sandbox != sandbox).find(|l| {
            l.ports.iter().any(|p| {
                p.protocol == wanted.protocol
                    && p.host_port == wanted.host_port
                    && (overlaps(p.host_ip, wanted.host_ip))
            })
        });
        if let Some(holder) = holder {
            bail!("host port {} is taken by sandbox {}", wanted.host_port, holder.sandbox);
        }
    }
    Ok(())
}

fn overlaps(a: Option<IpAddr>, b: Option<IpAddr>) -> bool {
    let any = |x: Option<IpAddr>| x.is_none_or(|x| x.is_unspecified());
    any(a) || any(b) || a == b
}

//! The only file that changes the kernel's tables: our table's fixed part, and deltas, each in one transaction.

mod expressions;

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::{Context, Result};
use ipnet::IpNet;
use nix::sys::socket::{setsockopt, sockopt};
use nlink::netlink::nftables::{
    BaseChain, Chain, ChainName, CtState, CtStatus, Family, FibFlags, FilterHook, NatHook, NatStatement,
    Priority, Rule, Set, SetDataType, SetElement, SetElementData, SetKeyType, Transaction, Verdict,
};
use nlink::netlink::types::route::RouteType;
use nlink::netlink::{Connection, Nftables};

use crate::kernel::expressions::{Lookup, both, packet};
use crate::render::REJECT;
use crate::rules::{self, Endpoint, Ip, Key, Kind, Place, Protocol, Step, Value};
use crate::table::Delta;

/// Our only table, of family inet.
pub const TABLE: &str = "knarr-services";

/// A batch of everything is larger than sockets may send by default: 10,000 services take some 20 MB.
const SEND_BUFFER: usize = 256 << 20;
/// Elements per message: an attribute has a 16-bit length, and an IPv6 element takes about 100 bytes.
const ELEMENTS: usize = 400;
/// Clients that are remembered at a time. A flood of forged sources must not eat the kernel's memory.
const CLIENTS_MAX: u32 = 1 << 18;
/// The bit that upstream's proxy uses, too.
pub(crate) const MASQUERADE_MARK: u32 = 0x4000;

/// What of the table no service changes.
#[derive(Clone, Debug)]
pub struct Ranges {
    /// Where pods' addresses come from, in the whole cluster.
    pub pods: Vec<IpNet>,
    /// Where services' addresses come from.
    pub services: Vec<IpNet>,
}

/// A way to the kernel's tables.
pub struct Kernel {
    nft: Connection<Nftables>,
    ranges: Ranges,
}

impl Kernel {
    /// Opens a socket in the network namespace of this thread.
    pub fn open(ranges: Ranges) -> Result<Self> {
        let nft = Connection::<Nftables>::new().context("open an nftables socket")?;
        setsockopt(nft.socket(), sockopt::SndBufForce, &SEND_BUFFER).context("enlarge its send buffer")?;
        Ok(Kernel { nft, ranges })
    }

    /// By which notifications show whose change it was.
    pub fn port_id(&self) -> u32 {
        self.nft.socket().pid()
    }

    /// Replaces the whole table. Clients keep their endpoints, where the kernel still knows them.
    pub async fn replace(&self, whole: &Delta) -> Result<()> {
        let clients = [self.clients(Ip::V4).await, self.clients(Ip::V6).await];
        // Adding before deleting makes the deletion succeed also the first time.
        let mut change = self
            .nft
            .transaction()
            .update_table(TABLE, Family::Inet, 0)
            .del_table(TABLE, Family::Inet)
            .add_table(TABLE, Family::Inet);
        for ip in Ip::BOTH {
            change = self.sets(change, ip)?;
        }
        for chain in base_chains()?.into_iter().chain(plain_chains()?) {
            change = change.add_chain(chain);
        }
        for rule in fixed_rules()? {
            change = change.add_rule(rule);
        }
        for (ip, clients) in Ip::BOTH.into_iter().zip(&clients) {
            for some in clients.chunks(ELEMENTS) {
                change = change.add_set_elements(&affinity(ip), some);
            }
        }
        apply(change, whole)?.commit(&self.nft).await.context("write the table")
    }

    /// Which endpoint each client has, for as long as that is to last. Nothing when there is no table.
    async fn clients(&self, ip: Ip) -> Vec<SetElement> {
        let clients = self.nft.list_set_elements(TABLE, &both("affinity", ip), Family::Inet).await;
        let lasting = |client: SetElement| {
            let Some(SetElementData::Value(endpoint)) = client.data().cloned() else { return None };
            let left = client.expiration().filter(|left| !left.is_zero())?;
            let copy = SetElement::new(client.key().to_vec()).value(SetElement::new(endpoint));
            Some(copy.with_timeout(left))
        };
        clients.unwrap_or_default().into_iter().filter_map(lasting).collect()
    }

    /// Applies a change to the table as it was left.
    pub async fn change(&self, delta: &Delta) -> Result<()> {
        apply(self.nft.transaction(), delta)?.commit(&self.nft).await.context("change the table")
    }

    /// Base chains of other tables that drop what they do not know on its way through this machine: (family, table, chain).
    pub async fn forward_drops(&self) -> Result<Vec<String>> {
        self.drops(nlink::netlink::nftables::Hook::Forward).await
    }

    /// The same of another hook.
    pub async fn drops(&self, hook: nlink::netlink::nftables::Hook) -> Result<Vec<String>> {
        use nlink::netlink::nftables::Policy;
        let mut chains = Vec::new();
        // Ours may have thousands, and none that matters here.
        for table in self.nft.list_tables().await.context("list tables")? {
            if table.name != TABLE {
                let of_table = self.nft.list_chains_in(&*table.name, table.family).await;
                chains.extend(of_table.context("list chains")?);
            }
        }
        let mut found: Vec<String> = chains
            .into_iter()
            .filter(|c| {
                let kind = c.kind();
                let base = kind.as_ref().and_then(|k| k.base());
                base.is_some_and(|b| b.hook() == hook && b.default_policy() == Some(Policy::Drop))
            })
            .map(|c| format!("{} {} {}", c.family, c.table, c.name))
            .collect();
        found.sort();
        Ok(found)
    }

    /// Whether the kernel's table has every chain that it should have, and rules in them. Asked when notifications were lost.
    pub async fn is_intact(&self, whole: &Delta) -> bool {
        let Ok(chains) = self.nft.list_chains_in(TABLE, Family::Inet).await else { return false };
        let Ok(rules) = self.nft.list_rules(TABLE, Family::Inet).await else { return false };
        let Ok(fixed) = base_chains().and_then(|base| Ok(base.len() + plain_chains()?.len())) else {
            return false;
        };
        chains.len() == fixed + whole.chains.len() && rules.len() >= whole.chains.len() + fixed
    }

    fn sets(&self, mut change: Transaction, ip: Ip) -> Result<Transaction> {
        for kind in KINDS {
            change = change.add_set(set(kind, ip));
        }
        change = change.add_set(affinity(ip));
        for (name, ranges) in [("pods", &self.ranges.pods), ("service-ranges", &self.ranges.services)] {
            let set = Set::new(TABLE, &both(name, ip)).family(Family::Inet).key_type(address(ip)).interval();
            change = change.add_set(set.clone());
            let elements = IpNet::aggregate(ranges)
                .iter()
                .filter(|range| Ip::of(range.addr()) == ip)
                .map(|range| match range {
                    IpNet::V4(r) => SetElement::ipv4_prefix(r.network(), r.prefix_len()),
                    IpNet::V6(r) => SetElement::ipv6_prefix(r.network(), r.prefix_len()),
                })
                .collect::<nlink::Result<Vec<_>>>()?;
            if !elements.is_empty() {
                change = change.add_set_elements(&set, &elements);
            }
        }
        Ok(change)
    }
}

/// Removes the table. Idempotent.
pub async fn remove() -> Result<()> {
    let nft = Connection::<Nftables>::new().context("open an nftables socket")?;
    nft.del_table_if_exists(TABLE, Family::Inet).await.context("remove the services' table")?;
    Ok(())
}

const KINDS: [Kind; 10] = [
    Kind::Frontends,
    Kind::NodePorts,
    Kind::Dead,
    Kind::DeadNodePorts,
    Kind::Guarded,
    Kind::Endpoints,
    Kind::Members,
    Kind::Hairpins,
    Kind::ClusterIps,
    Kind::NodeIps,
];

pub(crate) fn set_name(kind: Kind, ip: Ip) -> String {
    let name = match kind {
        Kind::Frontends => "frontends",
        Kind::NodePorts => "node-ports",
        Kind::Dead => "dead",
        Kind::DeadNodePorts => "dead-node-ports",
        Kind::Guarded => "guarded",
        Kind::Endpoints => "endpoints",
        Kind::Members => "members",
        Kind::Hairpins => "hairpins",
        Kind::ClusterIps => "cluster-ips",
        Kind::NodeIps => "node-ips",
    };
    both(name, ip)
}

fn address(ip: Ip) -> SetKeyType {
    match ip {
        Ip::V4 => SetKeyType::Ipv4Addr,
        Ip::V6 => SetKeyType::Ipv6Addr,
    }
}

fn set(kind: Kind, ip: Ip) -> Set {
    use SetKeyType::{Concat, InetProto, InetService, Mark};
    let endpoint = || Concat(vec![address(ip), InetService]);
    let key = match kind {
        Kind::Frontends | Kind::Dead | Kind::Guarded => Concat(vec![address(ip), InetProto, InetService]),
        Kind::NodePorts | Kind::DeadNodePorts => Concat(vec![InetProto, InetService]),
        Kind::Endpoints => Concat(vec![Mark, Mark]),
        Kind::Members => Concat(vec![Mark, address(ip), InetService]),
        Kind::Hairpins => Concat(vec![address(ip), address(ip)]),
        Kind::ClusterIps | Kind::NodeIps => address(ip),
    };
    let set = Set::new(TABLE, &set_name(kind, ip)).family(Family::Inet).key_type(key);
    match kind {
        Kind::Frontends | Kind::NodePorts | Kind::Dead | Kind::DeadNodePorts | Kind::Guarded => set.vmap(),
        Kind::Endpoints => set.map(SetDataType::Value(endpoint())),
        Kind::Members | Kind::Hairpins | Kind::ClusterIps | Kind::NodeIps => set,
    }
}

/// Which endpoint a client had. Packets write it.
fn affinity(ip: Ip) -> Set {
    Set::new(TABLE, &both("affinity", ip))
        .family(Family::Inet)
        .key_type(SetKeyType::Concat(vec![SetKeyType::Mark, address(ip)]))
        .map(SetDataType::Value(SetKeyType::Concat(vec![address(ip), SetKeyType::InetService])))
        .dynamic()
        .per_element_timeouts()
        .size(CLIENTS_MAX)
}

fn element(place: &Place, value: &Value) -> Result<SetElement> {
    let key = match place.key {
        Key::Frontend(ip, protocol, port) => {
            SetElement::concat([host(ip), proto(protocol), SetElement::port(port)])
        }
        Key::Port(protocol, port) => SetElement::concat([proto(protocol), SetElement::port(port)]),
        Key::Slot(pool, n) => SetElement::concat([SetElement::mark(pool), SetElement::mark(n)]),
        Key::Member(pool, at) => {
            SetElement::concat([SetElement::mark(pool), host(at.ip), SetElement::port(at.port)])
        }
        Key::Address(ip) if place.kind == Kind::Hairpins => SetElement::concat([host(ip), host(ip)]),
        Key::Address(ip) => host(ip),
    };
    Ok(match value {
        Value::Present => key,
        Value::Goto(chain) => key.verdict(Verdict::GotoTo(chain_name(chain)?)),
        Value::Drop => key.verdict(Verdict::Drop),
        Value::Endpoint(Endpoint { ip, port }) => {
            key.value(SetElement::concat([host(*ip), SetElement::port(*port)]))
        }
    })
}

fn host(ip: IpAddr) -> SetElement {
    match ip {
        IpAddr::V4(a) => SetElement::ipv4(a),
        IpAddr::V6(a) => SetElement::ipv6(a),
    }
}

fn proto(protocol: Protocol) -> SetElement {
    SetElement::inet_proto(protocol.number())
}

fn chain_name(name: &str) -> Result<ChainName> {
    name.parse().with_context(|| format!("chain name {name:?}"))
}

fn chain(name: &str) -> Result<Chain> {
    Ok(Chain::new(TABLE, name)?.family(Family::Inet))
}

fn rule(chain: &str) -> Rule {
    Rule::new(TABLE, chain).family(Family::Inet)
}

/// In the order in which the kernel can follow: nothing may point to what is not there.
fn apply(mut change: Transaction, delta: &Delta) -> Result<Transaction> {
    for (_, places) in grouped(delta.gone.iter()) {
        let elements = places.iter().map(|p| element(p, &Value::Present)).collect::<Result<Vec<_>>>()?;
        let set = set(places[0].kind, places[0].ip);
        for some in elements.chunks(ELEMENTS) {
            change = change.del_set_elements(&set, some);
        }
    }
    for name in delta.chains.keys() {
        change = match delta.known.contains(name) {
            true => change.flush_chain(TABLE, name, Family::Inet),
            false => change.add_chain(chain(name)?),
        };
    }
    for (name, chain) in &delta.chains {
        for rule in chain_rules(name, chain)? {
            change = change.add_rule(rule);
        }
    }
    for (_, places) in grouped(delta.elements.keys()) {
        let set = set(places[0].kind, places[0].ip);
        let elements = places.iter().map(|p| element(p, &delta.elements[*p])).collect::<Result<Vec<_>>>()?;
        for some in elements.chunks(ELEMENTS) {
            change = change.add_set_elements(&set, some);
        }
    }
    for name in &delta.gone_chains {
        change = change.flush_chain(TABLE, name, Family::Inet);
    }
    for name in &delta.gone_chains {
        change = change.del_chain(TABLE, name, Family::Inet);
    }
    Ok(change)
}

fn grouped<'a>(places: impl Iterator<Item = &'a Place>) -> BTreeMap<(Kind, Ip), Vec<&'a Place>> {
    let mut groups: BTreeMap<(Kind, Ip), Vec<&Place>> = BTreeMap::new();
    for place in places {
        groups.entry((place.kind, place.ip)).or_default().push(place);
    }
    groups
}

fn chain_rules(name: &str, chain: &rules::Chain) -> Result<Vec<Rule>> {
    let mut all = Vec::new();
    let ip = chain.ip;
    for step in &chain.steps {
        match step {
            Step::MasqueradeUnlessPod => all.push(
                rule(name).expressions(packet(ip).source(0).not_in("pods").done()).try_jump("masquerade")?,
            ),
            Step::Masquerade => all.push(rule(name).try_jump("masquerade")?),
            Step::PodsGoto(to) => {
                all.push(rule(name).expressions(packet(ip).source(0).found_in("pods").done()).try_goto(to)?);
            }
            Step::HostGoto(to) => {
                let local = || rule(name).match_fib_type(FibFlags::SADDR, RouteType::Local);
                all.push(local().try_jump("masquerade")?);
                all.push(local().try_goto(to)?);
            }
            Step::Goto(to) => all.push(rule(name).try_goto(to)?),
            Step::Balance { pool, count } => {
                all.push(rule(name).expressions(packet(ip).pick(*pool, *count).translate().done()));
            }
            Step::Remember { pool, count, memory, seconds } => {
                let steps = expressions::remember(ip, *pool, *count, *memory, *seconds);
                all.extend(steps.into_iter().map(|e| rule(name).expressions(e)));
            }
            Step::ReturnFrom(sources) => {
                for source in sources {
                    let returns = nlink::netlink::nftables::Expr::Verdict(Verdict::Return);
                    all.push(rule(name).match_saddr(source.network(), source.prefix_len()).expr(returns));
                }
            }
            Step::Drop => all.push(rule(name).drop()),
        }
    }
    Ok(all)
}

fn base_chains() -> Result<Vec<Chain>> {
    use FilterHook::{Forward, Input, Output, Prerouting};
    let before = Priority::Custom(Priority::DstNat.to_i32() - 10);
    let after = Priority::Custom(Priority::DstNat.to_i32() + 10);
    let filter =
        |name: &str, hook, priority| anyhow::Ok(chain(name)?.base(BaseChain::filter(hook, priority)));
    let nat = |name: &str, hook, priority| anyhow::Ok(chain(name)?.base(BaseChain::nat(hook, priority)));
    Ok(vec![
        nat("nat-prerouting", NatHook::Prerouting, Priority::DstNat)?,
        nat("nat-output", NatHook::Output, Priority::DstNat)?,
        nat("nat-postrouting", NatHook::Postrouting, Priority::SrcNat)?,
        filter("filter-prerouting", Prerouting, before)?,
        filter("filter-output-before", Output, before)?,
        filter("filter-output-after", Output, after)?,
        filter("filter-input", Input, Priority::Filter)?,
        filter("filter-forward", Forward, Priority::Filter)?,
    ])
}

fn plain_chains() -> Result<Vec<Chain>> {
    ["services", "guard", "unanswered", "unknown-ports", "masquerade", REJECT]
        .map(chain)
        .into_iter()
        .collect()
}

fn fixed_rules() -> Result<Vec<Rule>> {
    let mut all = Vec::new();
    for hook in ["nat-prerouting", "nat-output"] {
        all.push(rule(hook).try_jump("services")?);
    }
    let new = |chain: &str, to: &str| rule(chain).match_ct_state(CtState::NEW).try_jump(to);
    all.push(new("filter-prerouting", "guard")?);
    all.push(new("filter-output-before", "guard")?);
    // After translation: whatever still has a service's address was not translated.
    for (chain, to) in [
        ("filter-output-after", "unanswered"),
        ("filter-output-after", "unknown-ports"),
        ("filter-input", "unanswered"),
        ("filter-forward", "unanswered"),
        ("filter-forward", "unknown-ports"),
    ] {
        all.push(new(chain, to)?);
    }
    for ip in Ip::BOTH {
        let at = |chain: &str, map: Kind| rule(chain).expressions(packet(ip).frontend().verdict(map).done());
        let node = |chain: &str, map: Kind| {
            rule(chain).expressions(packet(ip).destination(0).found_in("node-ips").port().verdict(map).done())
        };
        all.extend([at("services", Kind::Frontends), node("services", Kind::NodePorts)]);
        all.push(at("guard", Kind::Guarded));
        all.extend([at("unanswered", Kind::Dead), node("unanswered", Kind::DeadNodePorts)]);
        let known = packet(ip).destination(0).found_in("cluster-ips").done();
        all.push(rule("unknown-ports").expressions(known).try_goto(REJECT)?);
        let unused = packet(ip).destination(0).found_in("service-ranges").done();
        all.push(rule("unknown-ports").expressions(unused).drop());
    }
    all.push(rule("masquerade").set_mark_masked(MASQUERADE_MARK, MASQUERADE_MARK));
    all.push(
        rule("nat-postrouting")
            .match_mark_masked(MASQUERADE_MARK, MASQUERADE_MARK)
            .set_mark_masked(0, MASQUERADE_MARK)
            .nat(NatStatement::masquerade().fully_random()),
    );
    for ip in Ip::BOTH {
        // Who is led to himself must not see his own address as the other end's.
        let himself = packet(ip).source(0).destination_after().found_in("hairpins").done();
        let translated = rule("nat-postrouting").match_ct_status(CtStatus::DST_NAT);
        all.push(himself.into_iter().fold(translated, Rule::expr).masquerade());
    }
    all.push(rule(REJECT).reject_tcp_reset());
    all.push(rule(REJECT).reject());
    Ok(all)
}

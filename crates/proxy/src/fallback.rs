//! Service addresses on a machine without a default route: the kernel looks for a way before it asks for translations, and
//! processes of the node (pods have a default route) would be told that the network is unreachable. Start at [`lay`].
//!
//! A rule after all others leads to a table of our own, whose routes are only looked at when no other table had any. What they
//! say does not matter, as the translation looks for a way again: `lo` is on every machine. IPv6 refuses such routes.

use std::collections::BTreeSet;
use std::net::IpAddr;

use anyhow::{Context, Result};
use ipnet::IpNet;
use nlink::netlink::route::Ipv4Route;
use nlink::netlink::rule::RuleBuilder;
use nlink::netlink::types::route::RouteProtocol;
use nlink::netlink::{Connection, Route};

/// Our routing table, and what its routes say of who made them: no other program's, as far as is known.
const TABLE: u32 = 0x6b6e;
const MADE_BY: u8 = 0x6b;
/// After main (32766) and default (32767).
const LAST: u32 = 32800;

/// Lets this machine's processes reach `services`; `node` are its addresses, of which connections come from the first. Idempotent.
pub async fn lay(services: &[IpNet], node: &BTreeSet<IpAddr>) -> Result<()> {
    let Some(from) = node.iter().find_map(|a| if let IpAddr::V4(a) = a { Some(*a) } else { None }) else {
        return Ok(());
    };
    let route = Connection::<Route>::new().context("open a route socket")?;
    for range in services {
        let IpNet::V4(range) = range else { continue };
        let way = Ipv4Route::from_addr(range.network(), range.prefix_len()).dev("lo").prefsrc(from);
        let way = way.table(TABLE).protocol(RouteProtocol::Other(MADE_BY));
        route.replace_route(way).await.with_context(|| format!("add a route to {range}"))?;
        let rule = RuleBuilder::v4().to_addr(range.network().into(), range.prefix_len());
        match route.add_rule(rule.priority(LAST).table(TABLE)).await {
            Err(error) if !error.is_already_exists() => return Err(error).context("add a routing rule"),
            _ => {}
        }
    }
    Ok(())
}

/// Takes away what [`lay`] made. Idempotent.
pub async fn remove() -> Result<()> {
    let route = Connection::<Route>::new().context("open a route socket")?;
    while route
        .del_rule_if_exists(RuleBuilder::v4().priority(LAST).table(TABLE))
        .await
        .context("remove a rule")?
    {}
    let table = route.get_routes_for_table(TABLE).await.context("list routes")?;
    for ours in &table {
        let Some(IpAddr::V4(to)) = ours.destination() else { continue };
        let way = Ipv4Route::from_addr(*to, ours.dst_len()).table(TABLE);
        route.del_route_if_exists(way).await.context("remove a route")?;
    }
    Ok(())
}

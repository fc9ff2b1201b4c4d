//! The service proxy: services and endpoint slices → one nftables table. Start at [`start`], then `proxy`'s loop.
//!
//! - `endpoints`: which endpoints a port is led to. `render`: a service → its [`rules::Part`] of the table. `table`: all parts,
//!   and the [`table::Delta`] that a changed one makes. All pure: the work per event is in proportion to what changed.
//! - `kernel`: the table's fixed part, and deltas as transactions; the only file that writes to the kernel's tables.
//! - `watch`: who else changes tables. `conntrack`: UDP flows to endpoints that are gone. `full`: when the kernel has no room for
//!   connections. `health`: `healthCheckNodePort`. `fallback`: routes for machines without a default one.
//!
//! `policy` is beside all that: network policies, in a table of their own. It shares only how tables are watched.
//!
//! Never touches a table that is not ours, and never knows the pod network: pods are where their ranges say.

mod conntrack;
mod endpoints;
mod fallback;
mod full;
mod health;
mod kernel;
pub mod policy;
mod proxy;
mod render;
pub mod rules;
pub mod table;
mod watch;

pub use kernel::{Ranges, TABLE};
pub use proxy::{Config, start};

/// Base chains of others that drop what they do not know: on its way through this machine, and on its way to it.
pub async fn foreign_drops() -> anyhow::Result<(Vec<String>, Vec<String>)> {
    use nlink::netlink::nftables::Hook;
    let kernel = kernel::Kernel::open(Ranges { pods: Vec::new(), services: Vec::new() })?;
    Ok((kernel.drops(Hook::Forward).await?, kernel.drops(Hook::Input).await?))
}

/// Removes everything that a proxy made in this network namespace. Idempotent.
pub async fn remove() -> anyhow::Result<()> {
    fallback::remove().await?;
    policy::remove().await?;
    kernel::remove().await
}

#[cfg(test)]
mod tests;

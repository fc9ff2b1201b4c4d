//! Assembles components from configuration: the only crate that names them all. Start at [`server::run`].
//!
//! - [`control_plane`]: store, registry, API server, controllers, scheduler. [`node`]: runtime, network, kubelet; [`peers`]: other
//!   nodes' pods.
//! - [`agent`]: a node whose servers are elsewhere. [`joining`]: what it is told; [`token`]: what it comes with.
//! - [`datastore`]: a file or etcd; [`elected`], [`masters`]: several servers on one etcd; [`snapshots`], [`migrate`]:
//!   copies of it.
//! - [`process`]: what each of these programs is around its work. [`control`]: the node's own socket, for `knarr ps` and its like. [`reset`]: everything away again.

pub mod agent;
pub mod certificates;
pub mod components;
pub mod config;
pub mod control;
mod control_plane;
pub mod datastore;
mod dns;
mod elected;
mod farewell;
pub mod host;
mod identities;
mod joining;
mod masters;
pub mod migrate;
mod network;
mod node;
mod peers;
pub mod process;
pub mod progress;
mod proxy;
pub mod reset;
pub mod security;
pub mod server;
pub mod service_manager;
pub mod snapshots;
mod streams;
pub mod token;
mod virtuals;

/// The one provider of cryptography. Before anything speaks TLS.
pub fn install_tls() {
    // Only fails when there is one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

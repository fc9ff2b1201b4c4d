//! Assembles components from configuration: the only crate that names them all. Start at [`server::run`].
//!
//! - [`control_plane`]: store, registry, API server, controllers, scheduler. [`node`]: runtime, network, kubelet.
//! - [`control`]: the node's own socket, for `knarr ps` and its like. [`reset`]: everything away again.

pub mod config;
pub mod control;
mod control_plane;
mod dns;
pub mod host;
mod identities;
mod network;
mod node;
mod peers;
pub mod progress;
mod proxy;
pub mod reset;
pub mod server;
mod streams;
pub mod token;
mod virtuals;
pub mod security;

//! The node's own little interface, on a unix socket that only root can open: what `knarr ps`, `inspect` and `image` ask.
//! HTTP with JSON; both ends are this file's.

mod client;
mod inspect;
mod server;

use serde::{Deserialize, Serialize};

pub use client::Client;
pub use server::{Node, serve};

/// A line of `knarr ps`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub id: String,
    pub image: String,
    pub command: String,
    pub created: String,
    pub status: String,
    /// As kubelets have always named containers: `k8s_<container>_<pod>_<namespace>_<uid>_<attempt>`.
    pub name: String,
}

/// A line of `knarr image ls`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRow {
    pub id: String,
    pub names: Vec<String>,
    /// Bytes on disk.
    pub size: u64,
}

/// What went wrong, for a person.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Failure {
    error: String,
}

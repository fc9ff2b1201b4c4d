//! The generic store of objects with strategies, and the allocators. Start at [`Registry`]; the writes are in
//! `create`, `update` (patch, too) and `delete`, the reads in `read` and `watch`.
//!
//! Never heard of HTTP, never decides who may.

pub mod admit;
mod apply;
pub mod continuation;
mod create;
mod delete;
mod evict;
mod managed;
mod metadata;
mod namespaces;
mod open;
pub mod options;
mod pods;
mod read;
mod registry;
mod rows;
mod scale;
mod select;
mod services;
mod turns;
mod update;
mod watch;

pub use admit::{Admit, Requester};
pub use delete::{Deleted, FOREGROUND, ORPHAN, delete_warning};
pub use read::Listing;
pub use registry::{Registry, Target, Written};
pub use services::{Cidr, NODE_PORTS, ServiceConfig};
pub use update::{Change, Changed, Kind as ChangeKind};
pub use watch::{WatchItem, WatchStream};

//! Objects as bytes and parsed metadata; indexes, persistent snapshots, a window of history, watchers as cursors in it.
//! Start at [`object::Object`], then [`cache::Cache`].
//!
//! One writer applies changes ([`cache::Update`]); everybody else reads snapshots or follows events. Each event is
//! serialised once ([`event::Event::frame`]) and filed in the lanes (`history`) of those who may want it.
//!
//! Never does IO, never decodes a kind.

pub mod cache;
pub mod event;
pub mod filter;
mod history;
pub mod object;
pub mod progress;
mod scan;
pub mod state;
pub mod subscribe;
pub mod watch;

pub use cache::{Cache, CacheConfig, Expired, LABELS, Update};
pub use event::{Event, EventKind, WatchEvent};
pub use filter::{Filter, Predicate};
pub use object::Object;
pub use progress::Progress;
pub use state::Snapshot;
pub use subscribe::{Change, Subscription};
pub use watch::{Watch, WatchItem};

#[cfg(test)]
mod tests;

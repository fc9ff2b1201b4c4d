//! Where objects are kept. Start at [`store::Store`] and [`collection::Collection`]; engines implement
//! [`engine::Engine`] and all pass `testsuite`.
//!
//! An engine keeps keys and bytes by revision; the store follows its events and publishes them in a cache for each
//! collection, which serves reads: those that must not be stale wait for it, or ask the engine where it is behind. Writes go
//! to the engine with guards and return when they are published.
//!
//! Never heard of Pod: what a value means is its collection's `parse`.

pub mod collection;
pub mod embedded;
pub mod engine;
pub mod etcd;
mod expire;
mod feed;
mod measured;
pub mod memory;
pub mod migrate;
mod mvcc;
mod retention;
pub mod store;

pub use collection::{Collection, CollectionSpec, Parse, ParseError, Terms, WriteError};
pub use embedded::snapshot::{self, SnapshotError};
pub use embedded::{DirLock, EmbeddedConfig, EmbeddedEngine, EmbeddedError, OnFatal};
pub use engine::{Durability, Engine, Guard, ReadError};
pub use etcd::{EtcdConfig, EtcdEngine, EtcdError};
pub use measured::Measured;
pub use memory::MemoryEngine;
pub use store::{OpenError, Store, StoreConfig};

#[cfg(test)]
mod testsuite;

//! Objects as bytes and parsed metadata; indexes, persistent snapshots, a window of history, watchers as cursors in it.
//! Start at [`object::Object`].
//!
//! Never does IO, never decodes a kind.

pub mod object;

pub use object::Object;

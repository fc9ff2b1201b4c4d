//! The only (de)serialisers of built-in kinds. Start at [`Kind`].
//!
//! Never does IO. No other crate calls serde on a kind: these types are large, and each instantiation costs every build.

pub mod decode;
pub mod kind;
pub mod managed;
pub mod meta;
pub mod protobuf;
pub mod schema;
pub mod splice;
pub mod transitions;
pub mod yaml;

pub use decode::{Content, Decoded, Strictness, decode};
pub use kind::{AnyObject, Kind};

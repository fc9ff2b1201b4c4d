//! SPDY/3.1 as Kubernetes uses it: streams both ways over one connection, without flow control (the other side's library has
//! none), without push. Start at [`Connection`].
//!
//! Contract: draft-mbelshe-httpbis-spdy-00 and its revision 3.1, frames and header compression.

mod connection;
mod frame;
mod headers;

pub use connection::{Connection, Incoming, ReadHalf, Stream, WriteHalf};
pub use headers::Headers;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The other side broke the protocol.
    #[error("SPDY protocol error: {0}")]
    Protocol(&'static str),
    #[error("the connection is closed")]
    Closed,
}

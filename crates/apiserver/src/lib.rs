//! The API server. Start at [`api::Api`]: `pipeline` is what happens to a request, as values; `http` brings requests
//! in over the wire, as many at once as `flow` lets in; `local` brings those of components in the same process.
//!
//! Never decides what a kind means (`resources`), never keeps an object (`registry`).

pub mod api;
pub mod flow;
pub mod http;
pub mod local;
pub mod pipeline;
pub mod version;

pub use api::{Api, Config};
pub use http::health::Check;
pub use http::listen::{listen, listen_insecure};
pub use http::proxy::{KubeletProxy, NodeProxy};

//! The HTTP front. Start at [`service::serve`]; [`endpoints`] lists the paths that are no resources.

pub mod answers;
pub mod body;
pub mod decode;
pub mod discovery;
pub mod encodings;
pub mod endpoints;
pub mod gzip;
pub mod health;
pub mod indent;
pub mod list_body;
pub mod listen;
pub mod metrics;
pub mod negotiate;
pub mod openapi;
pub mod present;
pub mod proxy;
pub mod service;
pub mod table;
pub mod websocket;

//! What certificate requests say, for whoever may not know of certificates himself.

pub use pki::request::{Requested, request_subject};

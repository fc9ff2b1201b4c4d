//! The generic store of objects with strategies, and the allocators. Start at [`admit::Admit`].
//!
//! Never heard of HTTP.

pub mod admit;

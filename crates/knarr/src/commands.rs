//! One file per command.

pub mod image;
pub mod inspect;
pub mod node;
pub mod ps;
pub mod reset;
pub mod server;
pub mod security;

//! One folder per API group, one room per kind: defaults, validation, strategy, columns, methods.
//! Start at [`strategy::Strategy`] and [`table`].
//!
//! Never does IO. A kind is one room here and one line in its group's table; nothing else in the tree lists kinds.

pub mod strategy;
pub mod table;

pub use strategy::{AnyStrategy, Resource, Scope, Strategy};

//! What every Kubernetes object shares: names of kinds, metadata, selectors, quantities, `Status`, field paths and
//! the patch and apply algorithms over a [`schema::Schema`]. Start at [`gvk`] and [`status::Status`].
//!
//! Never does IO, never heard of a particular kind.

pub mod field;
pub mod fieldset;
pub mod gvk;
pub mod managed;
pub mod meta;
pub mod names;
pub mod patch;
pub mod quantity;
pub mod raw;
pub mod schema;
pub mod selector;
pub mod status;

pub use gvk::{GroupResource, GroupVersion, Gvk, Gvr, ObjectKey, Revision};
pub use meta::Meta;
pub use quantity::Quantity;
pub use selector::{FieldSelector, Selector};
pub use status::Status;

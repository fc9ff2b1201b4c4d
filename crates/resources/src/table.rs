//! Every resource that is served, by group, in discovery's order.

use crate::strategy::Resource;

/// The rows of all groups.
pub fn all() -> Vec<Resource> {
    Vec::new()
}

//! Every resource that is served, by group, in discovery's order.

use crate::strategy::Resource;
use crate::{apps, coordination, core, discovery, rbac, scheduling};

/// The rows of all groups.
pub fn all() -> Vec<Resource> {
    [
        core::resources(),
        apps::resources(),
        coordination::resources(),
        discovery::resources(),
        rbac::resources(),
        scheduling::resources(),
    ]
    .concat()
}

#[cfg(test)]
mod tests;

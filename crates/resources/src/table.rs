//! Every resource that is served, by group, in discovery's order.

use crate::strategy::Resource;
use crate::{apps, batch, coordination, core, discovery, events, policy, rbac, scheduling};

/// The rows of all groups.
pub fn all() -> Vec<Resource> {
    [
        core::resources(),
        apps::resources(),
        batch::resources(),
        events::resources(),
        coordination::resources(),
        discovery::resources(),
        policy::resources(),
        rbac::resources(),
        scheduling::resources(),
    ]
    .concat()
}

#[cfg(test)]
mod tests;

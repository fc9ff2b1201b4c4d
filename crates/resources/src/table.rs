//! Every resource that is served, by group, in discovery's order.

use crate::strategy::Resource;
use crate::{
    apps, batch, certificates, coordination, core, discovery, events, networking, node, policy, rbac,
    scheduling, storage,
};

/// The rows of all groups.
pub fn all() -> Vec<Resource> {
    [
        core::resources(),
        apps::resources(),
        batch::resources(),
        certificates::resources(),
        events::resources(),
        coordination::resources(),
        discovery::resources(),
        networking::resources(),
        node::resources(),
        policy::resources(),
        rbac::resources(),
        scheduling::resources(),
        storage::resources(),
    ]
    .concat()
}

#[cfg(test)]
mod tests;

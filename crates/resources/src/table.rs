//! Every resource, by group, in discovery's order.

use crate::gate::Gate;
use crate::strategy::Resource;
use crate::{
    admissionregistration, apiextensions, apiregistration, apps, autoscaling, batch, certificates,
    coordination, core, discovery, events, flowcontrol, networking, node, policy, rbac, resource, scheduling,
    storage, storagemigration,
};

/// The rows that are served where these gates are open: router, discovery, OpenAPI and store know no others.
pub fn served(open: &[Gate]) -> Vec<Resource> {
    all().into_iter().filter(|r| r.gate.is_none_or(|gate| open.contains(&gate))).collect()
}

/// The rows of all groups, also those behind a gate.
pub fn all() -> Vec<Resource> {
    [
        core::resources(),
        admissionregistration::resources(),
        apiextensions::resources(),
        apiregistration::resources(),
        apps::resources(),
        autoscaling::resources(),
        batch::resources(),
        certificates::resources(),
        events::resources(),
        coordination::resources(),
        discovery::resources(),
        flowcontrol::resources(),
        networking::resources(),
        node::resources(),
        policy::resources(),
        rbac::resources(),
        resource::resources(),
        scheduling::resources(),
        storage::resources(),
        storagemigration::resources(),
    ]
    .concat()
}

#[cfg(test)]
mod tests;

//! The apps group.

pub mod deployment;
pub mod replica_set;

use crate::strategy::{Resource, Scope};

/// The group's table, in discovery's order.
pub(crate) fn resources() -> Vec<Resource> {
    vec![
        Resource::new(Scope::Namespaced, "deployment", deployment::Strategy)
            .short(&["deploy"])
            .in_categories(&["all"])
            .with(&["scale", "status"]),
        Resource::new(Scope::Namespaced, "replicaset", replica_set::Strategy)
            .short(&["rs"])
            .in_categories(&["all"])
            .with(&["scale", "status"]),
    ]
}

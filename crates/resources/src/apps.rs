//! The apps group.

pub mod controller_revision;
pub mod daemon_set;
pub mod deployment;
pub mod replica_set;
pub mod stateful_set;

use crate::strategy::{Resource, Scope};

/// The group's table, in discovery's order.
pub(crate) fn resources() -> Vec<Resource> {
    vec![
        Resource::new(Scope::Namespaced, "controllerrevision", controller_revision::Strategy),
        Resource::new(Scope::Namespaced, "daemonset", daemon_set::Strategy)
            .short(&["ds"])
            .in_categories(&["all"])
            .with(&["status"]),
        Resource::new(Scope::Namespaced, "deployment", deployment::Strategy)
            .short(&["deploy"])
            .in_categories(&["all"])
            .with(&["scale", "status"]),
        Resource::new(Scope::Namespaced, "replicaset", replica_set::Strategy)
            .short(&["rs"])
            .in_categories(&["all"])
            .with(&["scale", "status"]),
        Resource::new(Scope::Namespaced, "statefulset", stateful_set::Strategy)
            .short(&["sts"])
            .in_categories(&["all"])
            .with(&["scale", "status"]),
    ]
}

//! The flowcontrol.apiserver.k8s.io group: which requests belong together, and how many of them may run at once.

pub mod bootstrap;
pub mod flow_schema;
pub mod priority_level;

use crate::strategy::{Resource, Scope};

/// The group's table, in discovery's order.
pub(crate) fn resources() -> Vec<Resource> {
    vec![
        Resource::new(Scope::Cluster, "flowschema", flow_schema::Strategy).with(&["status"]),
        Resource::new(Scope::Cluster, "prioritylevelconfiguration", priority_level::Strategy)
            .with(&["status"]),
    ]
}

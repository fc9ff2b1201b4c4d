//! The scheduling.k8s.io group.

pub mod priority_class;

use crate::strategy::{Resource, Scope};

/// The group's table, in discovery's order.
pub(crate) fn resources() -> Vec<Resource> {
    vec![Resource::new(Scope::Cluster, "priorityclass", priority_class::Strategy).short(&["pc"])]
}

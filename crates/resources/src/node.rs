//! The node.k8s.io group.

pub mod runtime_class;

use crate::strategy::{Resource, Scope};

/// The group's table.
pub(crate) fn resources() -> Vec<Resource> {
    vec![Resource::new(Scope::Cluster, "runtimeclass", runtime_class::Strategy)]
}

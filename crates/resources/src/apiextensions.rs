//! The apiextensions.k8s.io group: kinds that users define.

pub mod custom_resource_definition;

use crate::gate::Gate;
use crate::strategy::{Resource, Scope};

/// The group's table, in discovery's order.
pub(crate) fn resources() -> Vec<Resource> {
    vec![
        Resource::new(Scope::Cluster, "customresourcedefinition", custom_resource_definition::Strategy)
            .short(&["crd", "crds"])
            .in_categories(&["api-extensions"])
            .with(&["status"])
            .behind(Gate::CustomResources),
    ]
}

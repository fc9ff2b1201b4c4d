//! The apiregistration.k8s.io group: which server answers for which group and version.

pub mod api_service;

use crate::gate::Gate;
use crate::strategy::{Resource, Scope};

/// The group's table, in discovery's order.
pub(crate) fn resources() -> Vec<Resource> {
    vec![
        Resource::new(Scope::Cluster, "apiservice", api_service::Strategy)
            .in_categories(&["api-extensions"])
            .with(&["status"])
            .behind(Gate::Aggregation),
    ]
}

//! The discovery.k8s.io group.

pub mod endpoint_slice;

use crate::strategy::{Resource, Scope};

/// The group's table, in discovery's order.
pub(crate) fn resources() -> Vec<Resource> {
    vec![Resource::new(Scope::Namespaced, "endpointslice", endpoint_slice::Strategy)]
}

//! The coordination.k8s.io group.

pub mod lease;

use crate::strategy::{Resource, Scope};

/// The group's table, in discovery's order.
pub(crate) fn resources() -> Vec<Resource> {
    vec![Resource::new(Scope::Namespaced, "lease", lease::Strategy)]
}

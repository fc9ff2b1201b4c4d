//! The policy group.

pub mod pod_disruption_budget;

use crate::strategy::{Resource, Scope};

/// The group's table, in discovery's order.
pub(crate) fn resources() -> Vec<Resource> {
    vec![
        Resource::new(Scope::Namespaced, "poddisruptionbudget", pod_disruption_budget::Strategy)
            .short(&["pdb"])
            .with(&["status"]),
    ]
}

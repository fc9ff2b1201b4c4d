//! The networking.k8s.io group.

pub mod ingress;
pub mod ingress_class;

use crate::strategy::{Resource, Scope};

/// The group's table, in discovery's order.
pub(crate) fn resources() -> Vec<Resource> {
    vec![
        Resource::new(Scope::Cluster, "ingressclass", ingress_class::Strategy),
        Resource::new(Scope::Namespaced, "ingress", ingress::Strategy).short(&["ing"]).with(&["status"]),
    ]
}

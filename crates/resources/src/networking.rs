//! The networking.k8s.io group.

pub mod ingress;
pub mod ingress_class;
pub mod ip_address;
pub mod network_policy;
pub mod service_cidr;

use crate::strategy::{Resource, Scope};

/// The group's table, in discovery's order.
pub(crate) fn resources() -> Vec<Resource> {
    vec![
        Resource::new(Scope::Cluster, "ingressclass", ingress_class::Strategy),
        Resource::new(Scope::Namespaced, "ingress", ingress::Strategy).short(&["ing"]).with(&["status"]),
        Resource::new(Scope::Cluster, "ipaddress", ip_address::Strategy).short(&["ip"]),
        Resource::new(Scope::Namespaced, "networkpolicy", network_policy::Strategy).short(&["netpol"]),
        Resource::new(Scope::Cluster, "servicecidr", service_cidr::Strategy).with(&["status"]),
    ]
}

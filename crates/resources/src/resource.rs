//! The resource.k8s.io group: devices, who offers them, and who claims them.
//!
//! Expressions that select devices are stored and not yet looked into: there is no CEL here.

pub mod device_class;
pub mod device_taint_rule;
pub mod resource_claim;
pub mod resource_claim_template;
pub mod resource_slice;

mod allocation;
mod device;
mod request;
mod rules;
#[cfg(test)]
mod tests;

use crate::strategy::{Resource, Scope};

/// The group's table, in discovery's order.
pub(crate) fn resources() -> Vec<Resource> {
    vec![
        Resource::new(Scope::Cluster, "deviceclass", device_class::Strategy),
        Resource::new(Scope::Cluster, "devicetaintrule", device_taint_rule::Strategy).with(&["status"]),
        Resource::new(Scope::Namespaced, "resourceclaim", resource_claim::Strategy).with(&["status"]),
        Resource::new(Scope::Namespaced, "resourceclaimtemplate", resource_claim_template::Strategy),
        Resource::new(Scope::Cluster, "resourceslice", resource_slice::Strategy),
    ]
}

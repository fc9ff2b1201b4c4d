//! The core group.

pub mod component_status;
pub mod config_map;
pub mod endpoints;
pub mod event;
pub mod limit_range;
pub mod namespace;
pub mod node;
pub mod persistent_volume;
pub mod persistent_volume_claim;
pub mod pod;
pub mod pod_template;
pub mod replication_controller;
pub mod resource_quota;
pub mod secret;
pub mod service;
pub mod service_account;
pub mod storage;

use crate::strategy::{Resource, Scope};

/// Namespaces empty through their controller, never by a deletion of the collection.
const NAMESPACE_VERBS: &[&str] = &["create", "delete", "get", "list", "patch", "update", "watch"];

/// The group's table, in discovery's order.
pub(crate) fn resources() -> Vec<Resource> {
    use Scope::{Cluster, Namespaced};
    vec![
        Resource::new(Namespaced, "configmap", config_map::Strategy).short(&["cm"]),
        Resource::new(Namespaced, "endpoints", endpoints::Strategy).short(&["ep"]),
        Resource::new(Namespaced, "event", event::Strategy).short(&["ev"]),
        Resource::new(Namespaced, "limitrange", limit_range::Strategy).short(&["limits"]),
        Resource::new(Cluster, "namespace", namespace::Strategy)
            .short(&["ns"])
            .verbs(NAMESPACE_VERBS)
            .with(&["finalize", "status"]),
        Resource::new(Cluster, "node", node::Strategy).short(&["no"]).with(&["proxy", "status"]),
        Resource::new(Namespaced, "persistentvolumeclaim", persistent_volume_claim::Strategy)
            .short(&["pvc"])
            .with(&["status"]),
        Resource::new(Cluster, "persistentvolume", persistent_volume::Strategy)
            .short(&["pv"])
            .with(&["status"]),
        Resource::new(Namespaced, "pod", pod::Strategy).short(&["po"]).in_categories(&["all"]).with(&[
            "attach",
            "binding",
            "ephemeralcontainers",
            "eviction",
            "exec",
            "log",
            "portforward",
            "proxy",
            "resize",
            "status",
        ]),
        Resource::new(Namespaced, "podtemplate", pod_template::Strategy),
        Resource::new(Namespaced, "replicationcontroller", replication_controller::Strategy)
            .short(&["rc"])
            .in_categories(&["all"])
            .with(&["scale", "status"]),
        Resource::new(Namespaced, "resourcequota", resource_quota::Strategy)
            .short(&["quota"])
            .with(&["status"]),
        Resource::new(Namespaced, "secret", secret::Strategy),
        Resource::new(Namespaced, "serviceaccount", service_account::Strategy)
            .short(&["sa"])
            .with(&["token"]),
        Resource::new(Namespaced, "service", service::Strategy)
            .short(&["svc"])
            .in_categories(&["all"])
            .with(&["proxy", "status"]),
    ]
}

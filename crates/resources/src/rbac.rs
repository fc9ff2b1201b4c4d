//! The rbac.authorization.k8s.io group: what may be done, and who may do it.

pub mod binding;
pub mod role;

use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};

use crate::strategy::{Resource, Scope};

/// The group's name.
pub const GROUP: &str = "rbac.authorization.k8s.io";

/// The group's table, in discovery's order.
pub(crate) fn resources() -> Vec<Resource> {
    use Scope::{Cluster, Namespaced};
    vec![
        Resource::new(Cluster, "clusterrolebinding", binding::Strategy::<ClusterRoleBinding>::default()),
        Resource::new(Cluster, "clusterrole", role::Strategy::<ClusterRole>::default()),
        Resource::new(Namespaced, "rolebinding", binding::Strategy::<RoleBinding>::default()),
        Resource::new(Namespaced, "role", role::Strategy::<Role>::default()),
    ]
}

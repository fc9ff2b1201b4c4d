//! Role-based access control. Start at [`Rbac::authorize`]; [`index::Index`] is what it looks things up in.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use async_trait::async_trait;
use client::transport::{Transport, ViewScope};
use codec::Kind;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef};
use stdx::Tasks;

use crate::authn::{UserInfo, aggregate};
use crate::authz::{Attributes, Authorizer, Decision};
use crate::feed::{Ready, feed};

pub mod aggregation;
pub mod covers;
pub mod escalation;
pub mod index;
pub mod rules;

pub use covers::covers;
pub use index::Index;

/// The RBAC authorizer: roles and bindings indexed by subject, kept up to date by their views.
pub struct Rbac {
    index: Arc<RwLock<Index>>,
    ready: Option<Ready>,
}

impl Rbac {
    /// Follows `transport`'s roles and bindings. Allows nothing before it has seen them all.
    pub fn start(transport: &dyn Transport, tasks: &Tasks) -> Arc<Self> {
        let index = Arc::new(RwLock::new(Index::default()));
        let all = ViewScope::default();
        let views = vec![
            (Source::ClusterRole, transport.reflect(&ClusterRole::gvr(), &all)),
            (Source::Role, transport.reflect(&Role::gvr(), &all)),
            (Source::ClusterRoleBinding, transport.reflect(&ClusterRoleBinding::gvr(), &all)),
            (Source::RoleBinding, transport.reflect(&RoleBinding::gvr(), &all)),
        ];
        let fed = index.clone();
        let ready = feed(tasks, views, move |source, change| {
            let mut index = fed.write().unwrap_or_else(PoisonError::into_inner);
            match source {
                Source::ClusterRole => index.cluster_role_changed(change),
                Source::Role => index.role_changed(change),
                Source::ClusterRoleBinding => index.cluster_role_binding_changed(change),
                Source::RoleBinding => index.role_binding_changed(change),
            }
        });
        Arc::new(Rbac { index, ready: Some(ready) })
    }

    /// Over an index that stays as it is.
    pub fn fixed(index: Index) -> Arc<Self> {
        Arc::new(Rbac { index: Arc::new(RwLock::new(index)), ready: None })
    }

    pub async fn synced(&self) {
        if let Some(ready) = &self.ready {
            ready.wait().await;
        }
    }

    fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything the user may do in `namespace` (and, empty or not, in the whole cluster), and what could not be found out.
    pub fn rules_for(&self, user: &UserInfo, namespace: &str) -> (Vec<PolicyRule>, Vec<String>) {
        self.index().rules_for(user, namespace)
    }

    /// The rules of a role; the error is upstream's.
    pub fn role(&self, role: &RoleRef, namespace: &str) -> Result<Vec<PolicyRule>, String> {
        self.index().role(&role.kind, namespace, &role.name).map(|rules| rules.to_vec())
    }
}

#[derive(Clone, Copy)]
enum Source {
    ClusterRole,
    Role,
    ClusterRoleBinding,
    RoleBinding,
}

#[async_trait]
impl Authorizer for Rbac {
    async fn authorize(&self, attributes: &Attributes) -> Decision {
        if self.ready.as_ref().is_some_and(|r| !r.is_ready()) {
            return Decision::NoOpinion("RBAC: roles and bindings are not loaded yet".into());
        }
        match self.index().allowing(attributes) {
            Ok(binding) => Decision::Allow(format!("RBAC: allowed by {binding}")),
            Err(errors) if errors.is_empty() => Decision::NoOpinion(String::new()),
            Err(errors) => Decision::NoOpinion(format!("RBAC: {}", aggregate(&errors))),
        }
    }
}

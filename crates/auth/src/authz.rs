//! Authorization: may this user do this? [`Authorization`] is the whole of it.

use std::sync::Arc;

use apimachinery::{GroupResource, Status};
use async_trait::async_trait;

use crate::authn::UserInfo;

pub mod delegated;
pub mod node;
pub mod rbac;
pub mod review;

#[cfg(test)]
mod tests;

pub use delegated::DelegatedAuthorization;
pub use node::NodeAuthorizer;
pub use rbac::Rbac;

/// The group that may do everything, whatever roles say.
pub const SYSTEM_MASTERS: &str = "system:masters";

/// What is being asked for. Either a resource request (`resource` set) or a path.
#[derive(Clone, Debug, Default)]
pub struct Attributes {
    pub user: UserInfo,
    /// get, list, watch, create, update, patch, delete, deletecollection, impersonate, bind, escalate, …
    pub verb: String,
    pub group: String,
    pub version: String,
    pub resource: String,
    pub subresource: String,
    pub namespace: String,
    pub name: String,
    /// The URL path of a non-resource request.
    pub path: String,
    /// Raw `fieldSelector` of list, watch and deletecollection: the node authorizer reads it.
    pub field_selector: String,
}

impl Attributes {
    pub fn is_resource(&self) -> bool {
        !self.resource.is_empty()
    }
}

/// An authorizer's answer, with the reason to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    Allow(String),
    /// Asked no further.
    Deny(String),
    /// Ask the next one.
    NoOpinion(String),
}

#[async_trait]
pub trait Authorizer: Send + Sync {
    async fn authorize(&self, attributes: &Attributes) -> Decision;
}

/// All of authorization, in this order: masters, nodes, RBAC.
pub struct Authorization {
    pub node: Option<Arc<NodeAuthorizer>>,
    pub rbac: Option<Arc<Rbac>>,
    /// `--authorization-mode=AlwaysAllow`
    pub always_allow: bool,
}

impl Authorization {
    /// `--authorization-mode=Node,RBAC`
    pub fn new(node: Arc<NodeAuthorizer>, rbac: Arc<Rbac>) -> Self {
        Authorization { node: Some(node), rbac: Some(rbac), always_allow: false }
    }

    /// Completes when roles, bindings and what nodes run are known.
    pub async fn synced(&self) {
        if let Some(node) = &self.node {
            node.synced().await;
        }
        if let Some(rbac) = &self.rbac {
            rbac.synced().await;
        }
    }
}

#[async_trait]
impl Authorizer for Authorization {
    async fn authorize(&self, attributes: &Attributes) -> Decision {
        if self.always_allow || attributes.user.in_group(SYSTEM_MASTERS) {
            return Decision::Allow(String::new());
        }
        let mut reasons = Vec::new();
        let authorizers: [Option<&dyn Authorizer>; 2] = [
            self.node.as_deref().map(|a| a as &dyn Authorizer),
            self.rbac.as_deref().map(|a| a as &dyn Authorizer),
        ];
        for authorizer in authorizers.into_iter().flatten() {
            match authorizer.authorize(attributes).await {
                Decision::NoOpinion(reason) if reason.is_empty() => {}
                Decision::NoOpinion(reason) => reasons.push(reason),
                decided => return decided,
            }
        }
        Decision::NoOpinion(reasons.join("\n"))
    }
}

/// 403 in upstream's words.
pub fn forbidden(attributes: &Attributes, reason: &str) -> Status {
    let mut why = denial(attributes);
    if !reason.is_empty() {
        why = format!("{why}: {reason}");
    }
    if !attributes.is_resource() {
        let mut status = Status::failure(403, "Forbidden", format!("forbidden: {why}"));
        status.details = Some(Box::default());
        return status;
    }
    let resource = GroupResource {
        group: attributes.group.as_str().into(),
        resource: attributes.resource.as_str().into(),
    };
    Status::forbidden(&resource, &attributes.name, &why)
}

/// `User "x" cannot list resource "pods" in API group "" in the namespace "default"`
pub fn denial(a: &Attributes) -> String {
    let who = &a.user.name;
    if !a.is_resource() {
        return format!("User {who:?} cannot {} path {:?}", a.verb, a.path);
    }
    let resource = match a.subresource.as_str() {
        "" => a.resource.clone(),
        subresource => format!("{}/{subresource}", a.resource),
    };
    let scope = match a.namespace.as_str() {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace {namespace:?}"),
    };
    format!("User {who:?} cannot {} resource {resource:?} in API group {:?} {scope}", a.verb, a.group)
}

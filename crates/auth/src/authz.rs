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

/// One of `--authorization-mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Node,
    Rbac,
    AlwaysAllow,
    AlwaysDeny,
}

impl Mode {
    const ALL: &[(&str, Mode)] = &[
        ("Node", Mode::Node),
        ("RBAC", Mode::Rbac),
        ("AlwaysAllow", Mode::AlwaysAllow),
        ("AlwaysDeny", Mode::AlwaysDeny),
    ];
}

impl std::str::FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Mode::ALL.iter().find(|(name, _)| *name == text);
        found.map(|(_, mode)| *mode).ok_or_else(|| {
            let names: Vec<&str> = Mode::ALL.iter().map(|(name, _)| *name).collect();
            format!("authorization-mode {text:?} is not a valid mode; choose of {}", names.join(", "))
        })
    }
}

/// All of authorization: masters, nodes, RBAC, everybody or nobody. As no part of it ever denies what another may allow,
/// their order makes no difference.
#[derive(Default)]
pub struct Authorization {
    pub node: Option<Arc<NodeAuthorizer>>,
    pub rbac: Option<Arc<Rbac>>,
    /// `--authorization-mode=AlwaysAllow`
    pub always_allow: bool,
    /// `--authorization-mode=AlwaysDeny`: says so when nobody allows the request.
    pub always_deny: bool,
}

impl Authorization {
    /// `--authorization-mode=Node,RBAC`
    pub fn new(node: Arc<NodeAuthorizer>, rbac: Arc<Rbac>) -> Self {
        Authorization { node: Some(node), rbac: Some(rbac), ..Authorization::default() }
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
        if self.always_deny {
            reasons.push("Everything is forbidden.".into());
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

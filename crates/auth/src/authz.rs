//! Authorization: may this user do this?

use async_trait::async_trait;

use crate::authn::UserInfo;

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

//! The seam for admission: `admission` implements [`Admit`], the registry calls it on every write.

use apimachinery::{Gvk, Gvr, Status};
use async_trait::async_trait;
use codec::AnyObject;
use resources::strategy::Part;

/// The requester, as much as admission needs of him (`auth::UserInfo` without the dependency).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requester {
    pub name: String,
    pub uid: String,
    pub groups: Vec<String>,
    pub extra: std::collections::BTreeMap<String, Vec<String>>,
}

/// Which write it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Create,
    Update,
    Delete,
    Connect,
}

/// A write on its way to the store.
pub struct Attributes<'a> {
    pub operation: Operation,
    pub gvk: &'a Gvk,
    pub gvr: &'a Gvr,
    pub part: Part,
    /// The subresource's name, empty for the main resource.
    pub subresource: &'a str,
    pub namespace: &'a str,
    /// Empty on a create with generateName that has no name yet.
    pub name: &'a str,
    pub user: &'a Requester,
    pub dry_run: bool,
    /// The object as it would be stored (create, update). For the `pods/binding` create this is the Binding.
    pub object: Option<&'a mut dyn AnyObject>,
    /// The stored object (update, delete).
    pub old: Option<&'a dyn AnyObject>,
}

/// All admission plugins, as one.
#[async_trait]
pub trait Admit: Send + Sync {
    /// May change the object.
    async fn mutate(&self, attributes: &mut Attributes<'_>) -> Result<(), Status>;
    /// Sees it as it will be stored.
    async fn validate(&self, attributes: &Attributes<'_>) -> Result<(), Status>;
    /// What to tell the client about a write that [`Admit::validate`] let through.
    async fn warnings(&self, _attributes: &Attributes<'_>) -> Vec<String> {
        Vec::new()
    }
}

//! Metadata that decides who belongs to whom, and conditions by type.

use codec::Kind;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

/// Questions to the metadata of any object.
pub trait ObjectMetaExt {
    fn label(&self, key: &str) -> Option<&str>;
    fn annotation(&self, key: &str) -> Option<&str>;
    /// A deletion was asked for and waits for grace or finalizers.
    fn is_deleting(&self) -> bool;
    /// The owner that manages the object.
    fn controller(&self) -> Option<&OwnerReference>;
    /// Managed by the object with this uid.
    fn is_controlled_by(&self, uid: &str) -> bool;
    fn has_finalizer(&self, name: &str) -> bool;
}

impl ObjectMetaExt for ObjectMeta {
    fn label(&self, key: &str) -> Option<&str> {
        self.labels.as_ref()?.get(key).map(String::as_str)
    }

    fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }

    fn is_deleting(&self) -> bool {
        self.deletion_timestamp.is_some()
    }

    fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references.iter().flatten().find(|o| o.controller == Some(true))
    }

    fn is_controlled_by(&self, uid: &str) -> bool {
        self.controller().is_some_and(|o| o.uid == uid)
    }

    fn has_finalizer(&self, name: &str) -> bool {
        self.finalizers.iter().flatten().any(|f| f == name)
    }
}

/// The reference that makes `owner` the controller of an object; deleting `owner` in the foreground waits for it.
pub fn controller_ref<K: Kind>(owner: &K) -> OwnerReference {
    OwnerReference { controller: Some(true), block_owner_deletion: Some(true), ..owner_ref(owner) }
}

/// The reference of a mere owner.
pub fn owner_ref<K: Kind>(owner: &K) -> OwnerReference {
    OwnerReference {
        api_version: K::API_VERSION.into(),
        kind: K::KIND.into(),
        name: owner.name().into(),
        uid: owner.uid().into(),
        controller: None,
        block_owner_deletion: None,
    }
}

#[cfg(test)]
mod tests;

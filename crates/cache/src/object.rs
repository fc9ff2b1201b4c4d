//! One object at one revision.

use std::sync::Arc;

use apimachinery::{Meta, ObjectKey, Revision};
use bytes::Bytes;

/// An object as it is served, at one revision. Shared by everyone who reads it.
#[derive(Clone, Debug)]
pub struct Object {
    pub key: ObjectKey,
    /// Of its last write; for a deleted object of its deletion.
    pub revision: Revision,
    pub meta: Meta,
    /// Selectable fields beyond metadata, in the strategy's order.
    pub fields: Box<[(&'static str, Arc<str>)]>,
    json: Bytes,
}

impl Object {
    /// `json` is whole: apiVersion, kind, metadata with resourceVersion.
    pub fn new(
        key: ObjectKey,
        revision: Revision,
        meta: Meta,
        fields: Box<[(&'static str, Arc<str>)]>,
        json: Bytes,
    ) -> Self {
        Object { key, revision, meta, fields, json }
    }

    /// The whole object in its storage version, resourceVersion included.
    pub fn json(&self) -> &Bytes {
        &self.json
    }

    /// A selectable field's value.
    pub fn field(&self, name: &str) -> Option<&str> {
        match name {
            "metadata.name" => Some(&self.key.name),
            "metadata.namespace" => Some(&self.key.namespace),
            name => self.fields.iter().find(|(n, _)| *n == name).map(|(_, v)| &**v),
        }
    }
}

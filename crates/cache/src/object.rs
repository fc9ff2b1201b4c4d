//! One object at one revision.

use std::sync::Arc;

use apimachinery::{Meta, ObjectKey, Revision};
use bytes::{BufMut, Bytes, BytesMut};

use crate::scan;

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
    /// Where the member after `apiVersion` and `kind` starts.
    item_at: u32,
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
        let item_at = scan::after_type_meta(&json) as u32;
        Object { key, revision, meta, fields, json, item_at }
    }

    /// The whole object in its storage version, resourceVersion included.
    pub fn json(&self) -> &Bytes {
        &self.json
    }

    /// What follows `{` when the object is an item of a list, where `apiVersion` and `kind` are left out:
    /// `"metadata":{…},…}`. No copy. When type meta does not come first the whole object's members are given.
    pub fn list_item_tail(&self) -> Bytes {
        self.json.slice(self.item_at as usize..)
    }

    /// Appends the object as an item of a list.
    pub fn write_list_item(&self, out: &mut impl BufMut) {
        out.put_u8(b'{');
        out.put_slice(&self.json[self.item_at as usize..]);
    }

    /// Length of [`Object::write_list_item`]'s output.
    pub fn list_item_len(&self) -> usize {
        self.json.len() - self.item_at as usize + 1
    }

    /// A selectable field's value.
    pub fn field(&self, name: &str) -> Option<&str> {
        match name {
            "metadata.name" => Some(&self.key.name),
            "metadata.namespace" => Some(&self.key.namespace),
            name => self.fields.iter().find(|(n, _)| *n == name).map(|(_, v)| &**v),
        }
    }

    /// The same state published at another revision, as events of deletions and of objects that leave a selector
    /// show it.
    pub fn at_revision(&self, revision: Revision) -> Object {
        let json = match scan::metadata_member(&self.json, "resourceVersion") {
            Some(span) => {
                let digits = revision.to_string();
                let mut json = BytesMut::with_capacity(self.json.len() + digits.len());
                json.put_slice(&self.json[..span.start]);
                json.put_u8(b'"');
                json.put_slice(digits.as_bytes());
                json.put_u8(b'"');
                json.put_slice(&self.json[span.end..]);
                json.freeze()
            }
            None => self.json.clone(),
        };
        Object { revision, json, ..self.clone() }
    }

    /// The object's values in an index: owners' uids for `owner`, its own for `uid`, else the selectable field.
    pub fn index_values<'a>(&'a self, index: &'a str) -> impl Iterator<Item = &'a Arc<str>> {
        let owners = (index == "owner").then(|| self.meta.owners.iter().map(|o| &o.uid));
        let uid = (index == "uid").then_some(&self.meta.uid);
        let field = self.fields.iter().filter(move |(n, _)| *n == index).map(|(_, v)| v);
        owners.into_iter().flatten().chain(uid).chain(field)
    }

    /// Roughly the heap it takes.
    pub(crate) fn weight(&self) -> usize {
        const FIXED: usize = 400;
        FIXED + self.json.len()
    }
}

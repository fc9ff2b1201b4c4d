//! An object's metadata out of its JSON, without decoding the rest: what enters a view.

use std::sync::Arc;

use apimachinery::{ObjectKey, Revision, Status};
use bytes::Bytes;

/// An object's `metadata.resourceVersion`, as on a bookmark or a list.
pub fn revision(text: &str) -> Revision {
    // To others an opaque string; ours, as upstream's, is a number. Anything else sorts before everything.
    Revision(text.parse().unwrap_or_default())
}

/// What a view keeps of an object. `fields` are the dotted paths of the selectable fields to extract.
pub fn object(json: Bytes, fields: &[&'static str]) -> Result<cache::Object, Status> {
    let head = codec::meta::parse_head(&json).map_err(|e| bad(&e))?;
    let key = ObjectKey { namespace: head.meta.namespace.clone(), name: head.meta.name.clone() };
    let fields =
        if fields.is_empty() { Box::default() } else { extract(&json, fields).map_err(|e| bad(&e))? };
    Ok(cache::Object::new(key, revision(&head.resource_version), head.meta, fields, json))
}

fn bad(error: &dyn std::fmt::Display) -> Status {
    Status::internal(format!("decode metadata: {error}"))
}

fn extract(json: &[u8], fields: &[&'static str]) -> serde_json::Result<Box<[(&'static str, Arc<str>)]>> {
    let value: serde_json::Value = serde_json::from_slice(json)?;
    Ok(fields.iter().map(|field| (*field, field_value(&value, field).into())).collect())
}

/// A selectable field's value by its dotted path; empty when absent.
pub fn field_value(object: &serde_json::Value, path: &str) -> String {
    match path.split('.').try_fold(object, |at, name| at.get(name)) {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(serde_json::Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

/// The fields that views over HTTPS are indexed by, besides owner and metadata.
pub fn indexed_fields(resource: &str) -> &'static [&'static str] {
    match resource {
        "pods" => &["spec.nodeName", "status.phase"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_and_fields() {
        let json = Bytes::from_static(
            br#"{"kind":"Pod","metadata":{"name":"a\u002db","namespace":"ns","uid":"u","resourceVersion":"17",
            "labels":{"b":"2","a":"1"},"deletionTimestamp":"2026-01-01T00:00:00Z","finalizers":["x/y"],"generation":3,
            "ownerReferences":[{"apiVersion":"v1","kind":"Foo","name":"f","uid":"fu","controller":true}]},
            "spec":{"nodeName":"n1"}}"#,
        );
        let object = object(json, indexed_fields("pods")).expect("an object");
        assert_eq!(object.key, ObjectKey::new("ns", "a-b"));
        assert_eq!(object.revision, Revision(17));
        assert_eq!(object.meta.label("b"), Some("2"));
        assert!(object.meta.deleting);
        assert_eq!(object.meta.controller().map(|o| &*o.uid), Some("fu"));
        assert_eq!(object.field("spec.nodeName"), Some("n1"));
        assert_eq!(object.field("status.phase"), Some(""));
    }
}

//! An object's metadata out of its JSON, without decoding the rest: what enters a view.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use apimachinery::meta::Owner;
use apimachinery::{Meta, ObjectKey, Revision, Status};
use bytes::Bytes;
use serde::Deserialize;

#[derive(Deserialize)]
struct Partial<'a> {
    #[serde(borrow, default)]
    metadata: Metadata<'a>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Metadata<'a> {
    #[serde(borrow)]
    namespace: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    uid: Cow<'a, str>,
    #[serde(borrow)]
    resource_version: Cow<'a, str>,
    generation: i64,
    #[serde(borrow)]
    deletion_timestamp: Option<Cow<'a, str>>,
    labels: Option<BTreeMap<String, String>>,
    #[serde(borrow)]
    owner_references: Option<Vec<OwnerReference<'a>>>,
    #[serde(borrow)]
    finalizers: Option<Vec<Cow<'a, str>>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct OwnerReference<'a> {
    #[serde(borrow)]
    api_version: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    uid: Cow<'a, str>,
    controller: Option<bool>,
    block_owner_deletion: Option<bool>,
}

/// An object's `metadata.resourceVersion`, as on a bookmark or a list.
pub fn revision(text: &str) -> Revision {
    // To others an opaque string; ours, as upstream's, is a number. Anything else sorts before everything.
    Revision(text.parse().unwrap_or_default())
}

/// What a view keeps of an object. `fields` are the dotted paths of the selectable fields to extract.
pub fn object(json: Bytes, fields: &[&'static str]) -> Result<cache::Object, Status> {
    let bad = |e: serde_json::Error| Status::internal(format!("decode metadata: {e}"));
    let m = serde_json::from_slice::<Partial<'_>>(&json).map_err(bad)?.metadata;
    let key = ObjectKey::new(&m.namespace, &m.name);
    let revision = revision(&m.resource_version);
    let labels = m.labels.unwrap_or_default();
    let meta = Meta {
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        uid: (*m.uid).into(),
        // A BTreeMap gives them sorted.
        labels: labels.iter().map(|(k, v)| (Arc::from(k.as_str()), Arc::from(v.as_str()))).collect(),
        owners: m.owner_references.unwrap_or_default().iter().map(owner).collect(),
        finalizers: m.finalizers.unwrap_or_default().iter().map(|f| Arc::from(&**f)).collect(),
        generation: m.generation,
        deleting: m.deletion_timestamp.is_some(),
    };
    let fields = if fields.is_empty() { Box::default() } else { extract(&json, fields).map_err(bad)? };
    Ok(cache::Object::new(key, revision, meta, fields, json))
}

fn owner(o: &OwnerReference<'_>) -> Owner {
    Owner {
        api_version: (*o.api_version).into(),
        kind: (*o.kind).into(),
        name: (*o.name).into(),
        uid: (*o.uid).into(),
        controller: o.controller.unwrap_or_default(),
        block_owner_deletion: o.block_owner_deletion.unwrap_or_default(),
    }
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

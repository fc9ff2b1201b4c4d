//! The quick look at an object: its metadata, without decoding the rest.

use std::sync::Arc;

use apimachinery::Meta;
use apimachinery::meta::Owner;
use serde::Deserialize;

use crate::kind::DecodeError;

#[cfg(test)]
mod tests;

/// An object's metadata as caches keep it. Everything else in `json` is skipped, though it must be JSON.
pub fn parse(json: &[u8]) -> Result<Meta, DecodeError> {
    parse_head(json).map(|head| head.meta)
}

/// What stands at the top of an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Head {
    pub api_version: String,
    pub kind: String,
    pub meta: Meta,
    /// RFC 3339, as written.
    pub creation_timestamp: Option<String>,
    /// As the client wrote it; stored objects have none.
    pub resource_version: String,
    pub generate_name: String,
}

/// Type, metadata and the few things that [`Meta`] leaves out.
pub fn parse_head(json: &[u8]) -> Result<Head, DecodeError> {
    let raw: RawObject = serde_json::from_slice(json).map_err(|e| DecodeError(e.to_string()))?;
    let metadata = raw.metadata.unwrap_or_default();
    Ok(Head {
        api_version: raw.api_version.unwrap_or_default(),
        kind: raw.kind.unwrap_or_default(),
        creation_timestamp: metadata.creation_timestamp.clone(),
        resource_version: metadata.resource_version.clone().unwrap_or_default(),
        generate_name: metadata.generate_name.clone().unwrap_or_default(),
        meta: metadata.into_meta(),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawObject {
    api_version: Option<String>,
    kind: Option<String>,
    metadata: Option<RawMeta>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMeta {
    namespace: Option<Arc<str>>,
    name: Option<Arc<str>>,
    uid: Option<Arc<str>>,
    labels: Option<Pairs>,
    owner_references: Option<Vec<RawOwner>>,
    finalizers: Option<Box<[Arc<str>]>>,
    generation: Option<i64>,
    deletion_timestamp: Option<serde::de::IgnoredAny>,
    creation_timestamp: Option<String>,
    resource_version: Option<String>,
    generate_name: Option<String>,
}

impl RawMeta {
    fn into_meta(self) -> Meta {
        Meta {
            namespace: self.namespace.unwrap_or_default(),
            name: self.name.unwrap_or_default(),
            uid: self.uid.unwrap_or_default(),
            labels: self.labels.map(|l| l.0).unwrap_or_default(),
            owners: self.owner_references.unwrap_or_default().into_iter().map(RawOwner::into_owner).collect(),
            finalizers: self.finalizers.unwrap_or_default(),
            generation: self.generation.unwrap_or_default(),
            deleting: self.deletion_timestamp.is_some(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawOwner {
    api_version: Option<Arc<str>>,
    kind: Option<Arc<str>>,
    name: Option<Arc<str>>,
    uid: Option<Arc<str>>,
    controller: Option<bool>,
    block_owner_deletion: Option<bool>,
}

impl RawOwner {
    fn into_owner(self) -> Owner {
        Owner {
            api_version: self.api_version.unwrap_or_default(),
            kind: self.kind.unwrap_or_default(),
            name: self.name.unwrap_or_default(),
            uid: self.uid.unwrap_or_default(),
            controller: self.controller.unwrap_or_default(),
            block_owner_deletion: self.block_owner_deletion.unwrap_or_default(),
        }
    }
}

/// Labels, sorted by key.
struct Pairs(Box<[(Arc<str>, Arc<str>)]>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> serde::de::Visitor<'de> for Collect {
            type Value = Vec<(Arc<str>, Arc<str>)>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map of strings")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some((key, value)) = map.next_entry::<Arc<str>, Option<Arc<str>>>()? {
                    pairs.push((key, value.unwrap_or_default()));
                }
                Ok(pairs)
            }
        }
        let mut pairs = deserializer.deserialize_map(Collect)?;
        if !pairs.is_sorted_by(|a, b| a.0 < b.0) {
            // Of a key given twice the last one counts, as everywhere in JSON here.
            pairs.reverse();
            pairs.sort_by(|a, b| a.0.cmp(&b.0));
            pairs.dedup_by(|b, a| a.0 == b.0);
        }
        Ok(Pairs(pairs.into()))
    }
}

//! Patches of all three sorts, parsed once and applied as often as the conflict retry needs.

use apimachinery::{Gvk, Status};
use client::transport::PatchType;
use serde_json::Value;

/// A patch that is well formed.
pub struct Patch {
    kind: PatchType,
    document: Value,
    target: Gvk,
}

impl Patch {
    /// Reads a patch; 400 when it is none.
    pub fn parse(kind: PatchType, body: &[u8], target: &Gvk) -> Result<Patch, Status> {
        let document: Value = serde_json::from_slice(body)
            .map_err(|e| Status::bad_request(format!("error decoding patch: {e}")))?;
        Ok(Patch { kind, document, target: target.clone() })
    }

    /// The patched object.
    pub fn apply(&self, object: &[u8]) -> Result<Vec<u8>, Status> {
        let mut value: Value = serde_json::from_slice(object).map_err(Status::internal)?;
        match self.kind {
            PatchType::Merge => merge(&mut value, &self.document),
            _ => return Err(Status::unsupported_media_type(format!("no such patch of {:?}", self.target))),
        }
        serde_json::to_vec(&value).map_err(Status::internal)
    }
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(target) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

//! Patches of all three sorts, applied as often as the conflict retry needs.

use apimachinery::{Gvk, Status, patch};
use bytes::Bytes;
use client::transport::PatchType;
use codec::schema;
use serde_json::Value;

/// A patch of one kind of object.
pub struct Patch {
    kind: PatchType,
    body: Bytes,
    target: Gvk,
}

impl Patch {
    pub fn new(kind: PatchType, body: &Bytes, target: &Gvk) -> Patch {
        Patch { kind, body: body.clone(), target: target.clone() }
    }

    /// The patched object.
    pub fn apply(&self, object: &[u8]) -> Result<Vec<u8>, Status> {
        let document: Value = serde_json::from_slice(object).map_err(Status::internal)?;
        let patched = match self.kind {
            PatchType::Json => patch::json_patch(document, &self.body)?,
            PatchType::Merge => patch::merge_patch(document, &self.body)?,
            PatchType::Strategic => {
                let schema = schema::of_kind(&self.target).ok_or_else(|| {
                    Status::unsupported_media_type("this kind knows no strategic merge patch")
                })?;
                patch::strategic_merge_patch(document, &self.body, schema)?
            }
            // Has a way of its own: `registry.apply`.
            PatchType::Apply => return Err(Status::internal("an apply is no patch of JSON")),
        };
        serde_json::to_vec(&patched).map_err(Status::internal)
    }
}

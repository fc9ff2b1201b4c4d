//! Patches of all three sorts, applied as often as the conflict retry needs.

use apimachinery::field::{Error, Path};
use apimachinery::{Gvk, Status, patch};
use bytes::Bytes;
use client::transport::PatchType;
use codec::decode::{self, Decoded, Strictness};
use codec::schema;
use serde_json::Value;

/// A patch of one kind of object.
pub struct Patch {
    kind: PatchType,
    body: Bytes,
    target: Gvk,
    strictness: Strictness,
}

impl Patch {
    pub fn new(kind: PatchType, body: &Bytes, target: &Gvk, strictness: Strictness) -> Patch {
        Patch { kind, body: body.clone(), target: target.clone(), strictness }
    }

    /// The patched object, checked as a body of its kind is, and what the strict decoder says of patch and object. A patch
    /// that cannot be read is a 400, one that makes no object of the kind a 422.
    pub fn apply(&self, object: &[u8]) -> Result<Decoded, Status> {
        let strict = self.check()?;
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
        let json = serde_json::to_vec(&patched).map_err(Status::internal)?;
        decode::patched(&self.target, json.clone(), strict, self.strictness)
            .map_err(|e| self.refused(&json, e))
    }

    /// 422 for what the patch made: upstream shows that, or the patch itself when it is a strategic one, and names no kind.
    pub fn refused(&self, patched: &[u8], why: String) -> Status {
        let path = Path::new("patch");
        let error = match self.kind {
            PatchType::Strategic => {
                let patch = serde_json::from_slice(&self.body).unwrap_or_default();
                Error::invalid(&path, &patch::go_map(&patch), why)
            }
            _ => Error::invalid(&path, &*String::from_utf8_lossy(patched), why),
        };
        Status::invalid(&Gvk::new("", "", ""), "", &[error].into_iter().collect())
    }

    /// What is wrong with the patch as a text.
    fn check(&self) -> Result<Vec<String>, Status> {
        let (found, prefix) = match self.kind {
            PatchType::Json => (decode::operations(&self.body), "error decoding patch: "),
            PatchType::Merge => (decode::merge_patch(&self.body), "error decoding patch: "),
            PatchType::Strategic => (decode::merge_patch(&self.body), ""),
            PatchType::Apply => return Ok(Vec::new()),
        };
        let strict = found.map_err(|e| Status::bad_request(format!("{prefix}{e}")))?;
        Ok(match self.kind {
            PatchType::Json => strict.iter().map(|e| format!("json patch {e}")).collect(),
            _ => strict,
        })
    }
}

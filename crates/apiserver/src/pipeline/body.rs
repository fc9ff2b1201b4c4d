//! Bodies of writes: to objects under a field validation, and patches.

use apimachinery::{Gvk, Status};
use codec::decode::Strictness;
use codec::{AnyObject, Kind};
use resources::Resource;

use super::call::Payload;

/// A decoded object, and what the strict decoder had to say.
pub struct Decoded {
    pub object: Box<dyn AnyObject>,
    pub warnings: Vec<String>,
}

/// The object in a body, of the resource's kind.
pub fn decode(resource: &Resource, payload: &Payload, strictness: Strictness) -> Result<Decoded, Status> {
    let decoded = codec::decode::decode(&resource.gvk, &payload.bytes, payload.content, strictness)?;
    Ok(Decoded { object: object(resource, &decoded.json)?, warnings: decoded.warnings })
}

fn object(resource: &Resource, json: &[u8]) -> Result<Box<dyn AnyObject>, Status> {
    resource.read(json).map_err(|e| {
        let (kind, version) = (&resource.gvk.kind, &resource.gvk.version);
        Status::bad_request(format!("{kind} in version \"{version}\" cannot be handled as a {kind}: {e}"))
    })
}

/// A body of a kind known here, such as Scale or Binding; warnings are the caller's to show.
pub fn decode_kind<K: Kind>(payload: &Payload, strictness: Strictness) -> Result<(K, Vec<String>), Status> {
    let decoded = codec::decode::decode(&K::gvk(), &payload.bytes, payload.content, strictness)?;
    let object = K::from_json(&decoded.json).map_err(|e| {
        let (kind, version) = (K::KIND, K::VERSION);
        Status::bad_request(format!("{kind} in version \"{version}\" cannot be handled as a {kind}: {e}"))
    })?;
    Ok((object, decoded.warnings))
}

/// Checks a body of `kind` and gives it as JSON.
pub fn check(
    kind: &Gvk,
    payload: &Payload,
    strictness: Strictness,
) -> Result<codec::decode::Decoded, Status> {
    codec::decode::decode(kind, &payload.bytes, payload.content, strictness)
}

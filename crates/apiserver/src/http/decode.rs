//! Request bodies: what they are.

use apimachinery::Status;
use bytes::Bytes;
use client::transport::PatchType;
use codec::decode::Content;
use http::{HeaderMap, header};

use super::negotiate::{self, BodyFormat};
use super::service::header_text;
use crate::pipeline::call::{Payload, Verb};

/// The patches that are served.
const PATCHES: [PatchType; 4] = [PatchType::Json, PatchType::Merge, PatchType::Strategic, PatchType::Apply];

/// The body of a request with this verb.
pub fn payload(verb: Verb, headers: &HeaderMap, bytes: Bytes) -> Result<Payload, Status> {
    let content_type = header_text(headers, header::CONTENT_TYPE);
    match verb {
        Verb::Get | Verb::List | Verb::Watch => Ok(Payload::json(bytes)),
        // A delete without a body may carry any Content-Type.
        Verb::Delete | Verb::DeleteCollection if bytes.is_empty() => Ok(Payload::json(bytes)),
        Verb::Patch => Ok(Payload { patch: Some(patch_type(content_type)?), ..Payload::json(bytes) }),
        _ => {
            let (bytes, content) = match negotiate::body_format(content_type)? {
                BodyFormat::Json => (bytes, Content::Json),
                BodyFormat::Yaml => (bytes, Content::Yaml),
                BodyFormat::Protobuf => (codec::protobuf::to_json(&bytes)?.into(), Content::Json),
            };
            Ok(Payload { bytes, content, patch: None })
        }
    }
}

fn patch_type(content_type: Option<&str>) -> Result<PatchType, Status> {
    let media = negotiate::media_type(content_type.unwrap_or_default());
    PATCHES
        .into_iter()
        .find(|p| p.content_type() == media)
        .ok_or_else(|| negotiate::unsupported(&PATCHES.map(PatchType::content_type)))
}

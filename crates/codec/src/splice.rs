//! Edits of encoded objects that spare decoding them.
//!
//! They rely on the order that [`crate::Kind::to_json`] writes: apiVersion, kind, metadata. What is written otherwise
//! takes a slower way to the same result.

use apimachinery::Revision;
use apimachinery::raw::Raw;
use bytes::{BufMut, Bytes, BytesMut};

#[cfg(test)]
mod tests;

const METADATA: &[u8] = b"\"metadata\":{";

/// The object as served: `metadata.resourceVersion` first in its metadata. `json` carries none.
pub fn with_resource_version(json: &[u8], revision: Revision) -> Bytes {
    let Some((head, tail)) = split_at_metadata(json) else {
        return slow_with_resource_version(json, revision);
    };
    let mut out = BytesMut::with_capacity(json.len() + 44);
    out.put_slice(head);
    put_resource_version(&mut out, revision);
    if !tail.starts_with(b"}") {
        out.put_u8(b',');
    }
    out.put_slice(tail);
    out.freeze()
}

/// The bytes before and after the place where the resourceVersion goes; none when metadata is not where our own
/// encoder puts it.
pub fn split_at_metadata(json: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = json.strip_prefix(b"{")?;
    let mut at = 1;
    let mut rest = rest;
    // Only type meta may come before, and its values contain no quote or brace.
    while let Some(after) =
        rest.strip_prefix(b"\"apiVersion\":\"").or_else(|| rest.strip_prefix(b"\"kind\":\""))
    {
        let end = after.iter().position(|b| matches!(b, b'"' | b'\\'))?;
        rest = after[end..].strip_prefix(b"\",")?;
        at = json.len() - rest.len();
    }
    rest.starts_with(METADATA).then(|| json.split_at(at + METADATA.len()))
}

/// An object as the serialiser of its type writes it, whose fields come in the order of the alphabet after apiVersion and
/// kind, with its metadata before the others.
pub(crate) fn metadata_first(json: Vec<u8>) -> Vec<u8> {
    if split_at_metadata(&json).is_some() {
        return json;
    }
    moved(&json).unwrap_or(json)
}

fn moved(json: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(json).ok()?;
    let place = |value: Raw<'_>| value.text().as_ptr() as usize - text.as_ptr() as usize;
    let mut head = 1;
    for (key, value) in Raw::new(text).fields() {
        match &*key {
            // With the comma after it.
            "apiVersion" | "kind" => head = place(value) + value.text().len() + 1,
            "metadata" => {
                let (start, end) = (place(value) - "\"metadata\":".len(), place(value) + value.text().len());
                let mut out = Vec::with_capacity(json.len());
                out.extend_from_slice(json.get(..head)?);
                out.extend_from_slice(json.get(start..end)?);
                out.push(b',');
                // Without the comma before the metadata.
                out.extend_from_slice(json.get(head..start.checked_sub(1)?)?);
                out.extend_from_slice(json.get(end..)?);
                return Some(out);
            }
            _ => {}
        }
    }
    None
}

/// The object without apiVersion and kind at its start, as upstream writes the items of built-in lists; unchanged when
/// they are not there.
pub fn without_type_meta(json: &[u8]) -> Bytes {
    match split_at_metadata(json) {
        Some((head, tail)) => {
            let mut out = BytesMut::with_capacity(1 + METADATA.len() + tail.len());
            debug_assert!(head.ends_with(METADATA));
            out.put_u8(b'{');
            out.put_slice(METADATA);
            out.put_slice(tail);
            out.freeze()
        }
        None => Bytes::copy_from_slice(json),
    }
}

fn put_resource_version(out: &mut BytesMut, revision: Revision) {
    out.put_slice(b"\"resourceVersion\":\"");
    out.put_slice(revision.to_string().as_bytes());
    out.put_u8(b'"');
}

/// For objects that somebody else encoded: through a tree. What is no object stays as it is.
fn slow_with_resource_version(json: &[u8], revision: Revision) -> Bytes {
    let Ok(serde_json::Value::Object(mut object)) = serde_json::from_slice(json) else {
        return Bytes::copy_from_slice(json);
    };
    let metadata = object.entry("metadata").or_insert_with(|| serde_json::json!({}));
    if metadata.is_null() {
        *metadata = serde_json::json!({});
    }
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.insert("resourceVersion".into(), revision.to_string().into());
    }
    serde_json::Value::Object(object).to_string().into()
}

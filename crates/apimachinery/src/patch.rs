//! The three patches a client may send: JSON patch, merge patch, strategic merge patch. Values in, values out.
//!
//! Contracts: RFC 6902, RFC 7386 and
//! <https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md>

mod order;
mod strategic;
#[cfg(test)]
mod tests;

use json_patch::PatchOperation;
use serde_json::Value;

use crate::schema::Schema;
use crate::status::Status;

pub use strategic::go_map;

/// As upstream: longer JSON patches are refused.
const OPERATIONS_MAX: usize = 10_000;

/// As upstream: so many bytes may be copied altogether. A few copies of copies would fill any memory.
const COPIED_MAX: usize = 3 << 20;

/// Applies an RFC 6902 patch. A patch that cannot be read is a 400, one that does not fit `document` a 422.
pub fn json_patch(mut document: Value, patch: &[u8]) -> Result<Value, Status> {
    let patch: Vec<Value> = serde_json::from_slice(patch)
        .map_err(|e| Status::bad_request(format!("error decoding patch: {e}")))?;
    let count = patch.len();
    if count > OPERATIONS_MAX {
        return Err(Status::request_entity_too_large(format!(
            "Request entity too large: The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {count}"
        )));
    }
    let mut copied = 0;
    for operation in patch {
        let operation: PatchOperation = serde_json::from_value(operation).map_err(|_| unprocessable())?;
        if let PatchOperation::Copy(copy) = &operation {
            let from = document.pointer(copy.from.as_str()).map_or(0, |value| value.to_string().len());
            copied += from;
            if copied > COPIED_MAX {
                return Err(unprocessable());
            }
        }
        if is_absent(&document, &operation) {
            continue;
        }
        // One by one: what is copied depends on what went before.
        json_patch::patch(&mut document, std::slice::from_ref(&operation)).map_err(|_| unprocessable())?;
    }
    Ok(document)
}

/// Whether the operation tests for null where there is nothing: to upstream's library that is the same.
fn is_absent(document: &Value, operation: &PatchOperation) -> bool {
    let PatchOperation::Test(test) = operation else { return false };
    let Some((parent, _)) = test.path.as_str().rsplit_once('/') else { return false };
    test.value.is_null()
        && document.pointer(parent).is_some_and(Value::is_object)
        && document.pointer(test.path.as_str()).is_none()
}

/// Applies an RFC 7386 patch, which has to be an object.
pub fn merge_patch(mut document: Value, patch: &[u8]) -> Result<Value, Status> {
    let patch = parse_object(patch).map_err(|e| Status::bad_request(format!("error decoding patch: {e}")))?;
    json_patch::merge(&mut document, &patch);
    Ok(document)
}

/// Applies a strategic merge patch to an object of the type that `schema` describes.
pub fn strategic_merge_patch<'s, S: Schema<'s>>(
    document: Value,
    patch: &[u8],
    schema: S,
) -> Result<Value, Status> {
    let patch = parse_object(patch).map_err(Status::bad_request)?;
    strategic_merge(document, patch, schema)
}

/// The same for a patch that is already parsed.
pub fn strategic_merge<'s, S: Schema<'s>>(document: Value, patch: Value, schema: S) -> Result<Value, Status> {
    match (document, patch) {
        (Value::Object(original), Value::Object(patch)) => {
            strategic::merge_map(original, patch, Some(schema)).map(Value::Object).map_err(Status::from)
        }
        _ => Err(Failure::BadRequest("invalid JSON document".into()).into()),
    }
}

/// Why a strategic merge patch does not work.
#[derive(Clone, Debug, PartialEq)]
enum Failure {
    /// The patch itself is malformed.
    BadRequest(String),
    /// It asks for what no such patch can do.
    Unprocessable,
    /// Upstream answers these with a bare 500.
    Other(String),
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Status {
        match failure {
            Failure::BadRequest(message) => Status::bad_request(message),
            Failure::Unprocessable => unprocessable(),
            Failure::Other(message) => Status::failure(500, "", message),
        }
    }
}

/// Upstream keeps the reason to itself.
fn unprocessable() -> Status {
    let message = "the server rejected our request due to an error in our request";
    let mut status = Status::failure(422, "Invalid", message);
    status.details = Some(Box::default());
    status
}

fn parse_object(patch: &[u8]) -> Result<Value, String> {
    match serde_json::from_slice(patch) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(other) => {
            let what = match other {
                Value::Array(_) => "array",
                Value::String(_) => "string",
                Value::Number(_) => "number",
                Value::Bool(_) => "bool",
                _ => "null",
            };
            Err(format!("json: cannot unmarshal {what} into Go value of type map[string]interface {{}}"))
        }
        Err(e) => Err(e.to_string()),
    }
}

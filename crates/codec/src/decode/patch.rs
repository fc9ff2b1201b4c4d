//! Patches as texts, before anybody applies them: Go's words for what cannot be read, and the fields that a strict decoder
//! would not take.

use serde_json::Value;

use super::check;
use crate::managed::go_kind;

/// The fields of an operation of a JSON patch; all but the last are strings.
const OPERATION: [&str; 4] = ["op", "path", "from", "value"];

/// Checks a merge patch or strategic merge patch, which is an object of any fields. The result names repeated ones.
pub fn merge_patch(patch: &[u8]) -> Result<Vec<String>, String> {
    let (value, strict) = parsed(patch, &[])?;
    match go_kind(&value) {
        "object" | "null" => Ok(strict),
        what => Err(format!("json: cannot unmarshal {what} into Go value of type map[string]interface {{}}")),
    }
}

/// Checks a JSON patch, which is a list of operations. The result names repeated and unknown fields.
pub fn operations(patch: &[u8]) -> Result<Vec<String>, String> {
    let (value, strict) = parsed(patch, &OPERATION)?;
    match &value {
        Value::Array(operations) => operations.iter().try_for_each(operation)?,
        Value::Null => {}
        other => return Err(cannot("Go value of type []handlers.jsonPatchOp", other)),
    }
    Ok(strict)
}

fn operation(value: &Value) -> Result<(), String> {
    let fields = match value {
        Value::Object(fields) => fields,
        Value::Null => return Ok(()),
        other => return Err(cannot("Go value of type handlers.jsonPatchOp", other)),
    };
    for name in &OPERATION[..3] {
        match fields.get(*name) {
            None | Some(Value::String(_) | Value::Null) => {}
            Some(other) => {
                return Err(cannot(&format!("Go struct field jsonPatchOp.{name} of type string"), other));
            }
        }
    }
    Ok(())
}

fn cannot(place: &str, value: &Value) -> String {
    format!("json: cannot unmarshal {} into {place}", go_kind(value))
}

/// Go reads bytes that are no UTF-8 as U+FFFD.
fn parsed(patch: &[u8], fields: &[&str]) -> Result<(Value, Vec<String>), String> {
    let text = String::from_utf8_lossy(patch);
    let strict = check::untyped(&text, fields)?;
    let value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    Ok((value, strict))
}

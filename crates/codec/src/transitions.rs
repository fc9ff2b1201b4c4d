//! Conditions without the time of their last transition. To Go such a time is zero, written as null; `k8s-openapi`, whose type
//! has no such value, refuses to read it. Here it is [`NEVER`] in memory and null in JSON.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value;

const FIELD: &str = "lastTransitionTime";
/// Go's zero time.
pub const NEVER: &str = "0001-01-01T00:00:00Z";

/// What cannot be read, with [`NEVER`] wherever a condition has no time; `None` when there is no such condition.
pub(crate) fn filled(json: &[u8]) -> Option<Vec<u8>> {
    let mut object: Value = serde_json::from_slice(json).ok()?;
    fill(&mut object).then(|| object.to_string().into_bytes())
}

/// Conditions are in lists, some deep inside a status.
fn fill(value: &mut Value) -> bool {
    let mut filled = false;
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match value {
                    Value::Array(items) if name == "conditions" => {
                        for item in items {
                            filled |= fill_condition(item);
                        }
                    }
                    value => filled |= fill(value),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                filled |= fill(item);
            }
        }
        _ => {}
    }
    filled
}

fn fill_condition(item: &mut Value) -> bool {
    let Value::Object(condition) = item else { return false };
    let is_condition = condition.contains_key("type") || condition.contains_key("status");
    let absent = condition.get(FIELD).is_none_or(Value::is_null);
    if is_condition && absent {
        condition.insert(FIELD.into(), NEVER.into());
    }
    is_condition && absent
}

/// JSON as Go writes it: a time that never was is null.
pub(crate) fn emptied(json: Vec<u8>) -> Vec<u8> {
    // Quotes within a text are escaped, so these are the field and nothing else.
    const WRITTEN: &str = r#""lastTransitionTime":"0001-01-01T00:00:00Z""#;
    const EMPTY: &str = r#""lastTransitionTime":null"#;
    match std::str::from_utf8(&json) {
        // The time is looked for first: it is short enough for the library's fast way, and all writes come by here.
        Ok(text) if text.contains("\"0001-01-01T00:00:00Z\"") => text.replace(WRITTEN, EMPTY).into_bytes(),
        _ => json,
    }
}

/// The condition says no time.
pub fn is_never(time: &Time) -> bool {
    const SECOND: i64 = -62_135_596_800;
    time.0.as_second() == SECOND
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Service;

    use super::*;
    use crate::Kind;

    fn check(conditions: &str) -> String {
        let json = format!(
            r#"{{"apiVersion":"v1","kind":"Service","metadata":{{"name":"s"}},"status":{{"conditions":{conditions}}}}}"#
        );
        match Service::from_json(json.as_bytes()) {
            Ok(service) => {
                let json: Value = serde_json::from_slice(&service.to_json()).expect("JSON");
                json["status"]["conditions"].to_string()
            }
            Err(e) => e.to_string(),
        }
    }

    #[test]
    fn a_time_that_is_not_there_is_null() {
        let shown = r#"[{"lastTransitionTime":null,"message":"","reason":"r","status":"True","type":"a"}]"#;
        let condition =
            |time: &str| format!(r#"[{{"type":"a","status":"True","reason":"r","message":""{time}}}]"#);
        assert_eq!(check(&condition("")), shown);
        assert_eq!(check(&condition(r#","lastTransitionTime":null"#)), shown);
        assert_eq!(check(&condition(r#","lastTransitionTime":"0001-01-01T00:00:00Z""#)), shown);
        let real = shown.replace("null", "\"2026-01-01T00:00:00Z\"");
        assert_eq!(check(&condition(r#","lastTransitionTime":"2026-01-01T00:00:00Z""#)), real);
        let two = format!("{},{}", &shown[..shown.len() - 1], &real[1..]);
        assert_eq!(check(&two), two);
        // An error, whose words are the time's parser's.
        assert!(!check(&condition(r#","lastTransitionTime":"yesterday""#)).starts_with('['));
    }
}

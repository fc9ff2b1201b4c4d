//! Whether a configuration has the shape of its type, as upstream's typed values say it.

use facts::Value as Type;
use serde_json::Value;

use crate::schema::{self, BuiltIn};

/// Everything that does not fit, with its place.
pub(super) fn errors(config: &Value, schema: BuiltIn) -> Vec<String> {
    let mut found = Vec::new();
    check(config, schema, "", &mut found);
    found
}

fn check(value: &Value, place: BuiltIn, path: &str, found: &mut Vec<String>) {
    if value.is_null() {
        return;
    }
    let mut expect = |fits: bool, what: &str| {
        if !fits {
            found.push(format!("{}expected {what}", prefix(path)));
        }
    };
    if let Some(of) = place.struct_type() {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match of.field(name) {
                        Some(field) => {
                            check(value, schema::of_field(field), &format!("{path}.{name}"), found)
                        }
                        None => found.push(format!("{path}.{name}: field not declared in schema")),
                    }
                }
            }
            other => expect(false, &format!("map, got {}", shown(other))),
        }
        return;
    }
    match place.value() {
        Type::Any | Type::Raw | Type::Struct(_) => {}
        Type::Bool => expect(value.is_boolean(), &format!("boolean, got {}", shown(value))),
        Type::Int32 | Type::Int64 | Type::Double => {
            expect(value.is_number(), &format!("numeric (int or float), got {}", go_type(value)));
        }
        Type::String | Type::Bytes | Type::Time | Type::MicroTime => {
            expect(value.is_string(), &format!("string, got {}", shown(value)));
        }
        Type::Quantity | Type::IntOrString => {
            expect(!value.is_array() && !value.is_object(), &format!("any scalar, got {}", shown(value)));
        }
        Type::Map { of, .. } => match value {
            Value::Object(fields) => {
                let of = schema::of_value(facts::value(*of));
                fields.iter().for_each(|(name, value)| check(value, of, &format!("{path}.{name}"), found));
            }
            other => expect(false, &format!("map, got {}", shown(other))),
        },
        Type::Array { of, kind } => match value {
            Value::Array(items) => {
                let of = schema::of_value(facts::value(*of));
                for (at, item) in items.iter().enumerate() {
                    check(item, of, &format!("{path}[{}]", element(item, at, *kind)), found);
                }
            }
            other => expect(false, &format!("list, got {}", shown(other))),
        },
    }
}

/// An element's name: by its keys, where it has them.
fn element(item: &Value, at: usize, kind: facts::List) -> String {
    let facts::List::Map(keys) = kind else { return at.to_string() };
    let mut named: Vec<String> =
        keys.iter().filter_map(|key| Some(format!("{key}={}", item.get(key)?))).collect();
    named.sort();
    if named.is_empty() { at.to_string() } else { named.join(",") }
}

fn prefix(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("{path}: ") }
}

/// As upstream shows a value that does not fit.
fn shown(value: &Value) -> String {
    match value {
        Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null => {
            format!("&{{{}}}", plain(value))
        }
        other => format!("&{{{other}}}"),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// What Go's JSON decoder calls a value.
pub(crate) fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

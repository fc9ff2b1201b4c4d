//! Inline configuration: YAML in, and back as the messages show it.

use serde_json::Value;

/// The objects of a YAML text; empty documents are left out, lists are taken apart.
pub fn objects(text: &str) -> Result<Vec<Value>, String> {
    let mut found = Vec::new();
    for document in codec::yaml::documents(text) {
        let value = codec::yaml::to_value_core(document.as_bytes())?;
        match &value["items"] {
            Value::Array(items) if value["kind"].as_str().is_some_and(|k| k.ends_with("List")) => {
                found.extend(items.iter().cloned());
            }
            _ if value.is_null() => {}
            _ => found.push(value),
        }
    }
    Ok(found)
}

/// A configuration as a message shows it.
pub fn shown(config: &Value) -> String {
    codec::yaml::from_value(config)
}

//! The strategic merge patch that turns one status into another, as small as upstream's.

use codec::Kind as _;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use serde_json::{Map, Value, json};

/// Lists that are merged by a key: field, key.
const MERGED: [(&str, &str); 3] = [("conditions", "type"), ("podIPs", "ip"), ("hostIPs", "ip")];

/// `None` when nothing changes. The uid makes the API refuse it for another pod of the same name.
pub fn status_patch(uid: &str, old: &PodStatus, new: &PodStatus) -> Option<Value> {
    let (old, new) = (object(old), object(new));
    let mut patch = Map::new();
    for (field, value) in &new {
        if old.get(field) == Some(value) {
            continue;
        }
        let merged = MERGED.iter().find(|(f, _)| f == field);
        let change = match merged {
            Some((_, key)) => merge_list(key, old.get(field), value),
            None => value.clone(),
        };
        // Only their order differs, which is the API's to choose.
        if merged.is_some() && change.as_array().is_some_and(Vec::is_empty) {
            continue;
        }
        patch.insert(field.clone(), change);
    }
    for field in old.keys().filter(|f| !new.contains_key(*f)) {
        patch.insert(field.clone(), Value::Null);
    }
    (!patch.is_empty()).then(|| json!({"metadata": {"uid": uid}, "status": patch}))
}

fn object(status: &PodStatus) -> Map<String, Value> {
    // Through the kind's own serialiser: another instantiation of it would cost every build.
    let json = Pod { status: Some(status.clone()), ..Pod::default() }.to_json();
    match serde_json::from_slice(&json) {
        Ok(Value::Object(mut pod)) => match pod.remove("status") {
            Some(Value::Object(status)) => status,
            _ => Map::new(),
        },
        _ => Map::new(),
    }
}

/// Entries that changed (with null for fields that went), and deletions.
fn merge_list(key: &str, old: Option<&Value>, new: &Value) -> Value {
    let empty = Vec::new();
    let old = old.and_then(Value::as_array).unwrap_or(&empty);
    let new = new.as_array().unwrap_or(&empty);
    let find = |list: &'_ [Value], item: &Value| list.iter().find(|o| o[key] == item[key]).cloned();
    let mut out = Vec::new();
    for item in new {
        match find(old, item) {
            Some(before) if before == *item => {}
            Some(before) => out.push(with_nulls(&before, item)),
            None => out.push(item.clone()),
        }
    }
    for gone in old.iter().filter(|o| find(new, o).is_none()) {
        out.push(json!({"$patch": "delete", key: gone[key]}));
    }
    Value::Array(out)
}

fn with_nulls(before: &Value, item: &Value) -> Value {
    let mut item = item.clone();
    if let (Some(before), Some(map)) = (before.as_object(), item.as_object_mut()) {
        for field in before.keys() {
            map.entry(field.clone()).or_insert(Value::Null);
        }
    }
    item
}

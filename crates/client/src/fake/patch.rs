//! Merge patches, and of strategic ones what components send: lists of known keys merge by them.

use serde_json::Value;

/// RFC 7386.
pub(super) fn merge(target: &mut Value, patch: Value) {
    apply(target, patch, false);
}

pub(super) fn strategic(target: &mut Value, patch: Value) {
    apply(target, patch, true);
}

fn apply(target: &mut Value, patch: Value, by_key: bool) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Default::default());
    }
    for (name, value) in patch {
        if let Some(of) = name.strip_prefix("$deleteFromPrimitiveList/") {
            remove_all(&mut target[of], &value);
            continue;
        }
        if name.starts_with("$setElementOrder/") {
            continue;
        }
        match (value, merge_key(&name)) {
            (Value::Null, _) => drop(target.as_object_mut().map(|map| map.remove(&name))),
            (Value::Array(items), Some(key)) if by_key => merge_list(&mut target[&name], items, key),
            (value, _) => apply(&mut target[&name], value, by_key),
        }
    }
}

fn remove_all(list: &mut Value, gone: &Value) {
    if let (Some(list), Some(gone)) = (list.as_array_mut(), gone.as_array()) {
        list.retain(|item| !gone.contains(item));
    }
}

/// Empty: a set of scalars.
fn merge_key(list: &str) -> Option<&'static str> {
    match list {
        "ownerReferences" => Some("uid"),
        "conditions" => Some("type"),
        "containers" | "volumes" | "env" => Some("name"),
        "addresses" => Some("type"),
        "finalizers" => Some(""),
        _ => None,
    }
}

fn merge_list(target: &mut Value, patch: Vec<Value>, key: &str) {
    if !target.is_array() {
        *target = Value::Array(Vec::new());
    }
    let Some(items) = target.as_array_mut() else { return };
    for mut item in patch {
        let delete = item.get("$patch").and_then(Value::as_str) == Some("delete");
        let at = items.iter().position(|have| match key {
            "" => *have == item,
            key => have[key] == item[key],
        });
        match at {
            Some(at) if delete => drop(items.remove(at)),
            Some(at) => apply(&mut items[at], item.take(), true),
            None if delete => {}
            None => items.push(item),
        }
    }
}

pub(super) fn add_to_set(list: &mut Value, member: &str) {
    merge_list(list, vec![member.into()], "");
}

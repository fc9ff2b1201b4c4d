//! Strategic merge patches made from objects: what client-side apply sends. Start at [`three_way`].
//!
//! Contract: <https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md>

use facts::{Field, Type, Value as Holds};
use serde_json::{Map, Value, json};

/// What a difference tells.
#[derive(Clone, Copy)]
struct Only {
    deletions: bool,
    changes: bool,
}

/// The patch that makes of `current` what `modified` says, taking away what `original` had and `modified` has not. `of`: the
/// kind's type; none: a JSON merge patch.
pub fn three_way(original: &Value, modified: &Value, current: &Value, of: Option<&'static Type>) -> Value {
    let changes = difference(current, modified, of, Only { deletions: false, changes: true });
    let deletions = difference(original, modified, of, Only { deletions: true, changes: false });
    let (Value::Object(mut patch), Value::Object(more)) = (deletions, changes) else { return json!({}) };
    merge(&mut patch, more, of);
    Value::Object(patch)
}

/// The patch that makes `to` of `from`.
pub fn two_way(from: &Value, to: &Value, of: Option<&'static Type>) -> Value {
    difference(from, to, of, Only { deletions: true, changes: true })
}

fn difference(from: &Value, to: &Value, of: Option<&'static Type>, only: Only) -> Value {
    let empty = Map::new();
    let (from, to) = (from.as_object().unwrap_or(&empty), to.as_object().unwrap_or(&empty));
    let mut patch = Map::new();
    if only.deletions {
        for key in from.keys().filter(|key| !to.contains_key(*key)) {
            patch.insert(key.clone(), Value::Null);
        }
    }
    for (key, wanted) in to {
        match from.get(key) {
            None if only.changes => drop(patch.insert(key.clone(), wanted.clone())),
            None => {}
            Some(have) => field(&mut patch, key, have, wanted, of.and_then(|t| t.field(key)), only),
        }
    }
    Value::Object(patch)
}

fn struct_of(holds: &'static Holds) -> Option<&'static Type> {
    match holds {
        Holds::Struct(at) => Some(facts::struct_type(*at)),
        Holds::Array { of, .. } | Holds::Map { of, .. } => struct_of(facts::value(*of)),
        _ => None,
    }
}

fn field(
    patch: &mut Map<String, Value>,
    key: &str,
    have: &Value,
    wanted: &Value,
    field: Option<&'static Field>,
    only: Only,
) {
    if have == wanted {
        return;
    }
    let of = field.and_then(|f| struct_of(f.value()));
    match (have, wanted) {
        (Value::Object(_), Value::Object(new)) => {
            let mut inner = difference(have, wanted, of, only);
            if inner.as_object().is_some_and(|m| !m.is_empty()) {
                if field.is_some_and(Field::retain_keys)
                    && let Some(inner) = inner.as_object_mut()
                {
                    let keys: Vec<&String> = new.keys().collect();
                    inner.insert("$retainKeys".into(), json!(keys));
                }
                patch.insert(key.into(), inner);
            }
        }
        (Value::Array(old), Value::Array(new)) if field.is_some_and(Field::patch_merge) => {
            let merge_key = field.map_or("", |f| f.merge_key);
            match merge_key {
                "" => primitives(patch, key, old, new, only),
                merge_key => keyed(patch, key, (old, new), merge_key, (field, of), only),
            }
        }
        _ if only.changes => drop(patch.insert(key.into(), wanted.clone())),
        _ => {}
    }
}

/// Lists whose elements are values: what to add, and what to take away.
fn primitives(patch: &mut Map<String, Value>, key: &str, old: &[Value], new: &[Value], only: Only) {
    let added: Vec<&Value> = new.iter().filter(|v| !old.contains(v)).collect();
    let gone: Vec<&Value> = old.iter().filter(|v| !new.contains(v)).collect();
    if only.deletions && !gone.is_empty() {
        patch.insert(format!("$deleteFromPrimitiveList/{key}"), json!(gone));
    }
    if only.changes {
        if !added.is_empty() {
            patch.insert(key.into(), json!(added));
        }
        patch.insert(format!("$setElementOrder/{key}"), json!(new));
    }
}

/// Lists whose elements have names.
fn keyed(
    patch: &mut Map<String, Value>,
    key: &str,
    (old, new): (&[Value], &[Value]),
    merge_key: &str,
    (field, of): (Option<&'static Field>, Option<&'static Type>),
    only: Only,
) {
    let mut changed: Vec<Value> = Vec::new();
    for item in new {
        match old.iter().find(|o| o[merge_key] == item[merge_key]) {
            None if only.changes => changed.push(item.clone()),
            None => {}
            Some(have) => {
                let mut inner = difference(have, item, of, only);
                if let Some(map) = inner.as_object_mut().filter(|m| !m.is_empty()) {
                    map.insert(merge_key.into(), item[merge_key].clone());
                    if field.is_some_and(Field::retain_keys) {
                        let keys: Vec<&String> = item.as_object().into_iter().flat_map(Map::keys).collect();
                        map.insert("$retainKeys".into(), json!(keys));
                    }
                    changed.push(inner);
                }
            }
        }
    }
    if only.deletions {
        for gone in old.iter().filter(|o| !new.iter().any(|n| n[merge_key] == o[merge_key])) {
            changed.push(json!({ "$patch": "delete", merge_key: gone[merge_key] }));
        }
    }
    if only.changes {
        // The order matters also when nothing else does.
        let order = |list: &[Value]| -> Vec<Value> { list.iter().map(|i| i[merge_key].clone()).collect() };
        let (before, after) = (order(old), order(new));
        let kept: Vec<&Value> = before.iter().filter(|k| after.contains(k)).collect();
        let wanted: Vec<&Value> = after.iter().filter(|k| before.contains(k)).collect();
        if !changed.is_empty() || kept != wanted {
            let order: Vec<Value> = after.into_iter().map(|k| json!({ merge_key: k })).collect();
            patch.insert(format!("$setElementOrder/{key}"), json!(order));
        }
    }
    if !changed.is_empty() {
        patch.insert(key.into(), json!(changed));
    }
}

/// Two patches of the same object as one.
fn merge(patch: &mut Map<String, Value>, more: Map<String, Value>, of: Option<&'static Type>) {
    for (key, value) in more {
        let found = of.and_then(|t| t.field(&key));
        let inner = found.and_then(|f| struct_of(f.value()));
        match (patch.get_mut(&key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new, inner),
            (Some(Value::Array(old)), Value::Array(new)) if !key.starts_with('$') => {
                let merge_key = found.map_or("", |f| f.merge_key);
                for item in new {
                    let same = |o: &Value| !merge_key.is_empty() && o[merge_key] == item[merge_key];
                    match (old.iter_mut().find(|o| same(o)), item) {
                        (Some(Value::Object(have)), Value::Object(item)) => merge(have, item, inner),
                        (_, item) => old.push(item),
                    }
                }
            }
            (_, value) => drop(patch.insert(key, value)),
        }
    }
}

//! Has the desired state changed? Decides when `metadata.generation` rises and whether a fixed field was touched.

use codec::Kind;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

/// Whether the top-level `field` (such as `spec`) differs. Absent, null, empty and zero are the same thing, as they
/// are upstream, where a decoded object cannot tell them apart.
pub fn changed<K: Kind>(new: &K, old: &K, field: &str) -> bool {
    part(new, field) != part(old, field)
}

/// A write of the status that changes nothing of the metadata: managed fields are of the write, the rest is as it was.
pub(crate) fn keep_metadata<K: Kind>(new: &mut K, old: &K) {
    let given = std::mem::take(new.meta_mut());
    *new.meta_mut() = ObjectMeta {
        managed_fields: given.managed_fields,
        resource_version: given.resource_version,
        ..old.meta().clone()
    };
}

/// Raises the generation of `new` above that of `old` when `field` changed, else keeps the old one.
pub fn bump_generation<K: Kind>(new: &mut K, old: &K, field: &str) {
    let before = old.meta().generation.unwrap_or(0);
    let raise = i64::from(changed(new, old, field));
    new.meta_mut().generation = Some(before.saturating_add(raise));
}

/// The places within `field` that differ, with what was and what would be, in order: `  spec.nodeName: "a" -> "b"`.
pub fn differences<K: Kind>(new: &K, old: &K, field: &str) -> Vec<String> {
    let mut found = Vec::new();
    compare(field, part(old, field).as_ref(), part(new, field).as_ref(), &mut found);
    found
}

fn compare(path: &str, old: Option<&Value>, new: Option<&Value>, found: &mut Vec<String>) {
    match (old, new) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let keys: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
            for key in keys {
                compare(&format!("{path}.{key}"), a.get(key), b.get(key), found);
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            for i in 0..a.len().max(b.len()) {
                compare(&format!("{path}[{i}]"), a.get(i), b.get(i), found);
            }
        }
        (a, b) if a == b => {}
        (a, b) => {
            let shown = |v: Option<&Value>| v.map_or_else(|| "(unset)".into(), Value::to_string);
            found.push(format!("  {path}: {} -> {}", shown(a), shown(b)));
        }
    }
}

fn part<K: Kind>(object: &K, field: &str) -> Option<Value> {
    // What codec has just encoded is JSON; were it not, both sides would count as changed by being absent.
    let mut value: Value = serde_json::from_slice(&object.to_json()).ok()?;
    let part = value.get_mut(field)?.take();
    pruned(part)
}

/// Without anything empty; nothing when nothing is left.
fn pruned(value: Value) -> Option<Value> {
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::String(text) if text.is_empty() => None,
        Value::Number(number) if number.as_i64() == Some(0) => None,
        Value::Array(items) if items.is_empty() => None,
        // Places in a list count, so an empty item stays.
        Value::Array(items) => {
            Some(Value::Array(items.into_iter().map(|i| pruned(i).unwrap_or(Value::Null)).collect()))
        }
        Value::Object(fields) => {
            let kept: serde_json::Map<_, _> =
                fields.into_iter().filter_map(|(k, v)| Some((k, pruned(v)?))).collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        other => Some(other),
    }
}

#[cfg(test)]
mod tests;

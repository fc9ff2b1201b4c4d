//! A configuration merged into an object, by the schema: maps by key, lists by what names their elements.

use serde_json::{Map, Value};

use super::compare::key_fields;
use crate::fieldset::Element;
use crate::schema::{List, Schema, Shape};

/// What `config` has goes into `live`; the rest of `live` stays. The error names the place in `config`.
pub(super) fn merge<'s, S: Schema<'s>>(
    live: Value,
    config: Value,
    place: Option<S>,
) -> Result<Value, String> {
    let shape = place.map_or(Shape::Unknown, Schema::shape);
    let whole = matches!(
        shape,
        Shape::Scalar
            | Shape::Struct { atomic: true }
            | Shape::Map { atomic: true }
            | Shape::List(List::Atomic)
    );
    match (live, config) {
        (_, config) if whole => Ok(config),
        (Value::Object(live), Value::Object(config)) => merge_fields(live, config, place).map(Value::Object),
        // Also without a live value: what is below it has to be checked.
        (_, Value::Object(config)) => merge_fields(Map::new(), config, place).map(Value::Object),
        (live, Value::Array(config)) if matches!(shape, Shape::List(_)) => {
            let live = match live {
                Value::Array(live) => live,
                _ => Vec::new(),
            };
            merge_lists(live, config, place).map(Value::Array)
        }
        (_, config) => Ok(config),
    }
}

fn merge_fields<'s, S: Schema<'s>>(
    mut live: Map<String, Value>,
    config: Map<String, Value>,
    place: Option<S>,
) -> Result<Map<String, Value>, String> {
    for (key, value) in config {
        let old = live.remove(&key).unwrap_or_default();
        let child = place.and_then(|p| p.field(&key));
        let merged = merge(old, value, child).map_err(|e| format!(".{key}{e}"))?;
        live.insert(key, merged);
    }
    Ok(live)
}

/// Elements of `config` in its order; those only `live` has stay where they are among their neighbours.
fn merge_lists<'s, S: Schema<'s>>(
    live: Vec<Value>,
    config: Vec<Value>,
    place: Option<S>,
) -> Result<Vec<Value>, String> {
    let item = place.map(Schema::element);
    let wanted = named(config, place, true)?;
    let mut old: Vec<(Element, Option<Value>)> =
        named(live, place, false)?.into_iter().map(|(name, value)| (name, Some(value))).collect();
    let mut out = Vec::with_capacity(wanted.len().max(old.len()));
    let mut next = 0;
    let names: Vec<Element> = wanted.iter().map(|(name, _)| name.clone()).collect();
    for (name, value) in wanted {
        // What is only in the live list comes first, up to the next element that both have.
        while let Some((other, own)) = old.get_mut(next)
            && (own.is_none() || !names.contains(other))
        {
            out.extend(own.take());
            next += 1;
        }
        let before = old.iter_mut().find(|(other, _)| *other == name).and_then(|(_, own)| own.take());
        let merged = merge(before.unwrap_or_default(), value, item).map_err(|e| format!("{name}{e}"))?;
        out.push(merged);
    }
    out.extend(old.into_iter().skip(next).filter_map(|(_, own)| own));
    Ok(out)
}

/// A list's elements with their names. In a configuration names have to be whole and unique.
fn named<'s, S: Schema<'s>>(
    list: Vec<Value>,
    place: Option<S>,
    strict: bool,
) -> Result<Vec<(Element, Value)>, String> {
    let mut out: Vec<(Element, Value)> = Vec::with_capacity(list.len());
    for (index, value) in list.into_iter().enumerate() {
        let name = name(&value, place).unwrap_or_else(|| Element::Value(value.clone()));
        if strict {
            if let Element::Key(fields) = &name
                && let Some((key, _)) = fields.iter().find(|(_, value)| value.is_null())
            {
                return Err(format!(
                    ": element {index}: associative list with keys has an element that omits key field {key:?} (and \
                     doesn't have default value)"
                ));
            }
            if out.iter().any(|(other, _)| *other == name) {
                return Err(format!(": duplicate entries for key {name}"));
            }
        }
        out.push((name, value));
    }
    Ok(out)
}

/// What names an element of the list at `place`; none where elements have no names.
pub(super) fn name<'s, S: Schema<'s>>(value: &Value, place: Option<S>) -> Option<Element> {
    match place.map(Schema::shape) {
        Some(Shape::List(List::Map(keys))) => {
            let item = place.map(Schema::element);
            Some(Element::Key(key_fields(|key| value.get(key).cloned(), keys, item)))
        }
        Some(Shape::List(List::Set)) => Some(Element::Value(value.clone())),
        _ => None,
    }
}

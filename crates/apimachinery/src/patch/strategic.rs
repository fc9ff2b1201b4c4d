//! Merging by the strategies that a schema names and the directives that a patch brings along.

use serde_json::{Map, Value};

use super::{Failure, order};
use crate::schema::{Patch, Schema};

type Object = Map<String, Value>;

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const SET_ORDER: &str = "$setElementOrder/";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";

/// Merges `patch` into `original`. Without a schema maps are merged and lists replaced.
pub(super) fn merge_map<'s, S: Schema<'s>>(
    mut original: Object,
    mut patch: Object,
    schema: Option<S>,
) -> Result<Object, Failure> {
    match patch.remove(DIRECTIVE) {
        None => {}
        Some(Value::String(how)) if how == "replace" => return Ok(without_nulls_in(patch)),
        Some(Value::String(how)) if how == "delete" => return Ok(Object::new()),
        Some(how) => return Err(bad_directive(&how, &Value::Object(patch))),
    }
    retain_keys(&mut original, &mut patch)?;
    set_element_order(&mut original, &mut patch, schema)?;
    for (key, value) in patch {
        if let Some(list) = key.strip_prefix(DELETE_FROM) {
            delete_from_primitive_list(&mut original, list, value)?;
            continue;
        }
        if value.is_null() {
            original.remove(&key);
            continue;
        }
        let place = schema.and_then(|s| s.field(&key));
        let how = place.map(Schema::patch).unwrap_or_default();
        let merged = match (original.remove(&key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => Value::Object(merge_map(old, new, place)?),
            (Some(Value::Array(old)), Value::Array(new)) if how.merge => {
                Value::Array(merge_list(old, new, how, place)?)
            }
            (_, new) => match new_value(new)? {
                Some(new) => new,
                None => continue,
            },
        };
        original.insert(key, merged);
    }
    Ok(original)
}

/// `$retainKeys`: what it does not name is removed.
fn retain_keys(original: &mut Object, patch: &mut Object) -> Result<(), Failure> {
    let bad = || Failure::BadRequest("invalid patch format of retainKeys".into());
    let Some(list) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let Value::Array(list) = list else { return Err(bad()) };
    let keep = |key: &str| list.iter().any(|k| k == key);
    let directive = |key: &str| key.starts_with(DELETE_FROM) || key.starts_with(SET_ORDER);
    if patch.iter().any(|(key, value)| !value.is_null() && !directive(key) && !keep(key)) {
        return Err(bad());
    }
    original.retain(|key, _| keep(key));
    Ok(())
}

/// `$setElementOrder/list`: merges that list now, and puts its elements into the order given.
fn set_element_order<'s, S: Schema<'s>>(
    original: &mut Object,
    patch: &mut Object,
    schema: Option<S>,
) -> Result<(), Failure> {
    let directives: Vec<String> = patch.keys().filter(|k| k.starts_with(SET_ORDER)).cloned().collect();
    for directive in directives {
        let name = &directive[SET_ORDER.len()..];
        let list = |value: Option<Value>| match value {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list)),
            Some(_) => Err(Failure::BadRequest("invalid patch format of setElementOrder list".into())),
        };
        let wanted = list(patch.remove(&directive))?.unwrap_or_default();
        if patch.get(name).is_some_and(Value::is_null) {
            // The list is to be removed: there is nothing to order.
            continue;
        }
        let place = schema.and_then(|s| s.field(name));
        let how = place.map(Schema::patch).unwrap_or_default();
        let old = list(original.remove(name))?;
        let new = list(patch.remove(name))?;
        order::check_patch_against(new.as_deref().unwrap_or_default(), &wanted, how.merge_key)?;
        let before = old.clone().unwrap_or_default();
        let merged = match (old, new) {
            (None, None) => continue,
            (Some(old), None) => old,
            (None, Some(new)) => without_directives(new)?,
            (Some(old), Some(new)) if how.merge => merge_list(old, new, how, place)?,
            (Some(_), Some(new)) => without_directives(new)?,
        };
        let merged = order::arrange(merged, &wanted, &before, how.merge_key)?;
        original.insert(name.to_owned(), Value::Array(merged));
    }
    Ok(())
}

/// `$deleteFromPrimitiveList/list`
fn delete_from_primitive_list(original: &mut Object, name: &str, gone: Value) -> Result<(), Failure> {
    let Value::Array(gone) = gone else {
        return Err(Failure::BadRequest("invalid patch format of primitive list".into()));
    };
    if let Some(Value::Array(list)) = original.get_mut(name) {
        list.retain(|element| !gone.contains(element));
    }
    Ok(())
}

/// Merges a list whose strategy is `merge`.
fn merge_list<'s, S: Schema<'s>>(
    original: Vec<Value>,
    patch: Vec<Value>,
    how: Patch<'s>,
    place: Option<S>,
) -> Result<Vec<Value>, Failure> {
    if original.is_empty() && patch.is_empty() {
        return Ok(original);
    }
    let before = original.clone();
    let (objects, lists) = original.iter().chain(&patch).fold((0, 0), |(objects, lists), v| {
        (objects + usize::from(v.is_object()), lists + usize::from(v.is_array()))
    });
    if lists > 0 {
        return Err(Failure::Unprocessable);
    }
    if objects == 0 {
        let wanted = patch.clone();
        let mut merged = Vec::new();
        for value in original.into_iter().chain(patch) {
            if !merged.contains(&value) {
                merged.push(value);
            }
        }
        return order::arrange(merged, &wanted, &before, None);
    }
    if objects < original.len() + patch.len() {
        return Err(Failure::Other("list element types are not identical".into()));
    }
    let Some(key) = how.merge_key else {
        return Err(Failure::Other("cannot merge lists without merge key".into()));
    };
    let (mut merged, patch) = apply_element_directives(original, patch, key)?;
    let wanted = patch.clone();
    for element in patch {
        merge_element(&mut merged, element, key, place.map(Schema::element))?;
    }
    order::arrange(merged, &wanted, &before, Some(key))
}

/// Merges into the element with the same key, or adds one.
fn merge_element<'s, S: Schema<'s>>(
    list: &mut Vec<Value>,
    element: Value,
    key: &str,
    schema: Option<S>,
) -> Result<(), Failure> {
    let wanted = merge_value(&element, key)?.clone();
    let found = list.iter_mut().find(|old| old.get(key) == Some(&wanted));
    match (found, element) {
        (Some(old), Value::Object(element)) => {
            if let Value::Object(fields) = old.take() {
                *old = Value::Object(merge_map(fields, element, schema)?);
            }
        }
        (_, element) => list.extend(new_value(element)?),
    }
    Ok(())
}

/// Acts on elements that are directives (`$patch: delete`, `$patch: replace`); the rest of the patch comes back.
fn apply_element_directives(
    mut original: Vec<Value>,
    patch: Vec<Value>,
    key: &str,
) -> Result<(Vec<Value>, Vec<Value>), Failure> {
    let mut rest = Vec::new();
    let mut replace = false;
    for element in patch {
        match element.get(DIRECTIVE) {
            None => rest.push(element),
            Some(how) if how == "delete" => {
                let gone = merge_value(&element, key)?;
                original.retain(|old| old.get(key) != Some(gone));
            }
            Some(how) if how == "replace" => replace = true,
            Some(how) if how == "merge" => {
                return Err(Failure::Other("merging lists cannot yet be specified in the patch".into()));
            }
            Some(how) => return Err(bad_directive(how, &element)),
        }
    }
    match replace {
        true => Ok((Vec::new(), rest)),
        false => Ok((original, rest)),
    }
}

pub(super) fn merge_value<'v>(element: &'v Value, key: &str) -> Result<&'v Value, Failure> {
    element.get(key).ok_or_else(|| {
        Failure::Other(format!("map: {} does not contain declared merge key: {key}", go_map(element)))
    })
}

/// A value that meets nothing in the original: without nulls and directives. None when it is a deletion.
fn new_value(value: Value) -> Result<Option<Value>, Failure> {
    Ok(match value {
        Value::Object(mut map) => {
            match map.remove(DIRECTIVE) {
                Some(how) if how == "delete" => return Ok(None),
                _ => {}
            }
            map.remove(RETAIN_KEYS);
            let mut clean = Object::new();
            for (key, value) in map {
                if value.is_null() || key.starts_with(SET_ORDER) || key.starts_with(DELETE_FROM) {
                    continue;
                }
                if let Some(value) = new_value(value)? {
                    clean.insert(key, value);
                }
            }
            Some(Value::Object(clean))
        }
        Value::Array(list) => Some(Value::Array(without_directives(list)?)),
        value => Some(value),
    })
}

fn without_directives(list: Vec<Value>) -> Result<Vec<Value>, Failure> {
    let mut clean = Vec::with_capacity(list.len());
    for element in list {
        match element.get(DIRECTIVE) {
            // It only says that the other elements are all there is.
            Some(how) if how == "replace" => {}
            _ => clean.extend(new_value(element)?),
        }
    }
    Ok(clean)
}

fn without_nulls_in(mut map: Object) -> Object {
    map.retain(|_, value| !value.is_null());
    map
}

fn bad_directive(how: &Value, map: &Value) -> Failure {
    let how = how.as_str().map_or_else(|| how.to_string(), str::to_owned);
    Failure::Other(format!("unknown patch type: {how} in map: {}", go_map(map)))
}

/// As Go prints a map: `map[a:1 b:map[c:x]]`.
pub fn go_map(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let pairs: Vec<String> = map.iter().map(|(k, v)| format!("{k}:{}", go_map(v))).collect();
            format!("map[{}]", pairs.join(" "))
        }
        Value::Array(list) => {
            let items: Vec<String> = list.iter().map(go_map).collect();
            format!("[{}]", items.join(" "))
        }
        Value::String(text) => text.clone(),
        Value::Null => "<nil>".into(),
        other => other.to_string(),
    }
}

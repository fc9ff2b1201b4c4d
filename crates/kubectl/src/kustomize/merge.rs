//! Strategic merges as kustomize does them: elements that a patch names come first, null takes away, `$patch` says more.
//! Start at [`merge`].

use facts::{Field, List, Type, Value as Holds};
use serde_json::{Map, Value};

/// What is known of a value's type.
#[derive(Clone, Copy, Debug)]
pub enum Schema<'s> {
    Nothing,
    Struct(&'static Type),
    /// A map's or a list's values, of built-in types.
    Held(&'static Holds, Option<&'static Field>),
    /// A part of an OpenAPI document that the kustomization names.
    Document {
        all: &'s Value,
        at: &'s Value,
    },
}

impl<'s> Schema<'s> {
    /// Of an object: from the user's document, or built in.
    pub fn of(object: &Value, document: Option<&'s Value>) -> Self {
        let gvk = super::resource::Gvk::of(object);
        if let Some(all) = document
            && let Some(at) = definition(all, &gvk)
        {
            return Schema::Document { all, at };
        }
        facts::kind(&gvk.group, &gvk.version, &gvk.kind).map_or(Schema::Nothing, Schema::Struct)
    }

    fn field(self, name: &str) -> Schema<'s> {
        match self {
            Schema::Struct(of) => {
                of.field(name).map_or(Schema::Nothing, |f| Schema::Held(f.value(), Some(f)))
            }
            Schema::Held(Holds::Struct(at), _) => Schema::Struct(facts::struct_type(*at)).field(name),
            Schema::Held(Holds::Map { of, .. }, _) => Schema::Held(facts::value(*of), None),
            Schema::Document { all, at } => match (&at["properties"][name], &at["additionalProperties"]) {
                (found @ Value::Object(_), _) | (_, found @ Value::Object(_)) => {
                    Schema::Document { all, at: resolved(all, found) }
                }
                _ => Schema::Nothing,
            },
            _ => Schema::Nothing,
        }
    }

    fn element(self) -> Schema<'s> {
        match self {
            Schema::Held(Holds::Array { of, .. }, _) => Schema::Held(facts::value(*of), None),
            Schema::Document { all, at } if at["items"].is_object() => {
                Schema::Document { all, at: resolved(all, &at["items"]) }
            }
            _ => Schema::Nothing,
        }
    }

    /// By which fields elements of the list are the same; an empty list: by themselves. None: the list is one value.
    fn keys(self) -> Option<Vec<String>> {
        match self {
            Schema::Held(Holds::Array { kind, .. }, Some(field)) if field.patch_merge() => Some(match kind {
                List::Map(keys) if !field.merge_key.is_empty() => {
                    keys.iter().map(|k| (*k).to_owned()).collect()
                }
                _ if field.merge_key.is_empty() => Vec::new(),
                _ => vec![field.merge_key.to_owned()],
            }),
            Schema::Document { at, .. } => {
                let strategy = at["x-kubernetes-patch-strategy"].as_str().unwrap_or_default();
                if !strategy.split(',').any(|s| s == "merge") {
                    return None;
                }
                let listed = at["x-kubernetes-list-map-keys"].as_array().into_iter().flatten();
                let mut keys: Vec<String> = listed.filter_map(Value::as_str).map(str::to_owned).collect();
                if keys.is_empty() {
                    keys.extend(at["x-kubernetes-patch-merge-key"].as_str().map(str::to_owned));
                }
                Some(keys)
            }
            _ => None,
        }
    }
}

fn definition<'s>(all: &'s Value, gvk: &super::resource::Gvk) -> Option<&'s Value> {
    all["definitions"].as_object()?.values().find(|d| {
        let known = d["x-kubernetes-group-version-kind"].as_array().into_iter().flatten();
        known.into_iter().any(|g| {
            g["group"].as_str().unwrap_or_default() == gvk.group
                && g["version"].as_str() == Some(&gvk.version)
                && g["kind"].as_str() == Some(&gvk.kind)
        })
    })
}

fn resolved<'s>(all: &'s Value, at: &'s Value) -> &'s Value {
    match at["$ref"].as_str().and_then(|r| r.rsplit('/').next()) {
        Some(name) => &all["definitions"][name],
        None => at,
    }
}

/// What the patch makes of the value; none: it takes it away.
pub fn merge(value: Option<Value>, patch: Value, schema: Schema<'_>) -> Option<Value> {
    match patch {
        Value::Null => None,
        Value::Object(patch) => map(value, patch, schema),
        Value::Array(patch) => list(value, patch, schema),
        scalar => Some(scalar),
    }
}

fn directive(map: &Map<String, Value>) -> Option<&str> {
    map.get("$patch").and_then(Value::as_str)
}

fn map(value: Option<Value>, mut patch: Map<String, Value>, schema: Schema<'_>) -> Option<Value> {
    let said = directive(&patch).map(str::to_owned);
    match said.as_deref() {
        Some("delete") => return None,
        Some(what @ ("replace" | "merge")) => {
            patch.remove("$patch");
            if what == "replace" {
                return Some(Value::Object(patch));
            }
        }
        _ => {}
    }
    let mut merged = match value {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    };
    for (key, inner) in patch {
        let old = merged.remove(&key);
        if let Some(new) = merge(old, inner, schema.field(&key)) {
            merged.insert(key, new);
        }
    }
    Some(Value::Object(merged))
}

fn list(value: Option<Value>, mut patch: Vec<Value>, schema: Schema<'_>) -> Option<Value> {
    let replaces = |item: &Value| item.as_object().and_then(directive) == Some("replace");
    let deletes =
        |item: &Value| item.as_object().is_some_and(|m| m.len() == 1 && directive(m) == Some("delete"));
    if patch.iter().any(deletes) {
        return None;
    }
    if patch.iter().any(replaces) {
        patch.retain(|item| !replaces(item));
        return Some(Value::Array(patch));
    }
    let old = match value {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    };
    let merged = match schema.keys() {
        None => patch,
        Some(keys) if keys.is_empty() || patch.iter().chain(&old).any(|i| !i.is_object()) => {
            let rest = old.into_iter().filter(|o| !patch.contains(o)).collect::<Vec<_>>();
            patch.into_iter().chain(rest).collect()
        }
        Some(keys) => keyed(old, patch, &keys, schema),
    };
    Some(Value::Array(merged))
}

/// The values of the keys; those that are not there are null.
fn tuple<'v>(item: &'v Value, keys: &[String]) -> Vec<&'v Value> {
    keys.iter().map(|key| &item[key]).collect()
}

fn keyed(mut old: Vec<Value>, patch: Vec<Value>, keys: &[String], schema: Schema<'_>) -> Vec<Value> {
    let single =
        patch.iter().chain(&old).all(|i| tuple(i, keys).iter().filter(|v| !v.is_null()).count() <= 1);
    let (mut first, mut gone) = (Vec::new(), Vec::new());
    for item in patch {
        let same = old.iter().position(|o| tuple(o, keys) == tuple(&item, keys));
        // A key that only one of them has makes two elements of the patch's, of which what was there wins.
        let alike = |o: &Value| {
            let pairs = tuple(o, keys).into_iter().zip(tuple(&item, keys)).collect::<Vec<_>>();
            pairs.iter().all(|(a, b)| a == b || a.is_null() || b.is_null())
        };
        match same {
            Some(at) => match merge(Some(old[at].take()), item, schema.element()) {
                Some(new) if !single => old[at] = new,
                Some(new) => {
                    first.push(new);
                    gone.push(at);
                }
                None => gone.push(at),
            },
            None if !single && old.iter().any(alike) => {}
            None => {
                if let Some(new) = merge(None, item, schema.element()) {
                    first.push(new);
                }
            }
        }
    }
    let rest = old.into_iter().enumerate().filter(|(at, _)| !gone.contains(at)).map(|(_, item)| item);
    first.into_iter().chain(rest).collect()
}

//! Fields by path (`spec/template/metadata/labels`), through lists, made on the way where that is asked for.

use serde_json::{Value, json};

use super::Res;
use super::resource::Gvk;

/// Which field of which kinds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spec {
    pub gvk: Gvk,
    pub path: String,
    pub create: bool,
}

impl Spec {
    pub fn new(gvk: Gvk, path: impl Into<String>, create: bool) -> Self {
        Spec { gvk, path: path.into(), create }
    }

    /// From a configuration.
    pub fn read(value: &Value) -> Self {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        Spec {
            gvk: Gvk { group: text("group"), version: text("version"), kind: text("kind") },
            path: text("path"),
            create: value["create"].as_bool().unwrap_or(false),
        }
    }

    pub fn parts(&self) -> Vec<String> {
        split(&self.path)
    }
}

/// The parts of a path; `\/` is a slash in a name.
pub fn split(path: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut joined = false;
    for part in path.split('/') {
        let continues = part.ends_with('\\');
        let text = part.strip_suffix('\\').unwrap_or(part);
        match parts.last_mut() {
            Some(last) if joined => {
                last.push('/');
                last.push_str(text);
            }
            _ => parts.push(text.to_owned()),
        }
        joined = continues;
    }
    parts
}

/// What is put where nothing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    Nothing,
    Text,
    Map,
}

impl Make {
    fn value(self) -> Value {
        match self {
            Make::Nothing => Value::Null,
            Make::Text => json!(""),
            Make::Map => json!({}),
        }
    }
}

type Set<'s> = &'s mut dyn FnMut(&mut Value) -> Res<()>;

/// Changes the field of an object, if the spec is for its kind.
pub fn change(object: &mut Value, spec: &Spec, make: Make, set: Set<'_>) -> Res<()> {
    if !Gvk::of(object).is_selected(&spec.gvk) {
        return Ok(());
    }
    let make = if spec.create { make } else { Make::Nothing };
    walk(object, &spec.parts(), make, set).map_err(|why| {
        let shown = codec::yaml::from_value(object);
        format!("obj '{shown}' at path '{}': {why}", spec.path)
    })
}

/// Calls `set` with each value that the path leads to.
pub fn walk(value: &mut Value, path: &[String], make: Make, set: Set<'_>) -> Res<()> {
    let Some((first, rest)) = path.split_first() else { return set(value) };
    match value {
        Value::Array(list) => list
            .iter_mut()
            .try_for_each(|item| walk(item, path, make, &mut *set))
            .map_err(|why| format!("visit traversal on path: [{}]: {why}", path.join(" "))),
        Value::Object(map) => {
            let (name, is_list) = match first.strip_suffix("[]") {
                Some(name) => (name, true),
                None => (first.as_str(), false),
            };
            let made = match make {
                Make::Nothing => None,
                _ if is_list => None,
                make if rest.is_empty() => Some(make.value()),
                _ => Some(json!({})),
            };
            match (map.get_mut(name), made) {
                (Some(Value::Null), Some(made)) | (None, Some(made)) => {
                    map.insert(name.to_owned(), made);
                    map.get_mut(name).map_or(Ok(()), |inner| walk(inner, rest, make, set))
                }
                (Some(Value::Null), None) if !rest.is_empty() => Ok(()),
                (Some(inner), _) => walk(inner, rest, make, set),
                (None, None) => Ok(()),
            }
        }
        _ => Err("expected sequence or mapping node".into()),
    }
}

/// Whether the path leads to something.
pub fn has(value: &Value, path: &[String]) -> bool {
    let Some((first, rest)) = path.split_first() else { return true };
    match value {
        Value::Array(list) => list.iter().any(|item| has(item, path)),
        Value::Object(map) => {
            map.get(first.strip_suffix("[]").unwrap_or(first)).is_some_and(|inner| has(inner, rest))
        }
        _ => false,
    }
}

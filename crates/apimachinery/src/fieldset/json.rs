//! `FieldsV1`: `{"f:metadata":{"f:labels":{".":{},"f:app":{}}}}`.

use serde_json::Value;

use super::{Element, FieldSet};
use crate::raw::{Kind, Raw};

/// Deeper sets are refused: reading recurses.
const DEPTH_MAX: usize = 200;

pub(super) fn read(raw: Raw<'_>, depth: usize) -> Result<FieldSet, String> {
    if raw.kind() != Kind::Object || depth == DEPTH_MAX {
        return Err("a set of fields is not an object".into());
    }
    let mut set = FieldSet::new();
    for (key, value) in raw.fields().filter(|(key, _)| key != ".") {
        let element = element(&key)?;
        let below = read(value, depth + 1)?;
        // An empty object is the field alone; another one has a dot, always first, when the field itself is meant too.
        let dot = || value.fields().next().is_some_and(|(k, _)| k == ".") || value.get(".").is_some();
        let member = below.is_empty() || dot();
        set.insert_below(element, member, below);
    }
    Ok(set)
}

/// The same from a tree.
pub(super) fn read_value(value: &Value, depth: usize) -> Result<FieldSet, String> {
    let Some(fields) = value.as_object().filter(|_| depth < DEPTH_MAX) else {
        return Err("a set of fields is not an object".into());
    };
    let mut set = FieldSet::new();
    for (key, value) in fields.iter().filter(|(key, _)| *key != ".") {
        let element = element(key)?;
        let below = read_value(value, depth + 1)?;
        let member = below.is_empty() || value.get(".").is_some();
        set.insert_below(element, member, below);
    }
    Ok(set)
}

/// As a tree.
pub(super) fn to_value(set: &FieldSet, member: bool) -> Value {
    let mut fields = serde_json::Map::new();
    if member && !set.is_empty() {
        fields.insert(".".into(), Value::Object(serde_json::Map::new()));
    }
    for node in &set.nodes {
        fields.insert(element_text(&node.element), to_value(&node.below, node.member));
    }
    Value::Object(fields)
}

fn element(key: &str) -> Result<Element, String> {
    let bad = || format!("cannot read {key:?} as a path element");
    let (kind, rest) = key.split_once(':').ok_or_else(bad)?;
    Ok(match kind {
        "f" => Element::field(rest),
        "v" => Element::Value(serde_json::from_str(rest).map_err(|_| bad())?),
        "i" => Element::Index(rest.parse().map_err(|_| bad())?),
        "k" => {
            let fields: serde_json::Map<String, Value> = serde_json::from_str(rest).map_err(|_| bad())?;
            // A serde_json map is sorted by key.
            Element::Key(fields.into_iter().map(|(k, v)| (k.into_boxed_str(), v)).collect())
        }
        _ => return Err(bad()),
    })
}

pub(super) fn write(set: &FieldSet, member: bool, out: &mut String) {
    out.push('{');
    let mut comma = "";
    if member && !set.is_empty() {
        out.push_str("\".\":{}");
        comma = ",";
    }
    for node in &set.nodes {
        out.push_str(comma);
        write_element(&node.element, out);
        out.push(':');
        write(&node.below, node.member, out);
        comma = ",";
    }
    out.push('}');
}

fn write_element(element: &Element, out: &mut String) {
    match element {
        Element::Field(name) if !name.contains(|c: char| c < ' ' || c == '"' || c == '\\') => {
            out.extend(["\"f:", name, "\""]);
        }
        element => out.push_str(&Value::from(element_text(element)).to_string()),
    }
}

fn element_text(element: &Element) -> String {
    match element {
        Element::Field(name) => ["f:", name].concat(),
        Element::Key(fields) => {
            let pairs: Vec<String> =
                fields.iter().map(|(k, v)| format!("{}:{v}", Value::from(&**k))).collect();
            format!("k:{{{}}}", pairs.join(","))
        }
        Element::Value(value) => format!("v:{value}"),
        Element::Index(at) => format!("i:{at}"),
    }
}

//! The tables of types as schemas.

use std::collections::{BTreeMap, BTreeSet};

use apimachinery::Gvk;
use facts::{Field, List, Type, Value as Holds};
use resources::Resource;
use serde_json::{Map, Value, json};

use super::descriptions::Descriptions;
use super::{Version, measured};
use crate::pipeline::subresources;

pub(super) const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const INT_OR_STRING: &str = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";
pub(super) const TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Time";
const MICRO_TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime";
const RAW: &str = "io.k8s.apimachinery.pkg.runtime.RawExtension";
/// Bodies that every group uses.
const SHARED: [&str; 3] = [
    "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Status",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Patch",
];

/// The schemas of the resources' kinds, their lists, their subresources' kinds, and all that these hold.
pub(super) fn reachable(
    version: Version,
    resources: &[&Resource],
    texts: &Descriptions,
) -> Map<String, Value> {
    let mut wanted: Vec<&'static Type> = SHARED.iter().filter_map(|name| facts::type_named(name)).collect();
    let mut schemas = Map::new();
    let mut special = BTreeSet::new();
    let mut lists = BTreeMap::new();
    for resource in resources {
        let gvk = &resource.gvk;
        wanted.extend(facts::kind(&gvk.group, &gvk.version, &gvk.kind));
        let measured = measured::schemas(version, gvk);
        if !measured.is_empty() {
            special.extend(measured::LEAVES);
            wanted.extend(measured::TYPES.iter().filter_map(|name| facts::type_named(name)));
            schemas.extend(measured);
        }
        if resource.verbs.contains(&"list")
            && let Some(item) = name_of(&gvk.group, &gvk.version, &gvk.kind)
        {
            lists.insert(format!("{item}List"), list(version, &item, gvk));
        }
        for name in resource.subresources {
            let kind = subresources::find(resource, name).and_then(|s| s.kind);
            wanted.extend(kind.and_then(|(g, v, k)| facts::kind(g, v, k)));
        }
    }
    wanted.extend(facts::type_named("io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"));
    while let Some(next) = wanted.pop() {
        if schemas.contains_key(next.name) {
            continue;
        }
        schemas.insert(next.name.to_owned(), object(version, next, texts, &mut wanted, &mut special));
    }
    for name in special {
        let mut schema = leaf(version, name);
        describe(&mut schema, texts.of_type(name));
        schemas.insert(name.to_owned(), schema);
    }
    schemas.extend(lists);
    schemas
}

/// What the schema of a kind is called.
pub(super) fn name_of(group: &str, version: &str, kind: &str) -> Option<String> {
    let built_in = facts::kind(group, version, kind).map(|t| t.name.to_owned());
    built_in.or_else(|| measured::name(group, kind))
}

fn object(
    version: Version,
    of: &'static Type,
    texts: &Descriptions,
    wanted: &mut Vec<&'static Type>,
    special: &mut BTreeSet<&'static str>,
) -> Value {
    let mut properties = Map::new();
    for field in of.fields() {
        let mut schema = property(version, field, wanted, special);
        let text = texts.of_field(of.name, field.name);
        // Next to a bare reference nothing else is read.
        if let (Version::V3, Some(reference), Some(_)) = (version, schema.get("$ref").cloned(), text) {
            schema = json!({"allOf": [{"$ref": reference}]});
        }
        describe(&mut schema, text);
        properties.insert(field.name.to_owned(), schema);
    }
    let mut schema = json!({"type": "object", "properties": properties});
    describe(&mut schema, texts.of_type(of.name));
    let required: Vec<&str> = of.fields().iter().filter(|f| f.required()).map(|f| f.name).collect();
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if of.atomic {
        schema["x-kubernetes-map-type"] = json!("atomic");
    }
    let kinds: Vec<Value> = facts::kinds()
        .iter()
        .filter(|k| k.type_of().name == of.name)
        .map(|k| json!({"group": k.group, "version": k.version, "kind": k.kind}))
        .collect();
    if !kinds.is_empty() {
        schema["x-kubernetes-group-version-kind"] = json!(kinds);
    }
    schema
}

fn describe(schema: &mut Value, text: Option<&str>) {
    if let Some(text) = text {
        schema["description"] = json!(text);
    }
}

fn property(
    version: Version,
    field: &'static Field,
    wanted: &mut Vec<&'static Type>,
    special: &mut BTreeSet<&'static str>,
) -> Value {
    let mut schema = value(version, field.value(), wanted, special);
    if field.patch_merge() || field.retain_keys() {
        let strategy = match (field.patch_merge(), field.retain_keys()) {
            (true, true) => "merge,retainKeys",
            (true, false) => "merge",
            (false, _) => "retainKeys",
        };
        // Next to a bare reference nothing else is read.
        if let Some(reference) = schema.get("$ref").cloned() {
            schema = json!({"allOf": [{"$ref": reference}]});
        }
        schema["x-kubernetes-patch-strategy"] = json!(strategy);
        if !field.merge_key.is_empty() {
            schema["x-kubernetes-patch-merge-key"] = json!(field.merge_key);
        }
    }
    schema
}

fn value(
    version: Version,
    holds: &'static Holds,
    wanted: &mut Vec<&'static Type>,
    special: &mut BTreeSet<&'static str>,
) -> Value {
    let mut named = |name: &'static str| {
        special.insert(name);
        json!({"$ref": version.reference(name)})
    };
    match holds {
        Holds::Any => json!({}),
        Holds::Bool => json!({"type": "boolean"}),
        Holds::Int32 => json!({"type": "integer", "format": "int32"}),
        Holds::Int64 => json!({"type": "integer", "format": "int64"}),
        Holds::Double => json!({"type": "number", "format": "double"}),
        Holds::String => json!({"type": "string"}),
        Holds::Bytes => json!({"type": "string", "format": "byte"}),
        Holds::Quantity => named(QUANTITY),
        Holds::IntOrString => named(INT_OR_STRING),
        Holds::Time => named(TIME),
        Holds::MicroTime => named(MICRO_TIME),
        Holds::Raw => named(RAW),
        Holds::Struct(at) => {
            let of = facts::struct_type(*at);
            wanted.push(of);
            json!({"$ref": version.reference(of.name)})
        }
        Holds::Map { of, atomic } => {
            let mut schema = json!({
                "type": "object",
                "additionalProperties": value(version, facts::value(*of), wanted, special),
            });
            if *atomic {
                schema["x-kubernetes-map-type"] = json!("atomic");
            }
            schema
        }
        Holds::Array { of, kind } => {
            let mut schema =
                json!({"type": "array", "items": value(version, facts::value(*of), wanted, special)});
            match kind {
                List::Atomic => schema["x-kubernetes-list-type"] = json!("atomic"),
                List::Set => schema["x-kubernetes-list-type"] = json!("set"),
                List::Map(keys) => {
                    schema["x-kubernetes-list-type"] = json!("map");
                    schema["x-kubernetes-list-map-keys"] = json!(keys);
                }
            }
            schema
        }
    }
}

/// Types that are no structs in JSON.
fn leaf(version: Version, name: &str) -> Value {
    match (name, version) {
        (QUANTITY, Version::V3) => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
        (INT_OR_STRING, Version::V3) => {
            json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]})
        }
        (INT_OR_STRING, Version::V2) => json!({"type": "string", "format": "int-or-string"}),
        (TIME | MICRO_TIME, _) => json!({"type": "string", "format": "date-time"}),
        (RAW, _) => json!({"type": "object"}),
        _ => json!({"type": "string"}),
    }
}

fn list(version: Version, item: &str, gvk: &Gvk) -> Value {
    json!({
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"$ref": version.reference("io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta")},
            "items": {"type": "array", "items": {"$ref": version.reference(item)}},
        },
        "x-kubernetes-group-version-kind": [
            {"group": &*gvk.group, "version": &*gvk.version, "kind": format!("{}List", gvk.kind)},
        ],
    })
}

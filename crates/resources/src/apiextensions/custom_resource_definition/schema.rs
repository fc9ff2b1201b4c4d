//! Rules of a version's schema as OpenAPI: what of it is supported, and what its extensions want.

use apimachinery::field::{Error, ErrorList, Path, Raw};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::{Value, json};

use crate::check::{known, one};

const TYPES: &[&str] = &["array", "boolean", "integer", "number", "object", "string"];
/// What the root may have besides its properties when a status is told apart, by name in JSON and in upstream's words.
const AT_ROOT: &[(&str, &str)] = &[
    ("description", "Description"),
    ("type", "Type"),
    ("format", "Format"),
    ("title", "Title"),
    ("maximum", "Maximum"),
    ("exclusiveMaximum", "ExclusiveMaximum"),
    ("minimum", "Minimum"),
    ("exclusiveMinimum", "ExclusiveMinimum"),
    ("maxLength", "MaxLength"),
    ("minLength", "MinLength"),
    ("pattern", "Pattern"),
    ("maxItems", "MaxItems"),
    ("minItems", "MinItems"),
    ("uniqueItems", "UniqueItems"),
    ("multipleOf", "MultipleOf"),
    ("required", "Required"),
    ("items", "Items"),
    ("properties", "Properties"),
    ("externalDocs", "ExternalDocs"),
    ("example", "Example"),
    ("x-kubernetes-preserve-unknown-fields", "XPreserveUnknownFields"),
    ("x-kubernetes-validations", "XValidations"),
];
const META: &[&str] = &["apiVersion", "kind", "metadata"];

/// Rules of the root alone. `status`: the version has a status subresource.
pub fn root_errors(schema: &JSONSchemaProps, status: bool, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    if status {
        let kind = schema.type_.as_deref().unwrap_or_default();
        errs.extend(one(!kind.is_empty() && kind != "object", || {
            let why = "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled";
            Error::invalid(&path.child("type"), kind, why)
        }));
        let Value::Object(fields) = json!(schema) else { return errs };
        let odd = fields.keys().any(|field| AT_ROOT.iter().all(|(name, _)| name != field));
        errs.extend(one(odd, || {
            let names: Vec<&str> = AT_ROOT.iter().map(|(_, name)| *name).collect();
            let why = format!(
                "only [{}] fields are allowed at the root of the schema if the status subresource is enabled",
                names.join(" ")
            );
            Error::invalid(path, Raw(json!(schema).to_string()), why)
        }));
    }
    errs.extend(one(schema.nullable.unwrap_or(false), || {
        Error::forbidden(&path.child("nullable"), "nullable cannot be true at the root")
    }));
    errs
}

/// Rules of the whole schema.
pub fn errors(schema: &JSONSchemaProps, path: &Path) -> ErrorList {
    walk(schema, path, Place { root: true, meta: false, no_defaults: None })
}

/// Where in the whole a schema stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    root: bool,
    /// Within metadata, kind or apiVersion of an object.
    meta: bool,
    /// Why there may be no defaults.
    no_defaults: Option<&'a str>,
}

fn walk(schema: &JSONSchemaProps, path: &Path, place: Place<'_>) -> ErrorList {
    let mut errs = unsupported(schema, path, place);
    let inner = Place { root: false, ..place };
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &schema.additional_properties {
        let why = "inside additionalProperties applying to object metadata";
        let place = if place.meta { Place { no_defaults: Some(why), ..inner } } else { inner };
        errs.extend(walk(values, &path.child("additionalProperties"), place));
    }
    for (name, property) in schema.properties.iter().flatten() {
        let mut below = inner;
        let why = format!("in top-level {name}");
        if (place.root || schema.x_kubernetes_embedded_resource.unwrap_or(false))
            && META.contains(&name.as_str())
        {
            below.meta = true;
            if place.root {
                below.no_defaults = Some(&why);
            }
        }
        errs.extend(walk(property, &path.child("properties").key(name), below));
    }
    errs.extend(schema.not.as_ref().map(|s| walk(s, &path.child("not"), inner)).unwrap_or_default());
    for (field, list) in [("allOf", &schema.all_of), ("oneOf", &schema.one_of), ("anyOf", &schema.any_of)] {
        for (i, one) in list.iter().flatten().enumerate() {
            errs.extend(walk(one, &path.child(field).index(i), inner));
        }
    }
    match &schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => errs.extend(walk(items, &path.child("items"), inner)),
        Some(JSONSchemaPropsOrArray::Schemas(all)) => {
            for (i, items) in all.iter().enumerate() {
                errs.extend(walk(items, &path.child("items").index(i), inner));
            }
        }
        None => {}
    }
    errs.extend(extensions(schema, path));
    errs
}

/// What OpenAPI has and custom resources have not.
fn unsupported(schema: &JSONSchemaProps, path: &Path, place: Place<'_>) -> ErrorList {
    let kind = schema.type_.as_deref().unwrap_or_default();
    let mut errs = match kind {
        "" => ErrorList::new(),
        kind => known(&path.child("type"), kind, TYPES),
    };
    if schema.default.is_some()
        && let Some(why) = place.no_defaults
    {
        errs.push(Error::forbidden(&path.child("default"), format!("must not be set {why}")));
    }
    let some = |list: &Option<std::collections::BTreeMap<String, JSONSchemaProps>>| {
        list.as_ref().is_some_and(|l| !l.is_empty())
    };
    for (field, there) in [
        ("id", schema.id.as_ref().is_some_and(|id| !id.is_empty())),
        ("additionalItems", schema.additional_items.is_some()),
        ("patternProperties", some(&schema.pattern_properties)),
        ("definitions", some(&schema.definitions)),
        ("dependencies", schema.dependencies.is_some()),
        ("$ref", schema.ref_path.is_some()),
    ] {
        errs.extend(one(there, || Error::forbidden(&path.child(field), format!("{field} is not supported"))));
    }
    errs.extend(one(kind == "null", || {
        let why = "type cannot be set to null, use nullable as an alternative";
        Error::forbidden(&path.child("type"), why)
    }));
    errs.extend(one(
        matches!(&schema.items, Some(JSONSchemaPropsOrArray::Schemas(all)) if !all.is_empty()),
        || Error::forbidden(&path.child("items"), "items must be a schema object and not an array"),
    ));
    errs.extend(one(place.meta && schema.x_kubernetes_embedded_resource.unwrap_or(false), || {
        let path = path.child("x-kubernetes-embedded-resource");
        Error::forbidden(&path, "must not be used inside of resource meta")
    }));
    errs.extend(one(schema.unique_items.unwrap_or(false), || {
        let why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        Error::forbidden(&path.child("uniqueItems"), why)
    }));
    let open = match &schema.additional_properties {
        None | Some(JSONSchemaPropsOrBool::Bool(true)) => false,
        Some(_) => schema.properties.as_ref().is_some_and(|p| !p.is_empty()),
    };
    errs.extend(one(open, || {
        let why = "additionalProperties and properties are mutual exclusive";
        Error::forbidden(&path.child("additionalProperties"), why)
    }));
    errs
}

/// The `x-kubernetes-…` fields.
fn extensions(schema: &JSONSchemaProps, path: &Path) -> ErrorList {
    let mut errs = one(schema.x_kubernetes_preserve_unknown_fields == Some(false), || {
        Error::invalid(
            &path.child("x-kubernetes-preserve-unknown-fields"),
            false,
            "must be true or undefined",
        )
    });
    let kind = schema.type_.as_deref().unwrap_or_default();
    let of_type = |wanted: &str, extension: &str| {
        let (path, why) = (path.child("type"), format!("must be {wanted} if {extension} is specified"));
        match kind {
            "" => one(true, || Error::required(&path, why)),
            kind => one(kind != wanted, || Error::invalid(&path, kind, why)),
        }
    };
    if let Some(map) = schema.x_kubernetes_map_type.as_deref() {
        errs.extend(of_type("object", "x-kubernetes-map-type"));
        errs.extend(known(&path.child("x-kubernetes-map-type"), map, &["atomic", "granular"]));
    }
    let list = schema.x_kubernetes_list_type.as_deref();
    if let Some(list) = list {
        errs.extend(of_type("array", "x-kubernetes-list-type"));
        errs.extend(known(&path.child("x-kubernetes-list-type"), list, &["atomic", "map", "set"]));
    }
    let keys = schema.x_kubernetes_list_map_keys.as_deref().unwrap_or_default();
    let at = path.child("x-kubernetes-list-map-keys");
    errs.extend(one(!keys.is_empty() && list != Some("map"), || match list {
        None => Error::required(
            &path.child("x-kubernetes-list-type"),
            "must be map if x-kubernetes-list-map-keys is non-empty",
        ),
        Some(list) => Error::invalid(
            &path.child("x-kubernetes-list-type"),
            list,
            "must be map if x-kubernetes-list-map-keys is non-empty",
        ),
    }));
    let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items else { return errs };
    match list {
        Some("map") => errs.extend(map_errors(items, keys, path, &at)),
        Some("set") => errs.extend(set_errors(items, path)),
        _ => {}
    }
    if let Some(list @ ("map" | "set")) = list {
        errs.extend(one(items.nullable.unwrap_or(false), || {
            let why = format!("cannot be nullable when x-kubernetes-list-type is {list}");
            Error::forbidden(&path.child("items").child("nullable"), why)
        }));
    }
    errs
}

fn map_errors(items: &JSONSchemaProps, keys: &[String], path: &Path, at: &Path) -> ErrorList {
    let mut errs =
        one(keys.is_empty(), || Error::required(at, "must not be empty if x-kubernetes-list-type is map"));
    errs.extend(one(items.type_.as_deref() != Some("object"), || {
        let kind = items.type_.as_deref().unwrap_or_default();
        let why = "must be object if parent array's x-kubernetes-list-type is map";
        Error::invalid(&path.child("items").child("type"), kind, why)
    }));
    for (i, key) in keys.iter().enumerate() {
        errs.extend(one(keys[..i].contains(key), || Error::duplicate(&at.index(i), key)));
        let Some(property) = items.properties.as_ref().and_then(|p| p.get(key)) else {
            let why = "entries must all be names of item properties";
            errs.push(Error::invalid(&at.index(i), key, why));
            continue;
        };
        if matches!(property.type_.as_deref(), Some("array" | "object")) {
            let path = path.child("items").child("properties").key(key).child("type");
            let why = "must be a scalar type if parent array's x-kubernetes-list-type is map";
            errs.push(Error::invalid(&path, property.type_.as_deref().unwrap_or_default(), why));
        }
        let path = path.child("items").child("properties").key(key);
        let required = items.required.iter().flatten().any(|r| r == key);
        errs.extend(one(!required && property.default.is_none(), || {
            let why =
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
            Error::required(&path.child("default"), why)
        }));
        errs.extend(one(property.nullable.unwrap_or(false), || {
            let why = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
            Error::forbidden(&path.child("nullable"), why)
        }));
    }
    errs
}

fn set_errors(items: &JSONSchemaProps, path: &Path) -> ErrorList {
    let why = "must be atomic as item of a list with x-kubernetes-list-type=set";
    let (list, map) = (items.x_kubernetes_list_type.as_deref(), items.x_kubernetes_map_type.as_deref());
    let path = path.child("items");
    match items.type_.as_deref() {
        Some("array") => one(list.is_some_and(|l| l != "atomic"), || {
            Error::invalid(&path.child("x-kubernetes-list-type"), list.unwrap_or_default(), why)
        }),
        Some("object") => one(map != Some("atomic"), || {
            Error::invalid(&path.child("x-kubernetes-map-type"), map.unwrap_or_default(), why)
        }),
        _ => ErrorList::new(),
    }
}

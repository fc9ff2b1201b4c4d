//! Structural schemas: every field has one type, said once, outside of `allOf`, `anyOf`, `oneOf` and `not`, which may only narrow
//! the values of fields that are there.

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

use crate::check::one;

/// What a schema is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

/// What keeps a version's schema from being structural.
pub fn errors(root: &JSONSchemaProps, path: &Path) -> ErrorList {
    let mut errs = shape(root, Level::Root, path);
    errs.extend(complete(root, path));
    errs
}

fn items(schema: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match &schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => Some(items),
        _ => None,
    }
}

fn values(schema: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match &schema.additional_properties {
        Some(JSONSchemaPropsOrBool::Schema(values)) => Some(values),
        _ => None,
    }
}

fn kind(schema: &JSONSchemaProps) -> &str {
    schema.type_.as_deref().unwrap_or_default()
}

/// Of the schema itself and those of its items and fields.
fn shape(schema: &JSONSchemaProps, level: Level, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    errs.extend(items(schema).map(|s| shape(s, Level::Item, &path.child("items"))).unwrap_or_default());
    for (name, property) in schema.properties.iter().flatten() {
        errs.extend(shape(property, Level::Field, &path.child("properties").key(name)));
    }
    let inner = path.child("additionalProperties");
    errs.extend(values(schema).map(|s| shape(s, Level::Field, &inner)).unwrap_or_default());
    errs.extend(typed(schema, level, path));
    errs.extend(narrowing(schema, path, is_int_or_string(schema)));
    errs
}

/// The type is there, and fits the extensions.
fn typed(schema: &JSONSchemaProps, level: Level, path: &Path) -> ErrorList {
    let int_or_string = schema.x_kubernetes_int_or_string.unwrap_or(false);
    let preserves = schema.x_kubernetes_preserve_unknown_fields.unwrap_or(false);
    let embedded = schema.x_kubernetes_embedded_resource.unwrap_or(false);
    let (kind, at) = (kind(schema), path.child("type"));
    let mut errs = ErrorList::new();
    for (extension, there) in
        [("x-kubernetes-preserve-unknown-fields", preserves), ("x-kubernetes-embedded-resource", embedded)]
    {
        errs.extend(one(int_or_string && there, || {
            let why = "must be false if x-kubernetes-int-or-string is true";
            Error::invalid(&path.child(extension), true, why)
        }));
    }
    errs.extend(one(int_or_string && !kind.is_empty(), || {
        Error::invalid(&at, kind, "must be empty if x-kubernetes-int-or-string is true")
    }));
    let why = "must be object if x-kubernetes-embedded-resource is true";
    match (embedded, kind) {
        (true, "") => errs.push(Error::required(&at, why)),
        (true, kind) if kind != "object" => errs.push(Error::invalid(&at, kind, why)),
        (false, "") if !int_or_string && !preserves => errs.push(Error::required(
            &at,
            match level {
                Level::Root => "must not be empty at the root",
                Level::Item => "must not be empty for specified array items",
                Level::Field => "must not be empty for specified object fields",
            },
        )),
        _ => {}
    }
    let open = schema.additional_properties.is_some();
    let more = path.child("additionalProperties");
    errs.extend(one(embedded && open, || {
        Error::forbidden(&more, "must not be used if x-kubernetes-embedded-resource is set")
    }));
    if level == Level::Root {
        errs.extend(one(!kind.is_empty() && kind != "object", || {
            Error::invalid(&at, kind, "must be object at the root")
        }));
        errs.extend(one(open, || Error::forbidden(&more, "must not be used at the root")));
    }
    errs.extend(one(embedded && !preserves && schema.properties.is_none(), || {
        let why = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
        Error::required(&path.child("properties"), why)
    }));
    if level == Level::Root || embedded {
        errs.extend(metadata(schema, level, path));
    }
    errs
}

/// Of metadata only the name can be narrowed.
fn metadata(schema: &JSONSchemaProps, level: Level, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let path = path.child("properties");
    for (name, wanted) in [("kind", "string"), ("apiVersion", "string"), ("metadata", "object")] {
        let Some(property) = schema.properties.as_ref().and_then(|p| p.get(name)) else { continue };
        errs.extend(one(kind(property) != wanted, || {
            Error::invalid(&path.key(name).child("type"), kind(property), format!("must be {wanted}"))
        }));
        if name != "metadata" || level != Level::Root {
            continue;
        }
        let other = property.properties.iter().flatten().any(|(n, _)| n != "name" && n != "generateName");
        errs.extend(one(other, || {
            let why = "must not specify anything other than name and generateName, but metadata is implicitly specified";
            Error::forbidden(&path.key(name), why)
        }));
    }
    errs
}

/// The two ways to write that a value is a number or a text: they may name types within `anyOf`.
fn is_int_or_string(schema: &JSONSchemaProps) -> bool {
    let pair = |any_of: &Option<Vec<JSONSchemaProps>>| {
        let kinds: Vec<&str> = any_of.iter().flatten().map(kind).collect();
        kinds == ["integer", "string"]
    };
    schema.x_kubernetes_int_or_string.unwrap_or(false)
        && (pair(&schema.any_of) || schema.all_of.iter().flatten().next().is_some_and(|s| pair(&s.any_of)))
}

/// `allOf`, `anyOf`, `oneOf`, `not` say nothing but what values there may be.
fn narrowing(schema: &JSONSchemaProps, path: &Path, exempt: bool) -> ErrorList {
    let mut errs = ErrorList::new();
    for (field, list) in [("allOf", &schema.all_of), ("anyOf", &schema.any_of), ("oneOf", &schema.one_of)] {
        for (i, one) in list.iter().flatten().enumerate() {
            errs.extend(nested(one, &path.child(field).index(i), exempt));
        }
    }
    errs.extend(schema.not.as_ref().map(|s| nested(s, &path.child("not"), false)).unwrap_or_default());
    errs
}

fn nested(schema: &JSONSchemaProps, path: &Path, exempt: bool) -> ErrorList {
    let mut errs = narrowing(schema, path, exempt);
    errs.extend(items(schema).map(|s| nested(s, &path.child("items"), false)).unwrap_or_default());
    for (name, property) in schema.properties.iter().flatten() {
        errs.extend(nested(property, &path.child("properties").key(name), false));
    }
    let text = |t: &Option<String>| t.as_ref().is_some_and(|t| !t.is_empty());
    let yes = |b: Option<bool>| b.unwrap_or(false);
    const EMPTY: &str = "must be empty to be structural";
    const UNDEFINED: &str = "must be undefined to be structural";
    const FALSE: &str = "must be false to be structural";
    for (field, there, why) in [
        ("additionalProperties", schema.additional_properties.is_some(), UNDEFINED),
        ("type", text(&schema.type_) && !exempt, EMPTY),
        ("title", text(&schema.title), EMPTY),
        ("description", text(&schema.description), EMPTY),
        ("default", schema.default.is_some(), UNDEFINED),
        ("nullable", yes(schema.nullable), FALSE),
        ("x-kubernetes-preserve-unknown-fields", yes(schema.x_kubernetes_preserve_unknown_fields), FALSE),
        ("x-kubernetes-embedded-resource", yes(schema.x_kubernetes_embedded_resource), FALSE),
        ("x-kubernetes-int-or-string", yes(schema.x_kubernetes_int_or_string), FALSE),
        ("x-kubernetes-list-map-keys", schema.x_kubernetes_list_map_keys.is_some(), EMPTY),
        ("x-kubernetes-list-type", schema.x_kubernetes_list_type.is_some(), UNDEFINED),
        ("x-kubernetes-map-type", schema.x_kubernetes_map_type.is_some(), UNDEFINED),
    ] {
        errs.extend(one(there, || Error::forbidden(&path.child(field), why)));
    }
    errs
}

/// Whatever is narrowed is also specified.
fn complete(schema: &JSONSchemaProps, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    for (field, list) in [("allOf", &schema.all_of), ("anyOf", &schema.any_of), ("oneOf", &schema.one_of)] {
        for (i, one) in list.iter().flatten().enumerate() {
            errs.extend(specified(one, schema, path, &path.child(field).index(i)));
        }
    }
    errs.extend(
        schema.not.as_ref().map(|s| specified(s, schema, path, &path.child("not"))).unwrap_or_default(),
    );
    errs.extend(items(schema).map(|s| complete(s, &path.child("items"))).unwrap_or_default());
    errs.extend(values(schema).map(|s| complete(s, &path.child("additionalProperties"))).unwrap_or_default());
    for (name, property) in schema.properties.iter().flatten() {
        errs.extend(complete(property, &path.child("properties").key(name)));
    }
    errs
}

/// `narrow`, at `from`, names only what `schema`, at `path`, has.
fn specified(narrow: &JSONSchemaProps, schema: &JSONSchemaProps, path: &Path, from: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let missing =
        |path: &Path, from: &Path| Error::required(path, format!("because it is defined in {from}"));
    if let Some(narrow) = items(narrow) {
        let (path, from) = (path.child("items"), from.child("items"));
        match items(schema) {
            Some(schema) => errs.extend(specified(narrow, schema, &path, &from)),
            None => errs.push(missing(&path, &from)),
        }
    }
    for (name, narrow) in narrow.properties.iter().flatten() {
        let (path, from) = (path.child("properties").key(name), from.child("properties").key(name));
        let found = schema.properties.as_ref().and_then(|p| p.get(name)).or_else(|| values(schema));
        match found {
            Some(schema) => errs.extend(specified(narrow, schema, &path, &from)),
            None => errs.push(missing(&path, &from)),
        }
    }
    for (field, list) in [("allOf", &narrow.all_of), ("anyOf", &narrow.any_of), ("oneOf", &narrow.one_of)] {
        for (i, one) in list.iter().flatten().enumerate() {
            errs.extend(specified(one, schema, path, &from.child(field).index(i)));
        }
    }
    errs.extend(
        narrow.not.as_ref().map(|s| specified(s, schema, path, &from.child("not"))).unwrap_or_default(),
    );
    errs
}

//! The paths of the resources and what can be done there.

use resources::Resource;
use serde_json::{Map, Value, json};

use super::Version;
use crate::pipeline::subresources::{self, Subresource};

/// `/api/v1`, `/apis/apps/v1`, …
pub(super) fn base(resource: &Resource) -> String {
    match (&*resource.gvr.group, &*resource.gvr.version) {
        ("", version) => format!("/api/{version}"),
        (group, version) => format!("/apis/{group}/{version}"),
    }
}

/// All paths of the resources.
pub(super) fn paths(version: Version, resources: &[&Resource]) -> Map<String, Value> {
    let mut paths = Map::new();
    for resource in resources {
        let plural = &resource.gvr.resource;
        let place = match resource.namespaced() {
            true => format!("{}/namespaces/{{namespace}}/{plural}", base(resource)),
            false => format!("{}/{plural}", base(resource)),
        };
        let all = format!("{}/{plural}", base(resource));
        if resource.namespaced() && resource.verbs.contains(&"list") {
            let mut everywhere = item(version, resource, &["list"], None);
            everywhere["get"]["operationId"] =
                json!(format!("{}ForAllNamespaces", operation_id(resource, "list", None, "")));
            paths.insert(all, everywhere);
        }
        let mut collection = item(version, resource, &["list", "create", "deletecollection"], None);
        place_parameters(version, &mut collection, &place);
        paths.insert(place.clone(), collection);
        if resource.verbs.contains(&"get") {
            let one = format!("{place}/{{name}}");
            let mut verbs = item(version, resource, &["get", "update", "patch", "delete"], None);
            place_parameters(version, &mut verbs, &one);
            paths.insert(one, verbs);
        }
        for name in resource.subresources {
            if let Some(sub) = subresources::find(resource, name) {
                let path = format!("{place}/{{name}}/{name}");
                let mut verbs = item(version, resource, sub.verbs, Some(sub));
                place_parameters(version, &mut verbs, &path);
                paths.insert(path, verbs);
            }
        }
    }
    paths
}

/// The parts of a path that vary.
fn place_parameters(version: Version, item: &mut Value, path: &str) {
    let parameter = |(name, kind): (&str, &str)| {
        let text = format!("{name} of the {kind}");
        match version {
            Version::V3 => json!({
                "name": name, "in": "path", "required": true, "description": text,
                "schema": {"type": "string", "uniqueItems": true},
            }),
            Version::V2 => json!({
                "name": name, "in": "path", "required": true, "description": text, "type": "string", "uniqueItems": true,
            }),
        }
    };
    let known = [("name", "object"), ("namespace", "object")];
    let found: Vec<Value> =
        known.into_iter().filter(|(name, _)| path.contains(&format!("{{{name}}}"))).map(parameter).collect();
    if !found.is_empty() {
        item["parameters"] = json!(found);
    }
}

/// As upstream calls an operation: `readCoreV1NamespacedPodStatus`.
fn operation_id(resource: &Resource, verb: &str, sub: Option<&Subresource>, namespaced: &str) -> String {
    let group = match &*resource.gvr.group {
        "" => "core",
        group => group.trim_end_matches(".k8s.io"),
    };
    let group: String = group.split('.').map(capitalized).collect();
    let version = capitalized(&resource.gvr.version);
    let kind = &resource.gvk.kind;
    let sub = sub.map(|s| capitalized(s.path.1)).unwrap_or_default();
    let (action, collection) = match verb {
        "get" => ("read", ""),
        "update" => ("replace", ""),
        "deletecollection" => ("delete", "Collection"),
        verb => (verb, ""),
    };
    format!("{action}{group}{version}{collection}{namespaced}{kind}{sub}")
}

fn capitalized(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn item(version: Version, resource: &Resource, verbs: &[&str], sub: Option<&Subresource>) -> Value {
    let mut item = Map::new();
    for verb in verbs {
        let served = sub.is_some() || resource.verbs.contains(verb);
        let method = match *verb {
            "get" | "list" => "get",
            "create" => "post",
            "update" => "put",
            "patch" => "patch",
            "delete" | "deletecollection" => "delete",
            _ => continue,
        };
        if served {
            item.insert(method.to_owned(), operation(version, resource, verb, sub));
        }
    }
    Value::Object(item)
}

fn operation(version: Version, resource: &Resource, verb: &str, sub: Option<&Subresource>) -> Value {
    let own = (&*resource.gvk.group, &*resource.gvk.version, &*resource.gvk.kind);
    let (group, api_version, kind) = sub.and_then(|s| s.kind).unwrap_or(own);
    let of = super::schemas::name_of(group, api_version, kind).unwrap_or_default();
    let namespaced = if resource.namespaced() { "Namespaced" } else { "" };
    let shown = match verb {
        "list" => format!("{of}List"),
        _ => of.clone(),
    };
    let action = match verb {
        "create" => "post",
        "update" => "put",
        verb => verb,
    };
    let mut operation = json!({
        "operationId": operation_id(resource, verb, sub, namespaced),
        "parameters": parameters(version, verb),
        "responses": {"200": response(version, &shown)},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {"group": group, "version": api_version, "kind": kind},
    });
    if let Some(body) = body(verb, &of) {
        add_body(version, &mut operation, &body);
    }
    operation
}

fn body(verb: &str, of: &str) -> Option<String> {
    match verb {
        "create" | "update" => Some(of.to_owned()),
        "patch" => Some("io.k8s.apimachinery.pkg.apis.meta.v1.Patch".into()),
        "delete" | "deletecollection" => Some("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions".into()),
        _ => None,
    }
}

fn add_body(version: Version, operation: &mut Value, of: &str) {
    let schema = json!({"$ref": version.reference(of)});
    match version {
        Version::V3 => operation["requestBody"] = json!({"content": {"*/*": {"schema": schema}}}),
        Version::V2 => {
            if let Some(parameters) = operation["parameters"].as_array_mut() {
                parameters.push(json!({"name": "body", "in": "body", "schema": schema}));
            }
        }
    }
}

fn response(version: Version, of: &str) -> Value {
    let schema = json!({"$ref": version.reference(of)});
    match version {
        Version::V3 => json!({
            "description": "OK",
            "content": {"application/json": {"schema": schema}, "application/yaml": {"schema": schema}},
        }),
        Version::V2 => json!({"description": "OK", "schema": schema}),
    }
}

/// The query parameters of a verb.
fn parameters(version: Version, verb: &str) -> Vec<Value> {
    const WRITE: &[(&str, &str)] =
        &[("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string")];
    const LIST: &[(&str, &str)] = &[
        ("allowWatchBookmarks", "boolean"),
        ("continue", "string"),
        ("fieldSelector", "string"),
        ("labelSelector", "string"),
        ("limit", "integer"),
        ("resourceVersion", "string"),
        ("resourceVersionMatch", "string"),
        ("sendInitialEvents", "boolean"),
        ("timeoutSeconds", "integer"),
        ("watch", "boolean"),
    ];
    const DELETE: &[(&str, &str)] = &[
        ("dryRun", "string"),
        ("gracePeriodSeconds", "integer"),
        ("orphanDependents", "boolean"),
        ("propagationPolicy", "string"),
    ];
    let own: &[(&str, &str)] = match verb {
        "create" | "update" | "patch" => WRITE,
        "list" => LIST,
        "delete" | "deletecollection" => DELETE,
        _ => &[],
    };
    let parameter = |(name, kind): &(&str, &str)| match version {
        Version::V3 => json!({"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": true}}),
        Version::V2 => json!({"name": name, "in": "query", "type": kind, "uniqueItems": true}),
    };
    own.iter().chain([("pretty", "string")].iter()).map(parameter).collect()
}

//! What OpenAPI definitions of custom resources say about their fields: labels, annotations, references to others.

use serde_json::Value;

use super::paths::Spec;
use super::resource::Gvk;
use super::specs::Specs;

/// Deeper definitions are not looked into: they may hold themselves.
const DEPTH_MAX: usize = 16;

/// Adds what a file of definitions says.
pub fn learn(definitions: &Value, specs: &mut Specs) {
    let Some(all) = definitions.as_object() else { return };
    for (name, definition) in all {
        let schema = schema_of(definition);
        let properties = &schema["properties"];
        if properties["apiVersion"].is_object()
            && properties["kind"].is_object()
            && properties["metadata"].is_object()
        {
            let kind = name.rsplit('.').next().unwrap_or(name);
            let gvk = Gvk { kind: kind.to_owned(), ..Gvk::default() };
            visit(definitions, schema, &gvk, "", 0, specs);
        }
    }
}

fn schema_of(definition: &Value) -> &Value {
    if definition["Schema"].is_object() { &definition["Schema"] } else { definition }
}

fn visit(all: &Value, schema: &Value, gvk: &Gvk, path: &str, depth: usize, specs: &mut Specs) {
    if depth > DEPTH_MAX {
        return;
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let here = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
        let says = |key: &str| !property[key].is_null();
        let spec = |path: &str| Spec::new(gvk.clone(), path, false);
        if says("x-kubernetes-annotation") {
            specs.annotations.push(spec(&here));
        }
        if says("x-kubernetes-label-selector") {
            specs.common_labels.push(spec(&here));
        }
        if says("x-kubernetes-identity") {
            specs.prefix.push(spec(&here));
        }
        if let (Some(version), Some(kind)) = (
            property["x-kubernetes-object-ref-api-version"].as_str(),
            property["x-kubernetes-object-ref-kind"].as_str(),
        ) {
            let key = property["x-kubernetes-object-ref-name-key"].as_str().unwrap_or("name");
            let target = Gvk { version: version.to_owned(), kind: kind.to_owned(), group: String::new() };
            specs.refer(target, vec![spec(&format!("{here}/{key}"))]);
        }
        let inner = match property["$ref"].as_str().or(property["items"]["$ref"].as_str()) {
            Some(name) => {
                let name = name.trim_start_matches("#/definitions/");
                schema_of(&all[name])
            }
            None if property["items"].is_object() => &property["items"],
            None => property,
        };
        visit(all, inner, gvk, &here, depth + 1, specs);
    }
}

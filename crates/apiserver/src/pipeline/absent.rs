//! Kinds that are not served, of which clients want to know all the same that there are none.

use apimachinery::Status;
use registry::Registry;
use serde_json::{Value, json};

use super::call::{Answer, Outcome, Shown, Verb};
use super::dispatch::method_not_allowed;
use super::path::ResourcePath;

/// Group, version, plural, kind. They are in no discovery document, and none can be made.
///
/// kubectl lists custom resource definitions before it says of a manifest that nobody knows its kind.
const ABSENT: &[(&str, &str, &str, &str)] =
    &[("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition")];

/// An empty list for who asks for one, a refusal for anything else; `None` for all other paths.
pub fn answer(registry: &Registry, verb: Verb, path: &ResourcePath) -> Option<Result<Outcome, Status>> {
    let (group, version, _, kind) =
        ABSENT.iter().find(|(g, v, r, _)| (*g, *v, *r) == (&*path.group, &*path.version, &*path.resource))?;
    if registry.serves_version(group, version) {
        return None;
    }
    Some(match verb {
        Verb::List => Ok(empty(&format!("{group}/{version}"), kind)),
        _ => Err(method_not_allowed()),
    })
}

fn empty(api_version: &str, kind: &str) -> Outcome {
    let list: Value = json!({
        "kind": format!("{kind}List"), "apiVersion": api_version,
        "metadata": {"resourceVersion": "1"},
        "items": [],
    });
    Answer::Object { code: 200, object: Shown { resource: None, json: list.to_string().into() } }.into()
}

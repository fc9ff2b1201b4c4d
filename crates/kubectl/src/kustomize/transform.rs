//! The simple transformers: prefixes, namespaces, labels, annotations, images, replicas, hashes. Values in, values changed.

use regex::Regex;
use serde_json::{Map, Value};

use super::Res;
use super::paths::{self, Make, Spec};
use super::resource::{Gvk, Resource, Set};
use super::specs::Specs;

/// Names of these stay as they are: others find them by name.
const NEVER_RENAMED: [&str; 3] = ["CustomResourceDefinition", "APIService", "Namespace"];

/// Puts a text before names, or after them.
pub fn affix(set: &mut Set, text: &str, after: bool, specs: &[Spec]) -> Res<()> {
    if text.is_empty() {
        return Ok(());
    }
    for resource in &mut set.0 {
        let original = resource.original();
        if NEVER_RENAMED.contains(&original.gvk.kind.as_str()) {
            continue;
        }
        for spec in specs.iter().filter(|spec| original.gvk.is_selected(&spec.gvk)) {
            if spec.path == "metadata/name" {
                let list = if after { &mut resource.suffixes } else { &mut resource.prefixes };
                list.push(text.to_owned());
                resource.remember();
            }
            paths::change(&mut resource.value, spec, Make::Text, &mut |value| {
                if let Some(old) = value.as_str() {
                    *value =
                        Value::String(if after { format!("{old}{text}") } else { format!("{text}{old}") });
                }
                Ok(())
            })?;
        }
    }
    Ok(())
}

/// Puts everything that can be in a namespace into one.
pub fn namespace(set: &mut Set, namespace: &str, specs: &[Spec], only_unset: bool) -> Res<()> {
    if namespace.is_empty() {
        return Ok(());
    }
    for at in 0..set.0.len() {
        let resource = &mut set.0[at];
        resource.remember();
        let gvk = resource.gvk();
        let mut put = |value: &mut Value| {
            if !only_unset || value.as_str().is_none_or(str::is_empty) {
                *value = Value::String(namespace.to_owned());
            }
            Ok(())
        };
        let binding = matches!(gvk.kind.as_str(), "RoleBinding" | "ClusterRoleBinding");
        if !gvk.is_cluster_scoped() {
            let spec = Spec::new(Gvk::default(), "metadata/namespace", true);
            paths::change(&mut resource.value, &spec, Make::Text, &mut put)?;
        }
        if binding {
            let subjects = resource.value["subjects"].as_array_mut();
            for subject in subjects.into_iter().flatten().filter_map(Value::as_object_mut) {
                if subject.get("name").and_then(Value::as_str) == Some("default") {
                    put(subject.entry("namespace").or_insert(Value::Null))?;
                }
            }
        }
        let others =
            specs.iter().filter(|s| s.path != "metadata/namespace" && !(binding && s.path == "subjects"));
        for spec in others {
            paths::change(&mut resource.value, spec, Make::Text, &mut put)?;
        }
        let id = set.0[at].id();
        if set.0.iter().filter(|r| r.id().same(&id)).count() != 1 {
            let all: Vec<String> =
                set.0.iter().filter(|r| r.id().same(&id)).map(|r| r.id().to_string()).collect();
            return Err(format!("namespace transformation produces ID conflict: [{}]", all.join(" ")));
        }
    }
    Ok(())
}

/// Labels or annotations.
pub fn texts(set: &mut Set, pairs: &Map<String, Value>, specs: &[Spec]) -> Res<()> {
    if pairs.is_empty() {
        return Ok(());
    }
    for resource in &mut set.0 {
        for spec in specs {
            paths::change(&mut resource.value, spec, Make::Map, &mut |value| match value {
                Value::Object(map) => {
                    map.extend(pairs.iter().map(|(k, v)| (k.clone(), v.clone())));
                    Ok(())
                }
                _ => Err("expected mapping node".into()),
            })?;
        }
    }
    Ok(())
}

/// The `labels` of a kustomization: where each goes is said by itself.
pub fn labels(set: &mut Set, label: &Value, specs: &Specs) -> Res<()> {
    let is = |key: &str| label[key].as_bool().unwrap_or(false);
    let mut into: Vec<Spec> = label["fields"].as_array().into_iter().flatten().map(Spec::read).collect();
    let defaults = match (is("includeSelectors"), is("includeTemplates")) {
        (true, _) => &specs.common_labels,
        (false, true) => &specs.template_labels,
        (false, false) => &specs.labels,
    };
    for spec in defaults.iter().chain(&specs.labels) {
        if !into.contains(spec) {
            into.push(spec.clone());
        }
    }
    match label["pairs"].as_object() {
        Some(pairs) => texts(set, pairs, &into),
        None => Ok(()),
    }
}

/// An image's parts: name, tag, digest.
fn split_image(image: &str) -> (&str, &str, &str) {
    let start = image.find('/').unwrap_or(0);
    let at = |c: char| image[start..].find(c).map(|found| found + start);
    match (at(':'), at('@')) {
        (None, None) => (image, "", ""),
        (Some(tag), None) => (&image[..tag], &image[tag + 1..], ""),
        (Some(tag), Some(digest)) if tag < digest => {
            (&image[..tag], &image[tag + 1..digest], &image[digest + 1..])
        }
        (_, Some(digest)) => (&image[..digest], "", &image[digest + 1..]),
    }
}

/// What becomes of an image's name.
fn changed_image(image: &str, to: &Value) -> String {
    let text = |key: &str| to[key].as_str().unwrap_or_default();
    let (mut name, tag, mut digest) = split_image(image);
    let mut tag = tag.to_owned();
    if !text("newName").is_empty() {
        name = text("newName");
    }
    match (text("newTag"), text("digest"), text("tagSuffix")) {
        ("", "", "") => {}
        ("", "", suffix) => {
            tag.push_str(suffix);
            digest = "";
        }
        (new_tag, new_digest, _) => {
            tag = new_tag.to_owned();
            digest = new_digest;
        }
    }
    let tag = if tag.is_empty() { tag } else { format!(":{tag}") };
    let digest = if digest.is_empty() { String::new() } else { format!("@{digest}") };
    format!("{name}{tag}{digest}")
}

/// Changes images of that name, wherever containers are.
pub fn images(set: &mut Set, to: &Value, specs: &[Spec]) -> Res<()> {
    let name = to["name"].as_str().unwrap_or_default();
    let tail = "(:[a-zA-Z0-9_.{}-]*)?(@sha256:[a-zA-Z0-9_.{}-]*)?$";
    let Ok(fits) = Regex::new(&format!("^{name}{tail}")) else { return Ok(()) };
    let change = |value: &mut Value| {
        if let Some(image) = value.as_str().filter(|image| fits.is_match(image)) {
            *value = Value::String(changed_image(image, to));
        }
        Ok(())
    };
    for resource in &mut set.0 {
        if resource.kind() == "CustomResourceDefinition" {
            continue;
        }
        containers(&mut resource.value, &change)?;
        for spec in specs {
            paths::change(&mut resource.value, spec, Make::Nothing, &mut |value| change(value))?;
        }
    }
    Ok(())
}

fn containers(value: &mut Value, change: &impl Fn(&mut Value) -> Res<()>) -> Res<()> {
    match value {
        Value::Array(list) => list.iter_mut().try_for_each(|item| containers(item, change)),
        Value::Object(map) => map.iter_mut().try_for_each(|(key, inner)| {
            if matches!(key.as_str(), "containers" | "initContainers")
                && let Value::Array(list) = &mut *inner
            {
                list.iter_mut().filter_map(|c| c.get_mut("image")).try_for_each(change)?;
            }
            containers(inner, change)
        }),
        _ => Ok(()),
    }
}

/// Sets how many replicas the workloads of a name have.
pub fn replicas(set: &mut Set, replica: &Value, specs: &[Spec]) -> Res<()> {
    let name = replica["name"].as_str().unwrap_or_default();
    let mut found = false;
    for spec in specs {
        for resource in &mut set.0 {
            if !resource.was(|id| id.name == name && id.gvk.is_selected(&spec.gvk)) {
                continue;
            }
            found = true;
            let count = replica["count"].as_i64().unwrap_or_default();
            paths::change(&mut resource.value, spec, Make::Text, &mut |value| {
                *value = count.into();
                Ok(())
            })?;
        }
    }
    if !found {
        let all: Vec<String> = specs.iter().map(|spec| spec.gvk.to_string()).collect();
        let all = all.join(" ");
        return Err(format!(
            "resource with name {name} does not match a config with the following GVK [{all}]"
        ));
    }
    Ok(())
}

/// Ends names of generated resources in a hash of what is in them.
pub fn hashes(set: &mut Set) {
    for resource in set.0.iter_mut().filter(|r| r.hashed) {
        let hash = hash(resource);
        resource.remember();
        let name = format!("{}-{hash}", resource.name());
        resource.set_name(&name);
    }
}

fn hash(resource: &Resource) -> String {
    // Unlike `kubectl create --append-hash`, a name is no part of what is hashed.
    let mut value = resource.value.clone();
    value["metadata"]["name"] = "".into();
    crate::verbs::hash_of(&value)
}

//! Built-in plugins that have a configuration of their own, instead of a field of the kustomization. Others are refused.

use serde_json::{Map, Value};

use super::Res;
use super::generate;
use super::load::Loader;
use super::patch::{self, Patch};
use super::paths::{self, Make, Spec};
use super::replace;
use super::resource::{Gvk, Resource, Set};
use super::select::Target;
use super::transform;

/// Why a plugin is none of ours.
fn unknown(config: &Value) -> String {
    let gvk = Gvk::of(config);
    match config["apiVersion"].as_str() {
        Some("builtin") => format!("unable to load builtin {gvk}"),
        _ => format!("external plugins disabled; unable to load external plugin '{}'", gvk.kind),
    }
}

/// What a configured generator makes.
pub fn generate(config: &Value, loader: &Loader) -> Res<Resource> {
    let kind = match (config["apiVersion"].as_str(), config["kind"].as_str()) {
        (Some("builtin"), Some("ConfigMapGenerator")) => "ConfigMap",
        (Some("builtin"), Some("SecretGenerator")) => "Secret",
        _ => return Err(unknown(config)),
    };
    let mut args = config.clone();
    for key in ["name", "namespace"] {
        if !config["metadata"][key].is_null() {
            args[key] = config["metadata"][key].clone();
        }
    }
    generate::generate(kind, &args, &Value::Null, loader)
}

/// Runs a configured transformer.
pub fn transform(config: &Value, loader: &Loader, document: Option<&Value>, set: &mut Set) -> Res<()> {
    if config["apiVersion"] != "builtin" {
        return Err(unknown(config));
    }
    let specs: Vec<Spec> = config["fieldSpecs"].as_array().into_iter().flatten().map(Spec::read).collect();
    let text = |key: &str| config[key].as_str().unwrap_or_default();
    let map = |key: &str| config[key].as_object().cloned().unwrap_or_else(Map::new);
    match config["kind"].as_str().unwrap_or_default() {
        "PrefixTransformer" => transform::affix(set, text("prefix"), false, &specs),
        "SuffixTransformer" => transform::affix(set, text("suffix"), true, &specs),
        "PrefixSuffixTransformer" => {
            transform::affix(set, text("prefix"), false, &specs)?;
            transform::affix(set, text("suffix"), true, &specs)
        }
        "NamespaceTransformer" => {
            let namespace = config["metadata"]["namespace"].as_str().unwrap_or_else(|| text("namespace"));
            let only_unset = config["unsetOnly"].as_bool().unwrap_or(false);
            transform::namespace(set, namespace, &specs, only_unset)
        }
        "LabelTransformer" => transform::texts(set, &map("labels"), &specs),
        "AnnotationsTransformer" => transform::texts(set, &map("annotations"), &specs),
        "ImageTagTransformer" => transform::images(set, &config["imageTag"], &specs),
        "ReplicaCountTransformer" => transform::replicas(set, &config["replica"], &specs),
        "PatchTransformer" => Patch::read(&plain(config), loader)?.apply(set, document),
        "PatchStrategicMergeTransformer" => patch::strategic_list(config, loader, set, document),
        "PatchJson6902Transformer" => patch::json_item(&plain(config), loader, set),
        "ReplacementTransformer" => {
            let all = config["replacements"].as_array().into_iter().flatten();
            all.into_iter().try_for_each(|one| replace::replace(one, loader, set))
        }
        "ValueAddTransformer" => add_value(config, set),
        "HashTransformer" => {
            transform::hashes(set);
            set.0.iter_mut().for_each(|r| r.hashed = false);
            Ok(())
        }
        "SortOrderTransformer" => super::order::sort(set, &config["sortOptions"]),
        _ => Err(unknown(config)),
    }
}

/// The configuration without what makes it a resource.
fn plain(config: &Value) -> Value {
    let mut config = config.clone();
    if let Some(map) = config.as_object_mut() {
        map.retain(|key, _| !matches!(key.as_str(), "apiVersion" | "kind" | "metadata"));
    }
    config
}

/// Puts a text into fields, or into a part of a path that fields hold.
fn add_value(config: &Value, set: &mut Set) -> Res<()> {
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let mut value = text(config, "value");
    if let Some(name) = config["targetFilePath"].as_str().and_then(|p| p.rsplit('/').next())
        && value.is_empty()
    {
        value = name.to_owned();
    }
    for target in config["targets"].as_array().into_iter().flatten() {
        let places = Target::read(&target["selector"])?.places(set)?;
        let field = text(target, "fieldPath");
        let spec = Spec::new(Gvk::default(), field, true);
        let position = target["filePathPosition"].as_u64().unwrap_or_default();
        for at in places {
            paths::change(&mut set.0[at].value, &spec, Make::Text, &mut |found| {
                *found = match (usize::try_from(position).unwrap_or_default(), found.as_str()) {
                    (0, _) | (_, None) => value.clone().into(),
                    (position, Some(old)) => placed(old, &value, position).into(),
                };
                Ok(())
            })?;
        }
    }
    Ok(())
}

/// The path with a part put in at a position, counted from one.
fn placed(path: &str, part: &str, position: usize) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    parts.insert((position - 1).min(parts.len()), part);
    format!("{}{}", if rooted { "/" } else { "" }, parts.join("/"))
}

//! Patches: strategic merges and JSON patches, for one resource or for all that a target selects. Start at [`Patch`].

use serde_json::{Value, json};

use super::Res;
use super::load::Loader;
use super::merge::{self, Schema};
use super::resource::{Id, Resource, Set};
use super::select::Target;
use super::text;

/// What the text of a patch is.
#[derive(Debug)]
enum Kind {
    Strategic(Vec<Value>),
    Json(Value),
}

/// A patch of a kustomization's `patches`.
#[derive(Debug)]
pub struct Patch {
    kind: Kind,
    /// As messages name it.
    source: String,
    target: Option<Value>,
    rename: bool,
    change_kind: bool,
}

/// The message of a built-in plugin whose configuration is wrong.
pub fn trouble(plugin: &str, config: &Value, why: &str) -> String {
    format!("trouble configuring builtin {plugin} with config: `\n{}`: {why}", text::shown(config))
}

/// The operations of a JSON patch, if it is one.
fn operations(text: &str) -> Option<Value> {
    // What begins like JSON has to be JSON.
    let value: Value = match text.trim_start().starts_with('[') {
        true => serde_json::from_str(text).ok()?,
        false => codec::yaml::to_value(text.as_bytes()).ok()?,
    };
    let is_operation = |item: &Value| item["op"].is_string() && item["path"].is_string();
    let list = value.as_array()?;
    (!list.is_empty() && list.iter().all(is_operation)).then(|| value.clone())
}

/// The objects of a strategic merge patch, if it is one.
fn merges(text: &str) -> Result<Vec<Value>, String> {
    let found = text::objects(text)?;
    let named = |v: &Value| v["kind"].is_string() && v["metadata"]["name"].is_string();
    match !found.is_empty() && found.iter().all(named) {
        true => Ok(found),
        false => Err("no object".into()),
    }
}

impl Patch {
    /// From an item of `patches` (or the configuration of the transformer).
    pub fn read(config: &Value, loader: &Loader) -> Res<Self> {
        let text = |key: &str| config[key].as_str().unwrap_or_default().trim_matches('\n');
        let (inline, path) = (text("patch"), text("path"));
        let wrong = |why: String| trouble("PatchTransformer", &tidy(config), &why);
        let (body, source) = match (inline, path) {
            ("", "") | (_, "") if inline.is_empty() => {
                let shown = text::shown(&tidy(config));
                return Err(wrong(format!("must specify one of patch and path in\n{}", shown.trim_end())));
            }
            (inline, "") => (inline.to_owned(), format!("[patch: {}]", crate::text::quote(inline))),
            ("", path) => {
                let body = loader
                    .text(path)
                    .map_err(|why| wrong(format!("failed to get the patch file from path({path}): {why}")))?;
                (body, format!("[path: {}]", crate::text::quote(path)))
            }
            _ => {
                let shown = text::shown(&tidy(config));
                return Err(wrong(format!(
                    "patch and path can't be set at the same time\n{}",
                    shown.trim_end()
                )));
            }
        };
        let kind = match (merges(&body), operations(&body)) {
            (Ok(merges), None) => Kind::Strategic(merges),
            (Err(_), Some(operations)) => Kind::Json(operations),
            _ => return Err(wrong(format!("unable to parse SM or JSON patch from {source}"))),
        };
        let target = match &config["target"] {
            Value::Null => None,
            target => Some(target.clone()),
        };
        let is = |key: &str| match &config["options"][key] {
            Value::Bool(is) => *is,
            Value::String(is) => is == "true",
            _ => false,
        };
        Ok(Patch { kind, source, target, rename: is("allowNameChange"), change_kind: is("allowKindChange") })
    }

    /// The places of the resources that the target selects.
    fn places(target: &Value, set: &Set) -> Res<Vec<usize>> {
        Target::read(target).and_then(|t| t.places(set)).map_err(|why| {
            let text = |key: &str| target[key].as_str().unwrap_or_default().to_owned();
            let gvk =
                super::resource::Gvk { group: text("group"), version: text("version"), kind: text("kind") };
            let id = Id { gvk, name: text("name"), namespace: text("namespace") };
            let (annotations, labels) = (text("annotationSelector"), text("labelSelector"));
            format!("unable to find patch target \"{id}:a={annotations}:l={labels}\" in `resources`: {why}")
        })
    }

    /// Changes the resources it is for.
    pub fn apply(&self, set: &mut Set, document: Option<&Value>) -> Res<()> {
        match (&self.kind, &self.target) {
            (Kind::Strategic(patches), None) => patches.iter().try_for_each(|patch| {
                let id = Resource::new(patch.clone()).id();
                let at = set
                    .find(&id)
                    .map_err(|why| format!("no resource matches strategic merge patch \"{id}\": {why}"))?;
                self.merge(set, at, patch, document);
                Ok(())
            }),
            (Kind::Strategic(patches), Some(target)) => {
                let [patch] = patches.as_slice() else {
                    return Err(format!(
                        "Multiple Strategic-Merge Patches in one `patches` entry is not allowed to set `patches.target` field: {}",
                        self.source
                    ));
                };
                for at in Patch::places(target, set)?.into_iter().rev() {
                    self.merge(set, at, patch, document);
                }
                Ok(())
            }
            (Kind::Json(_), None) => Err(format!("must specify a target for JSON patch {}", self.source)),
            (Kind::Json(operations), Some(target)) => {
                for at in Patch::places(target, set)? {
                    json(&mut set.0[at], operations)?;
                }
                Ok(())
            }
        }
    }

    fn merge(&self, set: &mut Set, at: usize, patch: &Value, document: Option<&Value>) {
        let mut patch = patch.clone();
        patch["apiVersion"] = set.0[at].value["apiVersion"].clone();
        strategic(set, at, patch, (self.rename, self.change_kind), document);
    }
}

/// A configuration without what is not set.
fn tidy(config: &Value) -> Value {
    let mut config = config.clone();
    if let Some(map) = config.as_object_mut() {
        map.retain(|_, value| !value.is_null());
    }
    config
}

/// Merges a patch into the resource at a place, which may go by it.
fn strategic(
    set: &mut Set,
    at: usize,
    patch: Value,
    (rename, change_kind): (bool, bool),
    document: Option<&Value>,
) {
    let resource = &mut set.0[at];
    let (name, namespace, kind) =
        (resource.name().to_owned(), resource.namespace().to_owned(), resource.value["kind"].clone());
    if rename || change_kind {
        resource.remember();
    }
    let schema = Schema::of(&resource.value, document);
    let Some(merged) = merge::merge(Some(resource.value.take()), patch, schema) else {
        set.0.remove(at);
        return;
    };
    resource.value = merged;
    if !change_kind {
        resource.value["kind"] = kind;
    }
    if !rename {
        resource.set_name(&name);
    }
    if let Some(meta) = resource.value["metadata"].as_object_mut() {
        match namespace.as_str() {
            "" => drop(meta.remove("namespace")),
            namespace => drop(meta.insert("namespace".into(), namespace.into())),
        }
    }
}

/// Applies the operations of a JSON patch, in the words of stock's library.
fn json(resource: &mut Resource, operations: &Value) -> Res<()> {
    resource.remember();
    for operation in operations.as_array().into_iter().flatten() {
        one(&mut resource.value, operation)?;
    }
    Ok(())
}

/// One operation; stock lets `replace` and `remove` of what is not there pass in objects.
fn one(value: &mut Value, operation: &Value) -> Res<()> {
    let (op, path) = (text_of(operation, "op"), text_of(operation, "path"));
    let missing = || {
        format!(
            "{op} operation does not apply: doc is missing path: {}: missing value",
            crate::text::quote(path)
        )
    };
    let (parent, key) = path.rsplit_once('/').unwrap_or(("", ""));
    if path.is_empty() {
        if op == "test" {
            return check(value, operation);
        }
        *value = operation["value"].clone();
        return Ok(());
    }
    let key = key.replace("~1", "/").replace("~0", "~");
    match op {
        "move" | "copy" => {
            let from = text_of(operation, "from");
            let found = value.pointer(from).cloned().ok_or_else(|| {
                format!(
                    "{op} operation does not apply: doc is missing from path: {}: missing value",
                    crate::text::quote(from)
                )
            })?;
            if op == "move" {
                one(value, &json!({ "op": "remove", "path": from }))?;
            }
            one(value, &json!({ "op": "add", "path": path, "value": found }))
        }
        "test" => match value.pointer(path) {
            Some(found) => check(found, operation),
            None if operation["value"].is_null() => Ok(()),
            None => Err(format!("testing path {path} failed: test failed")),
        },
        "add" | "replace" | "remove" => match value.pointer_mut(parent) {
            Some(Value::Object(map)) => {
                match op {
                    "remove" => {
                        if map.remove(&key).is_none() {
                            return Err(format!(
                                "error in remove for path: '{path}': Unable to remove nonexistent key: {key}: missing value"
                            ));
                        }
                    }
                    _ => drop(map.insert(key, operation["value"].clone())),
                }
                Ok(())
            }
            Some(Value::Array(list)) => element(list, op, &key, operation, path),
            _ => Err(missing()),
        },
        other => Err(format!("Unexpected kind: {other}")),
    }
}

fn text_of<'a>(operation: &'a Value, key: &str) -> &'a str {
    operation[key].as_str().unwrap_or_default()
}

fn check(found: &Value, operation: &Value) -> Res<()> {
    match *found == operation["value"] {
        true => Ok(()),
        false => Err(format!("testing value {} failed: test failed", text_of(operation, "path"))),
    }
}

fn element(list: &mut Vec<Value>, op: &str, key: &str, operation: &Value, path: &str) -> Res<()> {
    let count = list.len();
    if op == "add" && key == "-" {
        list.push(operation["value"].clone());
        return Ok(());
    }
    let index: i64 = key.parse().map_err(|_| {
        format!("{op} operation does not apply: error in {op} for path: '{path}': strconv.Atoi: parsing {}: invalid syntax", crate::text::quote(key))
    })?;
    let at = if index < 0 { index + count as i64 } else { index };
    let at = usize::try_from(at).ok().filter(|at| *at < count || op == "add" && *at == count);
    let Some(at) = at else {
        if op == "replace" {
            return Err(format!(
                "replace operation does not apply: doc is missing key: {path}: missing value"
            ));
        }
        return Err(format!(
            "{op} operation does not apply: error in {op} for path: '{path}': Unable to access invalid index: {index}: invalid index referenced"
        ));
    };
    match op {
        "add" => list.insert(at, operation["value"].clone()),
        "replace" => list[at] = operation["value"].clone(),
        _ => drop(list.remove(at)),
    }
    Ok(())
}

/// The old list of strategic merge patches: texts, or files.
pub fn strategic_list(config: &Value, loader: &Loader, set: &mut Set, document: Option<&Value>) -> Res<()> {
    let paths: Vec<&str> =
        config["paths"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut patches = Vec::new();
    for path in &paths {
        match merges(path) {
            Ok(found) => patches.extend(found),
            Err(_) => {
                let read = loader.text(path).and_then(|body| text::objects(&body));
                patches.extend(read.map_err(|why| trouble("PatchStrategicMergeTransformer", config, &why))?);
            }
        }
    }
    if let Some(inline) = config["patches"].as_str() {
        patches
            .extend(merges(inline).map_err(|why| trouble("PatchStrategicMergeTransformer", config, &why))?);
    }
    for patch in patches {
        let at = set.find(&Resource::new(patch.clone()).id())?;
        strategic(set, at, patch, (false, false), document);
    }
    Ok(())
}

/// An item of the old list of JSON patches: for one resource.
pub fn json_item(config: &Value, loader: &Loader, set: &mut Set) -> Res<()> {
    const PLUGIN: &str = "PatchJson6902Transformer";
    let wrong = |why: String| trouble(PLUGIN, config, &why);
    let text = |key: &str| config["target"][key].as_str().unwrap_or_default().to_owned();
    if config["target"].is_null() || text("name").is_empty() {
        return Err(wrong("must specify the target name".into()));
    }
    let body = match (config["path"].as_str(), config["jsonOp"].as_str().or(config["patch"].as_str())) {
        (Some(path), None) => loader.text(path).map_err(wrong)?,
        (None, Some(inline)) => inline.to_owned(),
        (None, None) => return Err(wrong("empty file path and empty jsonOp".into())),
        _ => return Err(wrong("must specify a file path or jsonOp, not both".into())),
    };
    let operations = operations(&body).ok_or_else(|| wrong("patch is not a list of operations".into()))?;
    for at in Patch::places(&config["target"], set)? {
        json(&mut set.0[at], &operations)?;
    }
    Ok(())
}

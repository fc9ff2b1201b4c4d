//! The file itself: found, read strictly, and what is deprecated in it. Start at [`load`].

use serde_json::{Map, Value, json};

use super::Res;
use super::load::Loader;

/// What a field holds; for Go's words about what it should.
#[derive(Debug)]
enum Shape {
    Text,
    Yes,
    Int,
    Any,
    Texts,
    TextMap,
    List(&'static Struct),
    One(&'static Struct),
}

/// A struct's Go name, and its fields.
#[derive(Debug)]
struct Struct(&'static str, &'static [(&'static str, Shape)]);

use Shape::{Any, Int, List, One, Text, TextMap, Texts, Yes};

static META: Struct = Struct(
    "ObjectMeta",
    &[("name", Text), ("namespace", Text), ("labels", TextMap), ("annotations", TextMap)],
);
static OPTIONS: Struct = Struct(
    "GeneratorOptions",
    &[("labels", TextMap), ("annotations", TextMap), ("disableNameSuffixHash", Yes), ("immutable", Yes)],
);
static CONFIG_MAP: Struct = Struct(
    "ConfigMapArgs",
    &[
        ("namespace", Text),
        ("name", Text),
        ("behavior", Text),
        ("literals", Texts),
        ("files", Texts),
        ("envs", Texts),
        ("env", Text),
        ("options", One(&OPTIONS)),
    ],
);
static SECRET: Struct = Struct(
    "SecretArgs",
    &[
        ("namespace", Text),
        ("name", Text),
        ("behavior", Text),
        ("literals", Texts),
        ("files", Texts),
        ("envs", Texts),
        ("env", Text),
        ("options", One(&OPTIONS)),
        ("type", Text),
    ],
);
static SELECTOR: Struct = Struct(
    "Selector",
    &[
        ("group", Text),
        ("version", Text),
        ("kind", Text),
        ("name", Text),
        ("namespace", Text),
        ("annotationSelector", Text),
        ("labelSelector", Text),
    ],
);
static PATCH: Struct =
    Struct("Patch", &[("path", Text), ("patch", Text), ("target", One(&SELECTOR)), ("options", Any)]);
static FIELD_SPEC: Struct = Struct(
    "FieldSpec",
    &[("group", Text), ("version", Text), ("kind", Text), ("path", Text), ("create", Yes)],
);
static LABEL: Struct = Struct(
    "Label",
    &[
        ("pairs", TextMap),
        ("includeSelectors", Yes),
        ("includeTemplates", Yes),
        ("fields", List(&FIELD_SPEC)),
    ],
);
static IMAGE: Struct = Struct(
    "Image",
    &[("name", Text), ("newName", Text), ("newTag", Text), ("tagSuffix", Text), ("digest", Text)],
);
static REPLICA: Struct = Struct("Replica", &[("name", Text), ("count", Int)]);
static FIELD_OPTIONS: Struct = Struct(
    "FieldOptions",
    &[("delimiter", Text), ("index", Int), ("encoding", Text), ("create", Yes), ("formatPath", Text)],
);
static SOURCE: Struct = Struct(
    "SourceSelector",
    &[
        ("group", Text),
        ("version", Text),
        ("kind", Text),
        ("name", Text),
        ("namespace", Text),
        ("fieldPath", Text),
        ("options", One(&FIELD_OPTIONS)),
    ],
);
static TARGET: Struct = Struct(
    "TargetSelector",
    &[
        ("select", One(&SELECTOR)),
        ("reject", List(&SELECTOR)),
        ("fieldPaths", Texts),
        ("options", One(&FIELD_OPTIONS)),
    ],
);
static REPLACEMENT: Struct = Struct(
    "ReplacementField",
    &[("path", Text), ("source", One(&SOURCE)), ("sourceValue", Text), ("targets", List(&TARGET))],
);
static TARGET_REF: Struct = Struct(
    "Target",
    &[
        ("apiVersion", Text),
        ("group", Text),
        ("version", Text),
        ("kind", Text),
        ("name", Text),
        ("namespace", Text),
    ],
);
static FIELD_REF: Struct = Struct("FieldSelector", &[("fieldPath", Text)]);
static VARIABLE: Struct =
    Struct("Var", &[("name", Text), ("objref", One(&TARGET_REF)), ("fieldref", One(&FIELD_REF))]);

static KUSTOMIZATION: Struct = Struct(
    "Kustomization",
    &[
        ("kind", Text),
        ("apiVersion", Text),
        ("metadata", One(&META)),
        ("openapi", TextMap),
        ("namePrefix", Text),
        ("nameSuffix", Text),
        ("namespace", Text),
        ("commonLabels", TextMap),
        ("labels", List(&LABEL)),
        ("commonAnnotations", TextMap),
        ("patchesStrategicMerge", Texts),
        ("patchesJson6902", List(&PATCH)),
        ("patches", List(&PATCH)),
        ("images", List(&IMAGE)),
        ("imageTags", List(&IMAGE)),
        ("replacements", List(&REPLACEMENT)),
        ("replicas", List(&REPLICA)),
        ("vars", List(&VARIABLE)),
        ("sortOptions", Any),
        ("resources", Texts),
        ("components", Texts),
        ("crds", Texts),
        ("bases", Texts),
        ("configMapGenerator", List(&CONFIG_MAP)),
        ("secretGenerator", List(&SECRET)),
        ("helmGlobals", Any),
        ("helmCharts", Any),
        ("helmChartInflationGenerator", Any),
        ("generatorOptions", One(&OPTIONS)),
        ("configurations", Texts),
        ("generators", Texts),
        ("transformers", Texts),
        ("validators", Texts),
        ("buildMetadata", Texts),
    ],
);

/// The Go struct that a generator's fields are embedded from.
fn embedded(of: &str, field: &str) -> &'static str {
    match (of, field) {
        ("ConfigMapArgs" | "SecretArgs", "name" | "namespace" | "behavior" | "options") => "GeneratorArgs.",
        ("ConfigMapArgs" | "SecretArgs", "literals" | "files" | "envs" | "env") => {
            "GeneratorArgs.KvPairSources."
        }
        _ => "",
    }
}

struct Place<'p> {
    of: &'static str,
    path: &'p str,
}

fn wrong(value: &Value, place: &Place<'_>, wanted: &str) -> String {
    let have = match value {
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        _ => "number",
    };
    format!("json: cannot unmarshal {have} into Go struct field {}.{} of type {wanted}", place.of, place.path)
}

/// Checks, and puts names of fields as Go finds them, in any case, into ours.
fn check(value: &mut Value, shape: &Shape, place: &Place<'_>) -> Res<()> {
    match (shape, &mut *value) {
        (_, Value::Null) | (Any, _) | (Text, Value::String(_)) | (Yes, Value::Bool(_)) => Ok(()),
        (Int, Value::Number(n)) if n.is_i64() => Ok(()),
        (Text, other) => Err(wrong(other, place, "string")),
        (Yes, other) => Err(wrong(other, place, "bool")),
        (Int, other) => Err(wrong(other, place, "int64")),
        (Texts, Value::Array(list)) => match list.iter().find(|i| !i.is_string() && !i.is_null()) {
            Some(bad) => Err(wrong(bad, place, "string")),
            None => Ok(()),
        },
        (Texts, other) => Err(wrong(other, place, "[]string")),
        (TextMap, Value::Object(map)) => match map.values().find(|i| !i.is_string() && !i.is_null()) {
            Some(bad) => Err(wrong(bad, place, "string")),
            None => Ok(()),
        },
        (TextMap, other) => Err(wrong(other, place, "map[string]string")),
        (List(of), Value::Array(list)) => {
            list.iter_mut().try_for_each(|item| check_struct(item, of, place, false))
        }
        (List(of), other) => Err(wrong(other, place, &format!("[]types.{}", of.0))),
        (One(of), other) => check_struct(other, of, place, false),
    }
}

fn check_struct(value: &mut Value, of: &'static Struct, place: &Place<'_>, root: bool) -> Res<()> {
    let Value::Object(map) = value else {
        return match value {
            Value::Null => Ok(()),
            other => Err(wrong(other, place, &format!("types.{}", of.0))),
        };
    };
    let mut read = Map::new();
    for (key, mut inner) in std::mem::take(map) {
        let Some((name, shape)) = of.1.iter().find(|(name, _)| name.eq_ignore_ascii_case(&key)) else {
            return Err(format!("json: unknown field {}", crate::text::quote(&key)));
        };
        let here = format!("{}{name}", embedded(of.0, name));
        let path = if root { here } else { format!("{}.{here}", place.path) };
        check(&mut inner, shape, &Place { of: of.0, path: &path })?;
        if !inner.is_null() {
            read.insert((*name).to_owned(), inner);
        }
    }
    *map = read;
    Ok(())
}

const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Fields that will go, and what to use instead.
const DEPRECATED: [(&str, &str); 6] = [
    ("bases", "resources"),
    ("commonLabels", "labels"),
    ("imageTags", "images"),
    ("patchesJson6902", "patches"),
    ("patchesStrategicMerge", "patches"),
    ("vars", "replacements"),
];

/// The kustomization of a directory, and its file's name. Warnings go to `warn`.
pub fn load(loader: &Loader, warn: &mut dyn FnMut(&str)) -> Res<(Value, String)> {
    let found: Vec<(&str, Vec<u8>)> =
        NAMES.iter().filter_map(|name| loader.read(name).ok().map(|text| (*name, text))).collect();
    let root = loader.root().display();
    let (name, text) = match found.as_slice() {
        [] => {
            return Err(format!(
                "unable to find one of 'kustomization.yaml', 'kustomization.yml' or 'Kustomization' in directory '{root}'"
            ));
        }
        [one] => one,
        _ => return Err(format!("Found multiple kustomization files under: {root}\n")),
    };
    let invalid = |why: String| format!("invalid Kustomization: {why}");
    let mut value = match codec::yaml::to_value(text) {
        Ok(value) => value,
        Err(_) if text.trim_ascii().is_empty() => Value::Null,
        Err(why) => return Err(invalid(why)),
    };
    let empty = value.as_object().is_none_or(Map::is_empty);
    if !empty || !value.is_null() {
        check_struct(&mut value, &KUSTOMIZATION, &Place { of: "Kustomization", path: "" }, true)
            .map_err(invalid)?;
    }
    for (old, new) in DEPRECATED.iter().filter(|(old, _)| !value[old].is_null()) {
        let experimental = if *old == "vars" { " [EXPERIMENTAL]" } else { "" };
        warn(&format!(
            "# Warning: '{old}' is deprecated. Please use '{new}' instead.{experimental} Run 'kustomize edit fix' to update your Kustomization automatically."
        ));
    }
    // What it is called is nothing to do.
    if empty || value.as_object().is_some_and(|m| m.keys().all(|k| k == "kind" || k == "apiVersion")) {
        return Err("kustomization.yaml is empty".into());
    }
    repair(&mut value);
    enforce(&value, loader)?;
    Ok((value, (*name).to_owned()))
}

/// Old names of fields as the new ones.
fn repair(value: &mut Value) {
    let Value::Object(map) = value else { return };
    if let Some(Value::Array(bases)) = map.remove("bases") {
        let resources = map.entry("resources").or_insert_with(|| json!([]));
        resources.as_array_mut().into_iter().for_each(|list| list.extend(bases.iter().cloned()));
    }
    if let Some(Value::Array(tags)) = map.remove("imageTags") {
        let images = map.entry("images").or_insert_with(|| json!([]));
        images.as_array_mut().into_iter().for_each(|list| list.extend(tags.iter().cloned()));
    }
    for which in ["configMapGenerator", "secretGenerator"] {
        for args in map.get_mut(which).and_then(Value::as_array_mut).into_iter().flatten() {
            let Value::Object(args) = args else { continue };
            if let Some(env) = args.remove("env") {
                let envs = args.entry("envs").or_insert_with(|| json!([]));
                envs.as_array_mut().into_iter().for_each(|list| list.push(env.clone()));
            }
        }
    }
}

fn enforce(value: &Value, loader: &Loader) -> Res<()> {
    let text = |key: &str| value[key].as_str().unwrap_or_default();
    let kind = if text("kind").is_empty() { "Kustomization" } else { text("kind") };
    let mut errors = Vec::new();
    if kind != "Kustomization" && kind != "Component" {
        errors.push("kind should be Kustomization or Component".to_owned());
    }
    let required = match kind {
        "Component" => "kustomize.config.k8s.io/v1alpha1",
        _ => "kustomize.config.k8s.io/v1beta1",
    };
    if !text("apiVersion").is_empty() && text("apiVersion") != required {
        errors.push(format!("apiVersion for {kind} should be {required}"));
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "Failed to read kustomization file under {}:\n{}",
            loader.root().display(),
            errors.join("\n")
        )),
    }
}

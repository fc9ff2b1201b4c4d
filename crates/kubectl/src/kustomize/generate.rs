//! Config maps and secrets from files, literals and env files. Start at [`generate`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::Res;
use super::load::Loader;
use super::resource::{Behavior, Resource};

/// Stock breaks encoded values into lines of so many letters.
const LINE: usize = 70;

/// The resource that a generator's arguments describe. `options` are those of the whole kustomization.
pub fn generate(kind: &str, args: &Value, options: &Value, loader: &Loader) -> Res<Resource> {
    let secret = kind == "Secret";
    let text = |key: &str| args[key].as_str().unwrap_or_default();
    let name = text("name");
    if name.is_empty() {
        return Err("a configmap must have a name".into());
    }
    let mut value = json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": name } });
    if !text("namespace").is_empty() {
        value["metadata"]["namespace"] = text("namespace").into();
    }
    if secret {
        let kind = if text("type").is_empty() { "Opaque" } else { text("type") };
        value["type"] = kind.into();
    }
    let (mut data, mut binary) = (Map::new(), Map::new());
    for (key, bytes) in pairs(args, loader).map_err(|why| format!("loading KV pairs: {why}"))? {
        if data.contains_key(&key) || binary.contains_key(&key) {
            return Err(format!("configmap {name} illegally repeats the key `{key}`"));
        }
        match String::from_utf8(bytes) {
            Ok(text) if !secret => data.insert(key, text.into()),
            Ok(text) => data.insert(key, encoded(text.as_bytes()).into()),
            Err(bytes) if secret => data.insert(key, encoded(bytes.as_bytes()).into()),
            Err(bytes) => binary.insert(key, encoded(bytes.as_bytes()).into()),
        };
    }
    if secret || !data.is_empty() {
        value["data"] = Value::Object(data);
    }
    if !binary.is_empty() {
        value["binaryData"] = Value::Object(binary);
    }
    let own = &args["options"];
    for which in ["labels", "annotations"] {
        let all = [options, own].into_iter().filter_map(|o| o[which].as_object()).flatten();
        let all: Map<String, Value> = all.map(|(k, v)| (k.clone(), v.clone())).collect();
        if !all.is_empty() {
            value["metadata"][which] = Value::Object(all);
        }
    }
    let is = |key: &str| [options, own].iter().any(|o| o[key].as_bool().unwrap_or(false));
    if is("immutable") {
        value["immutable"] = true.into();
    }
    let behavior = match text("behavior") {
        "merge" => Behavior::Merge,
        "replace" => Behavior::Replace,
        _ => Behavior::Create,
    };
    Ok(Resource { behavior, hashed: !is("disableNameSuffixHash"), ..Resource::new(value) })
}

fn encoded(bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    if text.len() <= LINE {
        return text;
    }
    let lines: Vec<&str> =
        (0..text.len()).step_by(LINE).map(|at| &text[at..(at + LINE).min(text.len())]).collect();
    format!("{}\n", lines.join("\n"))
}

type Pairs = Vec<(String, Vec<u8>)>;

fn texts<'a>(args: &'a Value, key: &str) -> Vec<&'a str> {
    args[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn pairs(args: &Value, loader: &Loader) -> Res<Pairs> {
    let mut found = Pairs::new();
    let (envs, literals, files) = (texts(args, "envs"), texts(args, "literals"), texts(args, "files"));
    let all = |what: &str, sources: &[&str], why: String| format!("{what} [{}]: {why}", sources.join(" "));
    for path in &envs {
        env_file(&loader.read(path).map_err(|e| all("env source files:", &envs, e))?, &mut found)
            .map_err(|e| all("env source files:", &envs, e))?;
    }
    for literal in &literals {
        found.push(pair(literal).map_err(|e| all("literal sources", &literals, e))?);
    }
    for source in &files {
        let read = || -> Res<(String, Vec<u8>)> {
            let (key, path) = file(source)?;
            Ok((key, loader.read(path)?))
        };
        found.push(read().map_err(|e| all("file sources:", &files, e))?);
    }
    Ok(found)
}

fn pair(literal: &str) -> Res<(String, Vec<u8>)> {
    let Some((key, value)) = literal.split_once('=').filter(|(key, _)| !key.is_empty()) else {
        return Err(format!("invalid literal source {literal}, expected key=value"));
    };
    let bare = |q: char| value.len() >= 2 && value.starts_with(q) && value.ends_with(q);
    let value = if bare('"') || bare('\'') { &value[1..value.len() - 1] } else { value };
    Ok((key.to_owned(), value.as_bytes().to_vec()))
}

/// `key=path`, or a path, whose last part is the key.
fn file(source: &str) -> Res<(String, &str)> {
    match source.split_once('=') {
        None => Ok((source.rsplit('/').next().unwrap_or(source).to_owned(), source)),
        Some(("", path)) => Err(format!(
            "missing key name for file path {} in source {}",
            crate::text::quote(path),
            crate::text::quote(source)
        )),
        Some((key, "")) => Err(format!(
            "missing file path for key name {} in source {}",
            crate::text::quote(key),
            crate::text::quote(source)
        )),
        Some((_, path)) if path.contains('=') => {
            Err(format!("source {} key name or file path contains '='", crate::text::quote(source)))
        }
        Some((key, path)) => Ok((key.to_owned(), path)),
    }
}

/// `KEY=value` a line; a key alone takes its value from our own environment.
fn env_file(text: &[u8], found: &mut Pairs) -> Res<()> {
    let text = std::str::from_utf8(text).map_err(|_| "env file contains invalid utf-8 bytes".to_owned())?;
    for line in text.trim_start_matches('\u{feff}').lines() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = match line.split_once('=') {
            Some((key, value)) => (key, value.to_owned()),
            None => (line, std::env::var(line).unwrap_or_default()),
        };
        found.push((key.to_owned(), value.into_bytes()));
    }
    Ok(())
}

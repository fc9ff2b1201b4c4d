//! Manifests: from files, directories, URLs and stdin to objects. Start at [`read`].

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{self, Error, Result};

/// One object, and where it stood.
#[derive(Clone, Debug)]
pub struct Manifest {
    pub source: String,
    pub object: Value,
}

/// Reads everything that `-f` names.
pub fn read(files: &[String], recursive: bool) -> Result<Vec<Manifest>> {
    let mut all = Vec::new();
    let mut stdin_read = false;
    for file in files {
        if file == "-" {
            if std::mem::replace(&mut stdin_read, true) {
                return Err(Error::text("stdin can only be read once: give `-f -` once"));
            }
            let mut text = Vec::new();
            std::io::stdin().read_to_end(&mut text)?;
            parse(&text, "STDIN", &mut all)?;
        } else if file.starts_with("http://") || file.starts_with("https://") {
            let text = crate::fetch::url(file)?;
            parse(&text, file, &mut all)?;
        } else {
            for path in expand(file)? {
                read_path(&path, recursive, &mut all)?;
            }
        }
    }
    Ok(all)
}

/// A pattern's files; a name without stars is itself.
fn expand(pattern: &str) -> Result<Vec<PathBuf>> {
    if Path::new(pattern).exists() || !pattern.contains(['*', '?', '[']) {
        return Ok(vec![PathBuf::from(pattern)]);
    }
    let (dir, last) = pattern.rsplit_once('/').map_or((".", pattern), |(d, l)| (d, l));
    let mut found: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if matches(last.as_bytes(), name.as_bytes()) {
            found.push(if dir == "." && !pattern.starts_with("./") { name.into() } else { entry.path() });
        }
    }
    found.sort();
    match found.is_empty() {
        true => Err(Error::text(format!("the path \"{pattern}\" does not exist"))),
        false => Ok(found),
    }
}

/// Whether a name is of a pattern with `*` and `?`.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.first(), name.first()) {
        (None, None) => true,
        (Some(b'*'), _) => matches(&pattern[1..], name) || (!name.is_empty() && matches(pattern, &name[1..])),
        (Some(b'?'), Some(_)) => matches(&pattern[1..], &name[1..]),
        (Some(p), Some(n)) if p == n => matches(&pattern[1..], &name[1..]),
        _ => false,
    }
}

const ENDINGS: [&str; 3] = ["json", "yaml", "yml"];

fn read_path(path: &Path, recursive: bool, all: &mut Vec<Manifest>) -> Result<()> {
    let shown = path.display().to_string();
    let Ok(meta) = std::fs::metadata(path) else {
        return Err(Error::text(format!("the path \"{shown}\" does not exist")));
    };
    if !meta.is_dir() {
        let text = std::fs::read(path).map_err(|e| error::io("open", &shown, &e))?;
        return parse(&text, &shown, all);
    }
    let before = all.len();
    read_dir(path, recursive, all)?;
    if all.len() == before && !has_manifests(path, recursive) {
        return Err(Error::text(format!(
            "error reading [{shown}]: recognized file extensions are [.json .yaml .yml]"
        )));
    }
    Ok(())
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect();
    found.sort();
    found
}

fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|e| ENDINGS.iter().any(|known| e == *known))
}

fn has_manifests(dir: &Path, recursive: bool) -> bool {
    entries(dir).iter().any(|p| if p.is_dir() { recursive && has_manifests(p, true) } else { is_manifest(p) })
}

fn read_dir(dir: &Path, recursive: bool, all: &mut Vec<Manifest>) -> Result<()> {
    for path in entries(dir) {
        if path.is_dir() {
            if recursive {
                read_dir(&path, true, all)?;
            }
        } else if is_manifest(&path) {
            let shown = path.display().to_string();
            let text = std::fs::read(&path).map_err(|e| error::io("open", &shown, &e))?;
            parse(&text, &shown, all)?;
        }
    }
    Ok(())
}

/// The objects of a YAML or JSON stream; lists are taken apart.
pub fn parse(text: &[u8], source: &str, all: &mut Vec<Manifest>) -> Result<()> {
    for object in documents(text, source)? {
        add(object, source, all);
    }
    Ok(())
}

fn add(object: Value, source: &str, all: &mut Vec<Manifest>) {
    let list = object["kind"].as_str().is_some_and(|k| k.ends_with("List"));
    match (list, &object["items"]) {
        (true, Value::Array(items)) => items.iter().for_each(|item| add(item.clone(), source, all)),
        _ => all.push(Manifest { source: source.to_owned(), object }),
    }
}

/// The documents of a stream as values, each with kind and apiVersion.
pub fn documents(text: &[u8], source: &str) -> Result<Vec<Value>> {
    let parsing = |why: String| Error::text(format!("error parsing {source}: {why}"));
    let text = std::str::from_utf8(text).map_err(|_| parsing("yaml: invalid leading UTF-8 octet".into()))?;
    let mut found = Vec::new();
    if text.trim_start().starts_with('{') && !text.contains("\n---") {
        for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
            match value {
                Ok(value) => found.push(value),
                // What begins like JSON may still be YAML in flow style.
                Err(_) if found.is_empty() => {
                    let why =
                        |e: String| parsing(format!("error converting YAML to JSON: {}", yaml_words(&e)));
                    found.push(codec::yaml::to_value(text.as_bytes()).map_err(why)?);
                    break;
                }
                Err(e) => return Err(parsing(format!("json: line {}: {e}", e.line()))),
            }
        }
    } else {
        for document in codec::yaml::documents(text) {
            let value = codec::yaml::to_value(document.as_bytes())
                .map_err(|e| parsing(format!("error converting YAML to JSON: {}", yaml_words(&e))))?;
            if !value.is_null() {
                found.push(value);
            }
        }
    }
    for value in &found {
        let lacks = |what: &str| {
            let decoding = format!("Object '{what}' is missing in '{value}'");
            Error::text(format!("error validating \"{source}\": error validating data: {decoding}"))
        };
        if !value.is_object() {
            return Err(Error::text(format!(
                "unable to decode \"{source}\": json: cannot unmarshal {} into Go value of type unstructured.detector",
                go_type(value)
            )));
        }
        if value["kind"].as_str().unwrap_or_default().is_empty() {
            return Err(missing(source, value, "Kind"));
        }
        if value["apiVersion"].as_str().unwrap_or_default().is_empty() {
            return Err(validation(source, "apiVersion not set"));
        }
        let _ = lacks;
    }
    Ok(found)
}

fn missing(source: &str, value: &Value, what: &str) -> Error {
    let text = crate::print::json::compact(value);
    Error::text(format!("unable to decode \"{source}\": Object '{what}' is missing in '{text}'"))
}

fn validation(source: &str, what: &str) -> Error {
    Error::text(format!(
        "error validating \"{source}\": error validating data: {what}; if you choose to ignore these errors, turn validation off with --validate=false"
    ))
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "bool",
        _ => "null",
    }
}

/// The codec's words for what is wrong in a YAML text.
pub fn yaml_words(text: &str) -> String {
    text.to_owned()
}

//! kubeconfig files: found, merged, and read into where the server is and as whom to go there. Start at [`Config::load`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::command::Call;
use crate::error::{self, Error, Result};

pub mod access;
mod exec;

/// An entry (a cluster, a user, a context) and the file that it stands in.
#[derive(Clone, Debug)]
pub struct Entry {
    pub value: Value,
    pub file: PathBuf,
}

/// All files as one.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// In order of precedence, with what is in them.
    pub files: Vec<(PathBuf, Value)>,
    pub clusters: BTreeMap<String, Entry>,
    pub users: BTreeMap<String, Entry>,
    pub contexts: BTreeMap<String, Entry>,
    pub current: String,
}

/// The lists of a kubeconfig, and what an entry of each is called.
pub const LISTS: [(&str, &str); 3] = [("clusters", "cluster"), ("users", "user"), ("contexts", "context")];

pub fn home() -> PathBuf {
    std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default()
}

/// The files that count, whether they exist or not; and whether the user named one by the flag.
pub fn paths(call: &Call) -> (Vec<PathBuf>, bool) {
    if !call.text("kubeconfig").is_empty() {
        return (vec![PathBuf::from(call.text("kubeconfig"))], true);
    }
    match std::env::var("KUBECONFIG") {
        Ok(list) if !list.is_empty() => {
            let mut paths: Vec<PathBuf> = Vec::new();
            for path in list.split(':').filter(|p| !p.is_empty()).map(PathBuf::from) {
                if !paths.contains(&path) {
                    paths.push(path);
                }
            }
            (paths, false)
        }
        _ => (vec![home().join(".kube/config")], false),
    }
}

/// A file as a value; an empty file is an empty object.
pub fn read(path: &Path) -> Result<Value> {
    let shown = path.display().to_string();
    let text = std::fs::read(path).map_err(|e| error::io("open", &shown, &e))?;
    if text.iter().all(u8::is_ascii_whitespace) {
        return Ok(json!({}));
    }
    let fail = |why: String| Error::text(format!("error loading config file \"{shown}\": {why}"));
    let value = codec::yaml::to_value(&text).map_err(|e| fail(crate::manifest::yaml_words(&e)))?;
    match value {
        Value::Object(_) => Ok(value),
        Value::Null => Ok(json!({})),
        _ => Err(fail("couldn't get version/kind; json parse error: it is not an object".into())),
    }
}

impl Config {
    pub fn load(call: &Call) -> Result<Config> {
        let (paths, explicit) = paths(call);
        let mut config = Config::default();
        for path in paths {
            if !path.exists() {
                if explicit {
                    return Err(Error::text(format!("stat {}: no such file or directory", path.display())));
                }
                continue;
            }
            let value = read(&path)?;
            config.add(path, value);
        }
        Ok(config)
    }

    /// What stands in an earlier file counts.
    fn add(&mut self, file: PathBuf, value: Value) {
        for (list, one) in LISTS {
            let entries = value[list].as_array().map(Vec::as_slice).unwrap_or_default();
            let all = match list {
                "clusters" => &mut self.clusters,
                "users" => &mut self.users,
                _ => &mut self.contexts,
            };
            for entry in entries {
                let Some(name) = entry["name"].as_str() else { continue };
                let value = if entry[one].is_object() { entry[one].clone() } else { json!({}) };
                all.entry(name.to_owned()).or_insert(Entry { value, file: file.clone() });
            }
        }
        if self.current.is_empty() {
            self.current = value["current-context"].as_str().unwrap_or_default().to_owned();
        }
        self.files.push((file, value));
    }

    /// The merged files as one document, as `config view` begins from.
    pub fn merged(&self) -> Value {
        let list = |all: &BTreeMap<String, Entry>, one: &str| -> Value {
            let entries: Vec<Value> = all
                .iter()
                .map(|(name, e)| json!({ "name": name, one: absolute(&e.value, &e.file) }))
                .collect();
            if entries.is_empty() { Value::Null } else { Value::Array(entries) }
        };
        let mut value = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": list(&self.clusters, "cluster"),
            "users": list(&self.users, "user"),
            "contexts": list(&self.contexts, "context"),
            "current-context": self.current,
        });
        let preferences =
            self.files.iter().find_map(|(_, v)| v["preferences"].as_object().filter(|p| !p.is_empty()));
        if let Some(preferences) = preferences {
            value["preferences"] = Value::Object(preferences.clone());
        }
        value
    }
}

/// The fields that name files, relative to the file they stand in.
const FILES: [&str; 4] = ["certificate-authority", "client-certificate", "client-key", "tokenFile"];

/// The same entry with absolute paths.
fn absolute(value: &Value, file: &Path) -> Value {
    let mut value = value.clone();
    for field in FILES {
        if let Some(path) = value[field].as_str().filter(|p| !p.is_empty()) {
            let dir = file.parent().unwrap_or(Path::new("."));
            let full = std::path::absolute(dir.join(path)).unwrap_or_else(|_| dir.join(path));
            value[field] = Value::String(full.display().to_string());
        } else if let Some(map) = value.as_object_mut() {
            map.remove(field);
        }
    }
    value
}

/// Writes a kubeconfig as stock does: sorted, mode 0600.
pub fn write(path: &Path, value: &Value) -> Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    if let Some(dir) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
        std::fs::create_dir_all(dir).map_err(|e| error::io("mkdir", &dir.display().to_string(), &e))?;
    }
    let mut value = value.clone();
    if let Some(map) = value.as_object_mut() {
        fill(map);
    }
    let text = codec::yaml::from_value(&value);
    let shown = path.display().to_string();
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(|e| error::io("open", &shown, &e))?;
    file.write_all(text.as_bytes()).map_err(|e| error::io("write", &shown, &e))
}

fn fill(map: &mut Map<String, Value>) {
    map.insert("apiVersion".into(), json!("v1"));
    map.insert("kind".into(), json!("Config"));
    for (list, _) in LISTS {
        map.entry(list).or_insert(Value::Null);
        if let Some(entries) = map.get_mut(list).and_then(Value::as_array_mut) {
            entries.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
            if entries.is_empty() {
                map.insert(list.into(), Value::Null);
            }
        }
    }
    map.entry("current-context").or_insert(json!(""));
    if map.get("preferences").and_then(Value::as_object).is_some_and(Map::is_empty) {
        map.remove("preferences");
    }
}

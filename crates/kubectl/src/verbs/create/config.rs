//! Config maps and secrets, from files, literals and env files.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result, reason};
use crate::print::json::{compact, string};
use crate::session::Session;

/// Keys and what they hold.
type Pairs = Vec<(String, Vec<u8>)>;

pub fn config_map(session: &Session, name: &str) -> Result<Value> {
    let mut object = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name } });
    let (mut data, mut binary) = (Map::new(), Map::new());
    for (key, bytes) in pairs(session)? {
        match String::from_utf8(bytes) {
            Ok(text) => data.insert(key, Value::String(text)),
            Err(e) => binary.insert(key, Value::String(STANDARD.encode(e.as_bytes()))),
        };
    }
    if !data.is_empty() {
        object["data"] = Value::Object(data);
    }
    if !binary.is_empty() {
        object["binaryData"] = Value::Object(binary);
    }
    Ok(hashed(session, object))
}

pub fn generic(session: &Session, name: &str) -> Result<Value> {
    secret(session, name, session.call.text("type"), pairs(session)?)
}

fn secret(session: &Session, name: &str, kind: &str, pairs: Pairs) -> Result<Value> {
    let mut object = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name } });
    if !kind.is_empty() {
        object["type"] = json!(kind);
    }
    if !pairs.is_empty() {
        let data = pairs.into_iter().map(|(key, bytes)| (key, Value::String(STANDARD.encode(bytes))));
        object["data"] = Value::Object(data.collect());
    }
    Ok(hashed(session, object))
}

pub fn tls(session: &Session, name: &str) -> Result<Value> {
    let call = &session.call;
    let (cert, key) = (call.text("cert"), call.text("key"));
    if cert.is_empty() || key.is_empty() {
        return Err(Error::text("key and cert must be specified"));
    }
    let read = |path: &str| {
        std::fs::read(path)
            .map_err(|e| Error::text(format!("Cannot read file {path}, open {path}: {}", reason(&e))))
    };
    let (cert, key) = (read(cert)?, read(key)?);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let identity = pki::identity::Identity::new(text(&cert), text(&key));
    pki::tls::LiveIdentity::new(&identity).map_err(|e| {
        let why = format!("{e:#}");
        match why.contains("KeyMismatch") {
            true => Error::text("tls: private key does not match public key"),
            false => Error::text(format!("tls: {why}")),
        }
    })?;
    secret(session, name, "kubernetes.io/tls", vec![("tls.crt".into(), cert), ("tls.key".into(), key)])
}

pub fn docker(session: &Session, name: &str) -> Result<Value> {
    let call = &session.call;
    let (user, password, email) =
        (call.text("docker-username"), call.text("docker-password"), call.text("docker-email"));
    if call.list("from-file").is_empty() {
        if user.is_empty() || password.is_empty() || call.text("docker-server").is_empty() {
            return Err(Error::text(
                "either --from-file or the combination of --docker-username, --docker-password and --docker-server is required",
            ));
        }
        let mut fields = vec![("username", user.to_owned()), ("password", password.to_owned())];
        if !email.is_empty() {
            fields.push(("email", email.to_owned()));
        }
        fields.push(("auth", STANDARD.encode(format!("{user}:{password}"))));
        let mut text = String::from("{\"auths\":{");
        string(&mut text, call.text("docker-server"));
        text.push_str(":{");
        for (at, (field, value)) in fields.iter().enumerate() {
            text.push_str(if at > 0 { ",\"" } else { "\"" });
            text.push_str(field);
            text.push_str("\":");
            string(&mut text, value);
        }
        text.push_str("}}}");
        let pairs = vec![(".dockerconfigjson".to_owned(), text.into_bytes())];
        return secret(session, name, "kubernetes.io/dockerconfigjson", pairs);
    }
    let mut found = Vec::new();
    from_files(session, &mut found)?;
    secret(session, name, "kubernetes.io/dockerconfigjson", found)
}

fn pairs(session: &Session) -> Result<Pairs> {
    let call = &session.call;
    let (literals, env_files) = (call.list("from-literal"), call.list("from-env-file"));
    if !(env_files.is_empty() || literals.is_empty() && call.list("from-file").is_empty()) {
        return Err(Error::text("from-env-file cannot be combined with from-file or from-literal"));
    }
    let mut found = Vec::new();
    from_files(session, &mut found)?;
    for literal in literals {
        let Some((key, value)) = literal.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(Error::text(format!("invalid literal source {literal}, expected key=value")));
        };
        // Quotes around a whole value are the shell's that was not there.
        let bare = |q: char| value.len() >= 2 && value.starts_with(q) && value.ends_with(q);
        let value = if bare('"') || bare('\'') { &value[1..value.len() - 1] } else { value };
        add(&mut found, key, value.as_bytes().to_vec())?;
    }
    for file in env_files {
        for (key, value) in env_file(&file)? {
            add(&mut found, &key, value.into_bytes())?;
        }
    }
    Ok(found)
}

fn from_files(session: &Session, found: &mut Pairs) -> Result<()> {
    for source in session.call.list("from-file") {
        let (key, path) = match source.split_once('=') {
            Some((key, path)) if !key.is_empty() && !path.is_empty() && !path.contains('=') => {
                (Some(key), path)
            }
            Some(("", path)) => return Err(Error::text(format!("key name for file path {path} missing"))),
            Some((key, "")) => return Err(Error::text(format!("file path for key name {key} missing"))),
            Some(_) => return Err(Error::text("key names or file paths cannot contain '='")),
            None => (None, source.as_str()),
        };
        let meta = std::fs::metadata(path)
            .map_err(|e| Error::text(format!("error reading {path}: {}", reason(&e))))?;
        if meta.is_dir() {
            if key.is_some() {
                return Err(Error::text("cannot give a key name for a directory path"));
            }
            let mut files: Vec<_> =
                std::fs::read_dir(path)?.flatten().filter(|e| e.path().is_file()).collect();
            files.sort_by_key(std::fs::DirEntry::file_name);
            for file in files {
                let name = file.file_name().to_string_lossy().into_owned();
                add(found, &name, std::fs::read(file.path())?)?;
            }
            continue;
        }
        let base = Path::new(path).file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let bytes = std::fs::read(path).map_err(|e| crate::error::io("open", path, &e))?;
        add(found, key.unwrap_or(&base), bytes)?;
    }
    Ok(())
}

fn add(found: &mut Pairs, key: &str, value: Vec<u8>) -> Result<()> {
    let safe = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if key.is_empty() || !key.chars().all(safe) {
        return Err(Error::text(format!(
            "{} is not a valid key name for a ConfigMap: a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
            crate::text::quote(key)
        )));
    }
    if found.iter().any(|(k, _)| k == key) {
        return Err(Error::text(format!(
            "cannot add key \"{key}\", another key by that name already exists in Data for ConfigMap"
        )));
    }
    found.push((key.to_owned(), value));
    Ok(())
}

/// `KEY=value` a line; a key alone takes its value from our own environment.
pub fn env_file(path: &str) -> Result<Vec<(String, String)>> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| Error::text(format!("error reading {path}: {}", reason(&e))))?;
    let mut found = Vec::new();
    for line in text.trim_start_matches('\u{feff}').lines() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.split_once('=') {
            Some((key, value)) => found.push((key.to_owned(), value.to_owned())),
            None => found.push((line.to_owned(), std::env::var(line).unwrap_or_default())),
        }
    }
    Ok(found)
}

/// With a name that changes with the content.
fn hashed(session: &Session, mut object: Value) -> Value {
    if session.call.is("append-hash") {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        object["metadata"]["name"] = json!(format!("{name}-{}", hash(&object)));
    }
    object
}

/// Contract: kubectl's hash of config maps and secrets, which kustomize shares.
pub fn hash(object: &Value) -> String {
    let text = |f: &str| object[f].as_str().unwrap_or_default();
    let data = if object["data"].is_object() {
        object["data"].clone()
    } else {
        json!(if object["kind"] == "Secret" { json!({}) } else { json!("") })
    };
    let mut encoded =
        json!({ "kind": text("kind"), "name": text_of(&object["metadata"]["name"]), "data": data });
    if object["kind"] == "Secret" {
        encoded["type"] = json!(text("type"));
    } else if object["binaryData"].is_object() {
        encoded["binaryData"] = object["binaryData"].clone();
    }
    let digest = Sha256::digest(compact(&encoded).as_bytes());
    let hex: String = digest.iter().map(|b| format!("{b:02x}")).collect();
    let letter = |c: char| match c {
        '0' => 'g',
        '1' => 'h',
        '3' => 'k',
        'a' => 'm',
        'e' => 't',
        c => c,
    };
    hex.chars().take(10).map(letter).collect()
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

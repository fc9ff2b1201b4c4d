//! `kuberc`: the file of preferences looked at and changed. What it means is in [`crate::kuberc`].

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::error::{Error, Result, io};
use crate::print::Printer;
use crate::session::Session;

const VERSION: &str = "kubectl.config.k8s.io/v1beta1";

fn place(session: &Session) -> PathBuf {
    match crate::kuberc::path(session.call.text("kuberc")) {
        Some((path, _)) => path,
        None => crate::config::home().join(".kube/kuberc"),
    }
}

fn read(path: &PathBuf) -> Result<Value> {
    let shown = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|e| io("open", &shown, &e))?;
    let value = codec::yaml::to_value(&bytes)
        .map_err(|e| Error::text(format!("{shown}: {}", crate::manifest::yaml_words(&e))))?;
    match value["apiVersion"].as_str() {
        Some(VERSION) => Ok(value),
        other => Err(Error::text(format!(
            "{shown}: apiVersion is {}, and only {VERSION} is looked at and changed here",
            crate::text::quote(other.unwrap_or_default())
        ))),
    }
}

/// Preferences that stock recommends.
const RECOMMENDED: &str = "aliases: null
apiVersion: kubectl.config.k8s.io/v1beta1
defaults:
- command: apply
  options:
  - default: \"true\"
    name: server-side
- command: delete
  options:
  - default: \"true\"
    name: interactive
kind: Preference
";

/// Asks whether to make a file with what is recommended; whether it was made.
fn offer(session: &Session, path: &Path) -> Result<bool> {
    let shown = path.display();
    session.print(&format!(
        "kuberc file not found at {shown}\nWould you like to generate a default kuberc file with recommended options? (y/N): "
    ))?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if answer.trim() != "y" {
        return Ok(false);
    }
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)
            .map_err(|e| crate::error::io("mkdir", &dir.display().to_string(), &e))?;
    }
    std::fs::write(path, RECOMMENDED).map_err(|e| crate::error::io("open", &shown.to_string(), &e))?;
    session.println(&format!("Updated {shown}"))?;
    Ok(false)
}

pub fn view(session: &Session) -> Result<()> {
    let call = &session.call;
    let path = place(session);
    if !path.exists() && !offer(session, &path)? {
        return Ok(());
    }
    let value = read(&path)?;
    match Printer::named(call, call.text("output"), false)? {
        Some(mut printer) => session.print(&printer.text(&value)?),
        None => Ok(()),
    }
}

pub fn set(session: &Session) -> Result<()> {
    let call = &session.call;
    check(session)?;
    let path = place(session);
    let mut value = match path.exists() {
        true => read(&path)?,
        false => json!({ "apiVersion": VERSION, "kind": "Preference", "defaults": [], "aliases": [] }),
    };
    match call.text("section") {
        "defaults" => put(session, &mut value, "defaults", "command", entry(session)?)?,
        "aliases" => put(session, &mut value, "aliases", "name", entry(session)?)?,
        _ => policy(session, &mut value)?,
    }
    let shown = path.display().to_string();
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(|e| io("mkdir", &dir.display().to_string(), &e))?;
    }
    std::fs::write(&path, codec::yaml::from_value(&value)).map_err(|e| io("open", &shown, &e))?;
    session.println(&format!("Updated {shown}"))
}

fn check(session: &Session) -> Result<()> {
    let call = &session.call;
    let (section, given) = (call.text("section"), |flag: &str| call.changed(flag));
    if !given("section") {
        return Err(Error::text("required flag(s) \"section\" not set"));
    }
    let only = |flag: &str, place: &str| {
        Err(Error::text(format!("--{flag} should only be specified when --section={place}")))
    };
    match section {
        "defaults" | "aliases" if call.text("command").is_empty() => {
            Err(Error::text("--command is required when --section=aliases or --section=defaults"))
        }
        "aliases" if call.text("name").is_empty() => {
            Err(Error::text("--name is required when --section=aliases"))
        }
        "defaults" if given("name") => {
            Err(Error::text("--name should not be specified when --section=defaults"))
        }
        "defaults" if given("prependarg") || given("appendarg") => {
            Err(Error::text("--prependarg and --appendarg are only valid for --section=aliases"))
        }
        "defaults" | "aliases" if given("policy") => only("policy", "credentialplugin"),
        "defaults" | "aliases" if given("allowlist-entry") => only("allowlist-entry", "credentialplugin"),
        "credentialplugin" if !given("policy") => {
            Err(Error::text("--policy is required when --section=credentialplugin"))
        }
        "defaults" | "aliases" | "credentialplugin" => Ok(()),
        other => Err(Error::text(format!(
            "--section must be \"defaults\", \"aliases\", or \"credentialplugin\", got: {other}"
        ))),
    }
}

/// What the flags say, as an entry of either list.
fn entry(session: &Session) -> Result<Value> {
    let call = &session.call;
    let mut entry = json!({ "command": call.text("command") });
    let mut options = Vec::new();
    for option in call.list("option") {
        let Some((name, value)) = option.split_once('=') else {
            return Err(Error::text(format!("invalid option format {option:?}, expected flag=value")));
        };
        options.push(json!({ "name": name, "default": value }));
    }
    if !options.is_empty() {
        entry["options"] = json!(options);
    }
    if call.text("section") == "aliases" {
        entry["name"] = json!(call.text("name"));
        for (flag, field) in [("prependarg", "prependArgs"), ("appendarg", "appendArgs")] {
            if call.changed(flag) {
                entry[field] = json!(call.list(flag));
            }
        }
    }
    Ok(entry)
}

fn put(session: &Session, value: &mut Value, list: &str, key: &str, entry: Value) -> Result<()> {
    if !value[list].is_array() {
        value[list] = json!([]);
    }
    let Some(all) = value[list].as_array_mut() else { return Ok(()) };
    match all.iter_mut().find(|e| e[key] == entry[key]) {
        Some(known) if session.call.is("overwrite") => *known = entry,
        Some(_) => {
            let (what, exists) = match list {
                "aliases" => ("alias", "exists"),
                _ => ("defaults for command", "exist"),
            };
            return Err(Error::text(format!(
                "{what} {} already {exists}, use --overwrite to replace",
                crate::text::quote(entry[key].as_str().unwrap_or_default())
            )));
        }
        None => all.push(entry),
    }
    Ok(())
}

fn policy(session: &Session, value: &mut Value) -> Result<()> {
    let call = &session.call;
    let policy = call.text("policy");
    if !matches!(policy, "AllowAll" | "DenyAll" | "Allowlist") {
        return Err(Error::text(format!(
            " --policy must be  \"AllowAll\", \"DenyAll\", or \"Allowlist\", got: {policy}"
        )));
    }
    let mut entries = Vec::new();
    for entry in call.list("allowlist-entry") {
        match entry.split_once('=') {
            Some((field @ ("command" | "name"), value)) => entries.push(json!({ field: value })),
            _ => {
                return Err(Error::text(format!(
                    "invalid allowlist entry {}: it must be command=VALUE",
                    crate::text::quote(&entry)
                )));
            }
        }
    }
    match (policy, entries.is_empty()) {
        ("Allowlist", true) => {
            return Err(Error::text(
                "--allowlist-entry is required when --section=credentialplugin and --policy=Allowlist",
            ));
        }
        ("Allowlist", false) | (_, true) => {}
        _ => {
            return Err(Error::text(
                "--allowlist-entry may only be used when --section=credentialplugin and --policy=Allowlist",
            ));
        }
    }
    value["credentialPluginPolicy"] = json!(policy);
    match entries.is_empty() {
        true => drop(value.as_object_mut().and_then(|m| m.remove("credentialPluginAllowlist"))),
        false => value["credentialPluginAllowlist"] = json!(entries),
    }
    Ok(())
}

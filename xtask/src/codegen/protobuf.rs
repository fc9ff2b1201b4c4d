//! Field numbers, read from the attributes of prost's structs.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

/// Every message, by its full name in lower case (prost changes the case of names).
pub struct Messages(BTreeMap<String, Message>);

/// A message's fields, by name in lower case and without underscores.
#[derive(Default)]
pub struct Message(pub BTreeMap<String, Field>);

pub struct Field {
    pub number: u16,
    /// For a single message: its full name.
    pub message: Option<String>,
}

impl Messages {
    /// Reads all modules below `sources`.
    pub fn read(sources: &Path) -> Result<Self> {
        let mut messages = BTreeMap::new();
        read_dir(sources, "io.k8s", &mut messages)?;
        Ok(Messages(messages))
    }

    /// By the name the JSON schemas have: `io.k8s.api.core.v1.Pod`.
    pub fn get(&self, name: &str) -> Option<&Message> {
        self.0.get(&name.to_lowercase())
    }
}

fn read_dir(dir: &Path, package: &str, messages: &mut BTreeMap<String, Message>) -> Result<()> {
    for entry in std::fs::read_dir(dir).with_context(|| format!("read {}", dir.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            read_dir(&path, &format!("{package}.{}", name.replace('_', "-")), messages)?;
        } else if name == "mod.rs" {
            read_module(&std::fs::read_to_string(&path)?, package, messages);
        }
    }
    Ok(())
}

/// Structs come as `pub struct Name {`, fields as an attribute line and `pub name: Type,` on one line or two.
fn read_module(text: &str, package: &str, messages: &mut BTreeMap<String, Message>) {
    let mut current = String::new();
    let mut attribute = String::new();
    let mut field_name = String::new();
    for line in text.lines().map(str::trim) {
        let mut of = line;
        if let Some(rest) = line.strip_prefix("pub struct ") {
            let name = rest.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
            current = format!("{package}.{name}").to_lowercase();
            messages.entry(current.clone()).or_default();
        } else if let Some(rest) = line.strip_prefix("#[prost(") {
            attribute = rest.to_owned();
        } else if let Some((name, rest)) = line.strip_prefix("pub ").and_then(|l| l.split_once(':')) {
            field_name = plain(name);
            of = rest;
        }
        if !attribute.is_empty() && !field_name.is_empty() && !of.is_empty() {
            let field = Field { number: tag(&attribute), message: single_message(&attribute, of, package) };
            messages.entry(current.clone()).or_default().0.insert(std::mem::take(&mut field_name), field);
            attribute.clear();
        }
    }
}

fn tag(attribute: &str) -> u16 {
    let after = attribute.split("tag = \"").nth(1).unwrap_or_default();
    after.split('"').next().and_then(|n| n.parse().ok()).unwrap_or_default()
}

/// The full name in `::core::option::Option<super::…::Name>`, with or without a box.
fn single_message(attribute: &str, of: &str, package: &str) -> Option<String> {
    if !(attribute.starts_with("message") && attribute.contains("optional")) {
        return None;
    }
    let mut at: Vec<&str> = package.split('.').collect();
    for part in of.rsplit('<').next()?.split('>').next()?.split("::") {
        match part {
            "super" => drop(at.pop()),
            part => at.push(part),
        }
    }
    Some(at.join(".").replace('_', "-"))
}

/// A name as it is compared: lower case, no underscores, no `r#`.
pub fn plain(name: &str) -> String {
    name.trim_start_matches("r#").replace(['_', '-', '$'], "").to_lowercase()
}

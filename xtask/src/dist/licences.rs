//! The licences of the libraries in the binary: who gives it on gives them on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use super::Release;
use crate::sh;

/// Every text once, under the names of the libraries that it is of.
pub fn all(release: &Release) -> Result<String> {
    let metadata = sh::output(
        "cargo",
        &["metadata", "--format-version=1", "--locked", "--filter-platform", super::TARGET],
    )?;
    let metadata: Value = serde_json::from_str(&metadata).context("parse cargo metadata")?;
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let linked = linked(&metadata).context("read cargo metadata's graph")?;
    for package in metadata["packages"].as_array().into_iter().flatten() {
        // Ours have no source.
        if package["source"].is_null() || !package["id"].as_str().is_some_and(|id| linked.contains(id)) {
            continue;
        }
        let part = |field: &str| package[field].as_str().unwrap_or_default().to_owned();
        let name = format!("{} {} ({})", part("name"), part("version"), part("license"));
        let dir = PathBuf::from(part("manifest_path")).parent().map(Path::to_owned).unwrap_or_default();
        let found = files(&dir)?;
        if found.is_empty() {
            texts.entry(String::new()).or_default().insert(name.clone());
        }
        for text in found {
            texts.entry(text).or_default().insert(name.clone());
        }
    }
    let mut out = format!("The libraries in knarr {}, and their licences.\n", release.version);
    for (text, names) in texts {
        let names: Vec<String> = names.into_iter().collect();
        out += &format!("\n{}\n{}\n", "=".repeat(78), names.join("\n"));
        if !text.is_empty() {
            out += &format!("{}\n{text}\n", "-".repeat(78));
        }
    }
    Ok(out)
}

/// What the program `knarr` is linked from: what it depends on, and what that does, but for tests and builds.
fn linked(metadata: &Value) -> Option<BTreeSet<&str>> {
    let nodes: BTreeMap<&str, &Value> = metadata["resolve"]["nodes"]
        .as_array()?
        .iter()
        .filter_map(|n| Some((n["id"].as_str()?, n)))
        .collect();
    let root = metadata["packages"].as_array()?.iter().find(|p| p["name"] == "knarr")?["id"].as_str()?;
    let (mut seen, mut next) = (BTreeSet::from([root]), vec![root]);
    while let Some(id) = next.pop() {
        for dependency in nodes.get(id)?["deps"].as_array()? {
            let normal = dependency["dep_kinds"].as_array()?.iter().any(|kind| kind["kind"].is_null());
            let id = dependency["pkg"].as_str()?;
            if normal && seen.insert(id) {
                next.push(id);
            }
        }
    }
    Some(seen)
}

fn files(dir: &Path) -> Result<Vec<String>> {
    let named = |name: &str| {
        let name = name.to_ascii_uppercase();
        ["LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT", "UNLICENSE"]
            .iter()
            .any(|n| name.starts_with(n))
    };
    let mut texts = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("read {}", dir.display()))? {
        let entry = entry?;
        if named(&entry.file_name().to_string_lossy()) && entry.path().is_file() {
            let text = String::from_utf8_lossy(&fs::read(entry.path())?).replace('\r', "");
            texts.push(text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim().to_owned());
        }
    }
    Ok(texts)
}

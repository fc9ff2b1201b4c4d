//! `cargo xtask tidy`: what a review would say twice.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::sh;

/// Runs every check and fails with all findings at once.
pub fn run() -> Result<()> {
    let metadata: Value =
        serde_json::from_str(&sh::output("cargo", &["metadata", "--format-version=1", "--locked"])?)
            .context("parse cargo metadata")?;
    let mut findings = edges(&metadata);
    findings.extend(licences(&metadata));
    let mut sizes = Vec::new();
    for file in rust_files(&sh::root().join("crates"))? {
        let text = fs::read_to_string(&file)?;
        let name = file.strip_prefix(sh::root()).unwrap_or(&file).display().to_string();
        sizes.push((text.lines().count(), name.clone()));
        findings.extend(words(&name, &text));
    }
    mirror(&mut sizes);
    if findings.is_empty() {
        return Ok(());
    }
    bail!("tidy:\n  {}", findings.join("\n  "))
}

/// Crate → what it may depend on inside the workspace, besides stdx. docs/ARCHITECTURE.md explains why.
const EDGES: &[(&str, &[&str])] = &[
    ("stdx", &[]),
    ("apimachinery", &[]),
    ("facts", &["apimachinery"]),
    ("codec", &["apimachinery", "facts"]),
    ("resources", &["codec", "apimachinery", "facts"]),
    ("cache", &["apimachinery"]),
    ("storage", &["cache", "apimachinery"]),
    ("streaming", &[]),
    ("pki", &[]),
    ("client", &["codec", "cache", "pki", "apimachinery"]),
    ("auth", &["client", "resources", "pki", "codec", "cache", "apimachinery"]),
    ("registry", &["storage", "resources", "cache", "codec", "apimachinery"]),
    ("admission", &["registry", "auth", "resources", "cache", "client", "codec", "apimachinery"]),
    (
        "apiserver",
        &[
            "registry",
            "admission",
            "auth",
            "client",
            "pki",
            "storage",
            "resources",
            "cache",
            "codec",
            "facts",
            "apimachinery",
        ],
    ),
    ("cri", &[]),
    ("podnet", &[]),
    ("proxy", &["client", "resources", "cache", "codec", "apimachinery"]),
    ("runtime", &["cri"]),
    ("kubelet", &["cri", "client", "auth", "pki", "resources", "cache", "codec", "apimachinery"]),
    ("controller", &["client", "resources", "pki", "cache", "codec", "apimachinery"]),
    ("scheduler", &["client", "resources", "cache", "codec", "apimachinery"]),
    ("testkit", &["apimachinery"]),
];

fn edges(metadata: &Value) -> Vec<String> {
    let allowed: BTreeMap<&str, &[&str]> = EDGES.iter().copied().collect();
    let mut findings = Vec::new();
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let ours: Vec<&Value> = packages.iter().filter(|p| p["source"].is_null()).collect();
    let names: Vec<&str> = ours.iter().filter_map(|p| p["name"].as_str()).collect();
    for package in &ours {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(allowed) = allowed.get(name) else { continue };
        let dependencies = package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default();
        for dependency in dependencies.iter().filter(|d| d["kind"].is_null()) {
            let to = dependency["name"].as_str().unwrap_or_default();
            if names.contains(&to) && to != "stdx" && !allowed.contains(&to) {
                findings.push(format!("crates/{name} may not depend on {to} (xtask/src/tidy.rs, EDGES)"));
            }
        }
    }
    findings
}

/// Licences that a dependency may be under, one of them at least.
const LICENCES: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "CC0-1.0",
    "Unlicense",
    "0BSD",
    "BSL-1.0",
    "MIT-0",
    "Apache-2.0 WITH LLVM-exception",
    "CDLA-Permissive-2.0",
    "blessing",
];

fn licences(metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut findings = Vec::new();
    for package in packages.iter().filter(|p| !p["source"].is_null()) {
        let licence = package["license"].as_str().unwrap_or_default();
        if !permitted(licence) {
            let name = package["name"].as_str().unwrap_or_default();
            findings.push(format!(
                "dependency {name} is under {licence:?}, which docs/DEPENDENCIES.md does not allow"
            ));
        }
    }
    findings
}

/// An SPDX expression: every AND part must have an allowed OR part. Parentheses occur only around ORs.
fn permitted(expression: &str) -> bool {
    let plain = expression.replace(['(', ')'], " ").replace('/', " OR ");
    !plain.trim().is_empty()
        && plain.split(" AND ").all(|part| part.split(" OR ").any(|l| LICENCES.contains(&l.trim())))
}

/// Words that must not stand in production code.
fn words(name: &str, text: &str) -> Vec<String> {
    if name.contains("/tests") || name.contains("testsuite") || name.contains("testkit") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        if code.trim_start().starts_with("#[cfg(test)]") {
            break;
        }
        for word in ["todo!(", "unimplemented!(", "dbg!("] {
            if code.contains(word) {
                findings.push(format!("{name}:{}: {word}…)", number + 1));
            }
        }
    }
    findings
}

/// Prints how long files are: a mirror, not a rule.
fn mirror(sizes: &mut [(usize, String)]) {
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let at = |percent: usize| sizes.get((100 - percent) * sizes.len() / 100).map_or(0, |(lines, _)| *lines);
    let lines: usize = sizes.iter().map(|(l, _)| l).sum();
    eprintln!("{} files, {lines} lines; file length p50 {} p90 {}; longest:", sizes.len(), at(50), at(90));
    for (lines, name) in sizes.iter().take(5) {
        eprintln!("  {lines:5} {name}");
    }
}

fn rust_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("read {}", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

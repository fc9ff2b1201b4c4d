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
    let (mut sizes, mut functions) = (Vec::new(), Vec::new());
    for file in rust_files(&sh::root().join("crates"))? {
        let text = fs::read_to_string(&file)?;
        let name = file.strip_prefix(sh::root()).unwrap_or(&file).display().to_string();
        sizes.push((text.lines().count(), name.clone()));
        functions.extend(function_sizes(&name, &text));
        findings.extend(words(&name, &text));
    }
    mirror("files", &mut sizes);
    mirror("functions", &mut functions);
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
            "streaming",
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
    ("dns", &["client", "resources", "cache", "codec", "apimachinery"]),
    ("kubectl", &["client", "streaming", "pki", "codec", "facts", "apimachinery"]),
    ("testkit", &["apimachinery"]),
    ("bench", &["pki"]),
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

/// Names of files that only tests use.
const FOR_TESTS: &[&str] =
    &["/tests", "testsuite", "testkit", "/testing", "/testimage", "/fake", "/examples/", "/benches/"];

/// Words that must not stand in production code: what is not finished, and what ends the process when input, the network or
/// the disk is not as one thought.
const FORBIDDEN: &[&str] = &["todo!(", "unimplemented!(", "dbg!(", ".unwrap()", ".expect(\""];

fn words(name: &str, text: &str) -> Vec<String> {
    if FOR_TESTS.iter().any(|part| name.contains(part)) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        if code.trim_start().starts_with("#[cfg(test)]") {
            break;
        }
        for word in FORBIDDEN {
            if code.contains(word) {
                findings.push(format!("{name}:{}: {word}", number + 1));
            }
        }
    }
    findings
}

/// Length and name of every function, by the form that rustfmt gives them.
fn function_sizes(name: &str, text: &str) -> Vec<(usize, String)> {
    const BEFORE: &[&str] =
        &["pub", "pub(crate)", "pub(super)", "async", "const", "unsafe", "extern", "\"C\""];
    let lines: Vec<&str> = text.lines().collect();
    let starts = lines.iter().enumerate().filter(|(_, line)| {
        line.split_whitespace().find(|word| !BEFORE.contains(word)) == Some("fn") && !line.ends_with(';')
    });
    starts
        .filter_map(|(start, line)| {
            let indent = &line[..line.len() - line.trim_start().len()];
            let end = format!("{indent}}}");
            let length = match line.ends_with('}') {
                true => 1,
                false => lines[start..].iter().position(|l| *l == end)? + 1,
            };
            Some((length, format!("{name}:{}", start + 1)))
        })
        .collect()
}

/// Prints how long things are: a mirror, not a rule.
fn mirror(what: &str, sizes: &mut [(usize, String)]) {
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let at = |percent: usize| sizes.get((100 - percent) * sizes.len() / 100).map_or(0, |(lines, _)| *lines);
    let lines: usize = sizes.iter().map(|(l, _)| l).sum();
    eprintln!(
        "{} {what}, {lines} lines; length p50 {} p90 {} p99 {}; longest:",
        sizes.len(),
        at(50),
        at(90),
        at(99)
    );
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

//! Gathers what the API's authors say of each type and field, from the source of k8s-openapi as cargo has it, for
//! `http::openapi::descriptions`. At run time the same text would cost the `JsonSchema` code of every type.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// The one version of the API that the workspace speaks.
const VERSION: &str = "v1_37";
const CRATE: &str = "k8s-openapi";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let source = source()?;
    println!("cargo::rerun-if-changed={}", source.display());
    let mut out = String::new();
    gather(&source.join("src").join(VERSION), &mut out)?;
    if out.lines().count() < 1000 {
        return Err(format!("{} has no descriptions where they were", source.display()).into());
    }
    let path = PathBuf::from(env::var("OUT_DIR")?).join("descriptions.gz");
    let mut packed = flate2::write::GzEncoder::new(fs::File::create(path)?, flate2::Compression::best());
    packed.write_all(out.as_bytes())?;
    packed.finish()?;
    Ok(())
}

/// Where cargo keeps the crate: unpacked in its home, or wherever it says that it is (when it was vendored).
fn source() -> Result<PathBuf, Box<dyn std::error::Error>> {
    let manifest = Path::new(&env::var("CARGO_MANIFEST_DIR")?).to_owned();
    if let Some(found) = locked_version(&manifest).and_then(|version| unpacked(&version)) {
        return Ok(found);
    }
    let output = Command::new(env::var("CARGO")?)
        .args(["metadata", "--format-version", "1", "--manifest-path"])
        .arg(manifest.join("Cargo.toml"))
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().ok_or("cargo names no packages")?;
    let package = packages.iter().find(|p| p["name"] == CRATE).ok_or("k8s-openapi is not used")?;
    let manifest = package["manifest_path"].as_str().ok_or("k8s-openapi is nowhere")?;
    Ok(Path::new(manifest).parent().ok_or("k8s-openapi has no directory")?.to_owned())
}

/// The version in the lock file above us.
fn locked_version(manifest: &Path) -> Option<String> {
    let lock = manifest.ancestors().map(|dir| dir.join("Cargo.lock")).find(|file| file.exists())?;
    let text = fs::read_to_string(lock).ok()?;
    let (_, after) = text.split_once(&format!("name = \"{CRATE}\"\nversion = \""))?;
    Some(after.split('"').next()?.to_owned())
}

/// The sources that cargo unpacked into its home, whichever registry they are from.
fn unpacked(version: &str) -> Option<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(Path::new(&env::var_os("HOME")?).join(".cargo")))?;
    let registries = fs::read_dir(home.join("registry/src")).ok()?;
    let here = |entry: io::Result<fs::DirEntry>| Some(entry.ok()?.path().join(format!("{CRATE}-{version}")));
    registries.filter_map(here).find(|path| path.join("src").join(VERSION).is_dir())
}

fn gather(directory: &Path, out: &mut String) -> io::Result<()> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(directory)?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            gather(&path, out)?;
        } else {
            file(&fs::read_to_string(&path)?, out);
        }
    }
    Ok(())
}

/// A tab-separated line for each: `TYPE text`, then an empty first column, `FIELD text`. Line breaks are `\n`.
fn file(source: &str, out: &mut String) {
    let mut name = None;
    let mut field = None;
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        if line.trim_start().starts_with("fn schema_name()") {
            name = lines.next().and_then(literal).filter(|n| n.starts_with("io.k8s."));
            field = None;
            continue;
        }
        let Some(of) = &name else { continue };
        if let Some(start) = line.strip_prefix("                \"")
            && let Some((property, _)) = start.split_once("\": ")
        {
            field = Some(property.to_owned());
        }
        let Some((_, text)) = line.split_once("\"description\"") else { continue };
        let Some(text) = literal(text) else { continue };
        let done = match &field {
            None => writeln!(out, "{of}\t{text}"),
            Some(field) => writeln!(out, "\t{field}\t{text}"),
        };
        // Into a String.
        debug_assert!(done.is_ok());
    }
}

/// The first string literal, still escaped: what it needs is what we need, one line.
fn literal(text: &str) -> Option<String> {
    let start = text.find('"')? + 1;
    let mut escaped = false;
    for (at, c) in text[start..].char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(text[start..start + at].to_owned()),
            _ => {}
        }
    }
    None
}

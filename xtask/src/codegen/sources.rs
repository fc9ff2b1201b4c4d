//! Where the facts come from: packages of the public registries, fetched once into `target/codegen`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

const JSON_SCHEMAS: &str = "kubernetes-validate==1.37.0";
const SCHEMA_FILE: &str = "kubernetes_validate/kubernetes-json-schema/v1.37.0-local/_definitions.json";
const K8S_PB: &str = "0.9.0";

/// The file of JSON schemas of all types.
pub fn json_schemas(cache: &Path) -> Result<PathBuf> {
    let dir = cache.join("json-schemas");
    let file = dir.join(SCHEMA_FILE);
    if !file.exists() {
        std::fs::create_dir_all(&dir)?;
        let pip = ["-m", "pip", "download", "--quiet", "--no-deps", "--dest"];
        call(Command::new("python3").args(pip).arg(&dir).arg(JSON_SCHEMAS))?;
        let wheel = std::fs::read_dir(&dir)?
            .filter_map(|e| Some(e.ok()?.path()))
            .find(|p| p.extension().is_some_and(|e| e == "whl"))
            .context("find the wheel pip has downloaded")?;
        call(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(wheel).arg(&dir))?;
    }
    Ok(file)
}

/// The folder of k8s-pb's Rust sources.
pub fn k8s_pb(cache: &Path) -> Result<PathBuf> {
    let dir = cache.join("k8s-pb");
    let sources = dir.join("vendor/k8s-pb/src");
    if !sources.exists() {
        std::fs::create_dir_all(dir.join("src"))?;
        std::fs::write(dir.join("src/lib.rs"), "")?;
        let manifest = format!(
            "[package]\nname = \"fetch\"\nedition = \"2024\"\n[workspace]\n[dependencies]\nk8s-pb = \"={K8S_PB}\"\n"
        );
        std::fs::write(dir.join("Cargo.toml"), manifest)?;
        call(Command::new("cargo").args(["vendor", "--quiet", "vendor"]).current_dir(&dir))?;
    }
    Ok(sources)
}

fn call(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

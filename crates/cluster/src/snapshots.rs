//! `knarr snapshot`: the embedded store of a data directory in a file, and back.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use stdx::clock::SharedClock;
use storage::snapshot::{self, About};

/// Ending of the names of snapshots.
const SUFFIX: &str = ".snapshot";

/// A snapshot as it is listed.
pub struct Row {
    pub name: String,
    pub bytes: u64,
    /// Or why it cannot be used.
    pub about: Result<About, String>,
}

/// Where snapshots of a data directory are kept unless a file is named.
pub fn dir(data_dir: &Path) -> PathBuf {
    data_dir.join("snapshots")
}

fn store(data_dir: &Path) -> PathBuf {
    data_dir.join("db")
}

/// Takes a snapshot, whether the server runs or not. `file` without a slash is a name in [`dir`]; none: the time is its name.
pub fn save(data_dir: &Path, file: Option<&Path>, clock: &SharedClock) -> Result<(PathBuf, About)> {
    let now = clock.now();
    let file = match file {
        Some(file) => named(data_dir, file),
        None => dir(data_dir).join(format!("{}{SUFFIX}", now.strftime("%Y%m%d-%H%M%S"))),
    };
    if let Some(parent) = file.parent().filter(|p| !p.as_os_str().is_empty()) {
        pki::files::private_dir(parent)?;
    }
    let about = snapshot::save(&store(data_dir), &file, now.as_second())?;
    Ok((file, about))
}

/// Puts a snapshot back. Refuses while a server runs. Gives what it is of, and the revision that the store then has.
pub fn restore(data_dir: &Path, file: &Path, bump: Option<u64>) -> Result<(About, u64)> {
    let file = match file.exists() {
        true => file.to_owned(),
        false => named(data_dir, file),
    };
    if !file.exists() {
        bail!("no snapshot {}; `knarr snapshot ls` lists them", file.display());
    }
    let about = snapshot::read(&file)?;
    let restored = snapshot::restore(&file, &store(data_dir), bump).map_err(|error| match error {
        snapshot::SnapshotError::Store(storage::EmbeddedError::InUse { .. }) => {
            anyhow::Error::new(error).context("a server is running; stop it first")
        }
        error => error.into(),
    })?;
    Ok((about, restored.0))
}

/// All snapshots of a data directory, oldest first; each is read to its end.
pub fn list(data_dir: &Path) -> Result<Vec<Row>> {
    let dir = dir(data_dir);
    let entries = match std::fs::read_dir(&dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("read {}", dir.display()))?,
    };
    let mut rows = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("read {}", dir.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(SUFFIX) {
            let bytes = entry.metadata().map_or(0, |m| m.len());
            let about = snapshot::read(&entry.path()).map_err(|e| e.to_string());
            rows.push(Row { name, bytes, about });
        }
    }
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(rows)
}

/// When a snapshot was taken.
pub fn saved(about: &About) -> String {
    Timestamp::from_second(about.saved).map_or_else(|_| "?".into(), |t| t.to_string())
}

fn named(data_dir: &Path, file: &Path) -> PathBuf {
    let text = file.to_string_lossy();
    match text.contains('/') {
        true => file.to_owned(),
        false if text.ends_with(SUFFIX) => dir(data_dir).join(file),
        false => dir(data_dir).join(format!("{text}{SUFFIX}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_in_the_directory_of_snapshots() {
        let check = |file: &str, expected: &str| {
            assert_eq!(named(Path::new("/d"), Path::new(file)), Path::new(expected));
        };
        check("before", "/d/snapshots/before.snapshot");
        check("before.snapshot", "/d/snapshots/before.snapshot");
        check("./before", "./before");
        check("/backup/x", "/backup/x");
    }
}

//! The certificates that a data directory holds, for `knarr cert`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use jiff::{SignedDuration, Timestamp};
use pki::identity::{certificates, validity};
use pki::trust::names;
use stdx::SystemClock;

/// A certificate on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The file's name without its ending.
    pub name: String,
    pub subject: String,
    pub from: Timestamp,
    pub until: Timestamp,
    now: Timestamp,
}

/// One that ends so soon should have been renewed.
const SOON: SignedDuration = SignedDuration::from_hours(24 * 30);

impl Found {
    pub fn is_good(&self) -> bool {
        self.from <= self.now && self.now < self.until
    }

    /// In a word or two.
    pub fn state(&self) -> &'static str {
        match () {
            () if self.now < self.from => "not valid yet: is the clock right?",
            () if self.now >= self.until => "expired",
            () if self.until.duration_since(self.now) < SOON => "ends soon",
            () => "ok",
        }
    }
}

/// All of them, by file.
pub fn check(data_dir: &Path) -> Result<Vec<Found>> {
    let now = SystemClock::shared().now();
    let mut found = Vec::new();
    for path in files(data_dir)? {
        let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let chain = certificates(&text).with_context(|| format!("read {}", path.display()))?;
        let leaf = chain.first().with_context(|| format!("{} holds no certificate", path.display()))?;
        let (from, until) = validity(leaf)?;
        let (subject, _) = names(leaf)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        found.push(Found { name, subject: subject.common_name, from, until, now });
    }
    Ok(found)
}

/// Removes what a start issues anew: every certificate but the CA's. Their names.
pub fn rotate(data_dir: &Path) -> Result<Vec<String>> {
    let mut removed = Vec::new();
    for path in files(data_dir)? {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        // An agent's client certificate is its only way to get another.
        if name == "ca" || name == "kubelet-client" {
            continue;
        }
        std::fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
        removed.push(name);
    }
    Ok(removed)
}

/// Of a server (`pki/*.crt`) or an agent (`agent/*.pem`, `agent/ca.crt`).
fn files(data_dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for dir in ["pki", "agent"] {
        let Ok(entries) = std::fs::read_dir(data_dir.join(dir)) else { continue };
        let paths = entries.flatten().map(|e| e.path());
        found.extend(paths.filter(|p| p.extension().is_some_and(|e| e == "crt" || e == "pem")));
    }
    if found.is_empty() {
        bail!("{} holds no certificates; is it the --data-dir of a server or an agent?", data_dir.display());
    }
    found.sort();
    Ok(found)
}

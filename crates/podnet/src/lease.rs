//! What one sandbox holds, kept in one file.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::HostPort;

/// The addresses, link and ports of a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub sandbox: String,
    /// The host's end of the veth pair.
    pub link: String,
    pub netns: PathBuf,
    pub addresses: Vec<IpAddr>,
    pub ports: Vec<HostPort>,
}

impl Lease {
    /// Writes the file whole or not at all.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let path = self.path(dir);
        let temporary = path.with_extension("tmp");
        let json = serde_json::to_vec(self)?;
        let written = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)
            .and_then(|mut f| f.write_all(&json))
            .and_then(|()| fs::rename(&temporary, &path));
        written.with_context(|| format!("write {}", path.display()))
    }

    pub fn delete(&self, dir: &Path) -> Result<()> {
        let path = self.path(dir);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                Err(e).with_context(|| format!("remove {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    fn path(&self, dir: &Path) -> PathBuf {
        dir.join(format!("{}.json", self.sandbox))
    }
}

/// Every lease in `dir`, which is made if absent. Files that are not leases of ours are reported and left alone.
pub fn read_all(dir: &Path) -> Result<BTreeMap<String, Lease>> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("create {}", dir.display()))?;
    let mut leases = BTreeMap::new();
    for entry in fs::read_dir(dir).with_context(|| format!("read {}", dir.display()))? {
        let path = entry?.path();
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        match serde_json::from_slice::<Lease>(&bytes) {
            Ok(lease) => {
                leases.insert(lease.sandbox.clone(), lease);
            }
            Err(e) => tracing::warn!(path = %path.display(), error = %e, "unreadable network lease ignored"),
        }
    }
    Ok(leases)
}

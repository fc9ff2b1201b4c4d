//! Files that only we may read, written whole or not at all.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result};

/// Makes `dir` (and its parents) and gives it mode 0700.
pub fn private_dir(dir: &Path) -> Result<()> {
    let context = || format!("create directory {}", dir.display());
    DirBuilder::new().recursive(true).mode(0o700).create(dir).with_context(context)?;
    std::fs::set_permissions(dir, Permissions::from_mode(0o700)).with_context(context)
}

/// Writes `path` with mode 0600: a reader sees the old file or the new one, also after a crash.
pub fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut tag = [0u8; 8];
    stdx::Random::secret(&mut tag);
    let temporary = dir.join(format!(".{:016x}.tmp", u64::from_le_bytes(tag)));
    let written = write_synced(&temporary, content).and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written.and_then(|()| File::open(dir)?.sync_all()).with_context(|| format!("write {}", path.display()))
}

fn write_synced(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// The file's text, or `None` when it does not exist.
pub fn read_if_there(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).with_context(|| format!("read {}", path.display())),
    }
}

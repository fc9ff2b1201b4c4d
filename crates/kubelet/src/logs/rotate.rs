//! Logs do not grow without end: past a size they are moved aside and the runtime opens a new file; the oldest go.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use cri::RuntimeService;
use jiff::Timestamp;

/// Upstream's defaults.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    pub max_bytes: u64,
    /// The one being written included.
    pub max_files: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Policy { max_bytes: 10 * 1024 * 1024, max_files: 5 }
    }
}

/// Rotates one container's log if it is too large. Whether it was.
pub async fn rotate(
    runtime: &dyn RuntimeService,
    container: &str,
    log: &Path,
    policy: Policy,
    now: Timestamp,
) -> io::Result<bool> {
    let size = match fs::metadata(log) {
        Ok(found) => found.len(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            // An earlier rotation was cut short after the rename: the runtime still writes to the renamed file.
            return reopen(runtime, container).await.map(|()| false);
        }
        Err(e) => return Err(e),
    };
    if size < policy.max_bytes {
        return Ok(false);
    }
    remove_old(log, policy.max_files.saturating_sub(2))?;
    let aside = rotated_name(log, now);
    fs::rename(log, &aside)?;
    if let Err(e) = reopen(runtime, container).await {
        // As before, so that nothing is lost and it is tried again.
        fs::rename(&aside, log)?;
        return Err(e);
    }
    Ok(true)
}

async fn reopen(runtime: &dyn RuntimeService, container: &str) -> io::Result<()> {
    runtime
        .reopen_container_log(container)
        .await
        .map_err(|e| io::Error::other(format!("reopen the log: {e}")))
}

/// `0.log.20260131-120000`
fn rotated_name(log: &Path, now: Timestamp) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(format!(".{}", now.strftime("%Y%m%d-%H%M%S")));
    PathBuf::from(name)
}

/// Keeps the newest `keep` rotated files.
fn remove_old(log: &Path, keep: usize) -> io::Result<()> {
    let mut rotated = rotated(log)?;
    // Their names sort by time.
    rotated.sort();
    let remove = rotated.len().saturating_sub(keep);
    rotated[..remove].iter().try_for_each(fs::remove_file)
}

/// Files that were moved aside.
pub fn rotated(log: &Path) -> io::Result<Vec<PathBuf>> {
    let (Some(dir), Some(name)) = (log.parent(), log.file_name()) else { return Ok(Vec::new()) };
    let prefix = format!("{}.", name.to_string_lossy());
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

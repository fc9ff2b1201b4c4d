//! Files that change all at once: the names a container sees are links through `..data`, and `..data` is a link to the
//! directory of one version, replaced by rename. A reader that holds `..data` open sees one version.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};

const DATA: &str = "..data";
const DATA_NEW: &str = "..data_tmp";

/// One file of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub data: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
    pub owner: Option<u32>,
}

/// Files by their path relative to the volume.
pub type Payload = BTreeMap<String, File>;

/// Makes `dir` show `payload`. `version` names the new directory (`..2026_01_31_12_00_00.123`) and must be new;
/// `prepare` may change ownership of the new version before it is shown. Whether anything was written.
pub fn write(
    dir: &Path,
    payload: &Payload,
    version: &str,
    prepare: &dyn Fn(&Path) -> io::Result<()>,
) -> io::Result<bool> {
    payload.keys().try_for_each(|path| check_path(path))?;
    let data = dir.join(DATA);
    let old = match fs::read_link(&data) {
        Ok(target) => Some(dir.join(target)),
        Err(e) if e.kind() == ErrorKind::NotFound => None,
        Err(e) => return Err(e),
    };
    if let Some(old) = &old
        && shows(old, payload)
    {
        // A crash may have come between the switch and the links.
        link_names(dir, payload)?;
        return Ok(false);
    }
    let new = dir.join(version);
    write_version(&new, payload)?;
    prepare(&new)?;
    let temporary = dir.join(DATA_NEW);
    match fs::remove_file(&temporary) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    symlink(version, &temporary)?;
    fs::rename(&temporary, &data)?;
    link_names(dir, payload)?;
    remove_old(dir, payload, version)?;
    Ok(true)
}

/// Relative, without `..`, and its first name does not begin with `..`.
fn check_path(path: &str) -> io::Result<()> {
    let bad =
        |why: &str| Err(io::Error::new(ErrorKind::InvalidInput, format!("invalid path {path:?}: {why}")));
    if path.is_empty() || Path::new(path).is_absolute() {
        return bad("must be relative and not empty");
    }
    if Path::new(path).components().any(|c| !matches!(c, Component::Normal(_))) {
        return bad("must not contain '..'");
    }
    if path.starts_with("..") {
        return bad("must not start with '..'");
    }
    Ok(())
}

/// Whether a version's directory holds exactly this.
fn shows(version: &Path, payload: &Payload) -> bool {
    let same = payload.iter().all(|(path, file)| {
        let path = version.join(path);
        let mode = fs::metadata(&path).map(|m| m.permissions().mode() & 0o777);
        // fsGroup adds bits to the mode that was written.
        fs::read(&path).is_ok_and(|data| data == file.data)
            && mode.is_ok_and(|m| m & file.mode == file.mode & 0o777)
    });
    let mut files = BTreeSet::new();
    same && collect(version, Path::new(""), &mut files).is_ok() && files.len() == payload.len()
}

fn collect(root: &Path, below: &Path, files: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            collect(root, &path, files)?;
        } else {
            files.insert(path);
        }
    }
    Ok(())
}

fn write_version(new: &Path, payload: &Payload) -> io::Result<()> {
    fs::create_dir(new)?;
    // Not at the mercy of our umask.
    fs::set_permissions(new, fs::Permissions::from_mode(0o755))?;
    for (name, file) in payload {
        let path = new.join(name);
        if let Some(parent) = path.parent().filter(|p| *p != new) {
            fs::create_dir_all(parent)?;
            let mut at = parent;
            while at != new {
                fs::set_permissions(at, fs::Permissions::from_mode(0o755))?;
                at = at.parent().unwrap_or(new);
            }
        }
        fs::write(&path, &file.data)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(file.mode))?;
        if file.owner.is_some() {
            std::os::unix::fs::chown(&path, file.owner, None)?;
        }
    }
    Ok(())
}

/// The first names of the payload's paths.
fn top_names(payload: &Payload) -> BTreeSet<&str> {
    payload.keys().filter_map(|path| path.split('/').next()).collect()
}

fn link_names(dir: &Path, payload: &Payload) -> io::Result<()> {
    for name in top_names(payload) {
        match symlink(Path::new(DATA).join(name), dir.join(name)) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
    }
    Ok(())
}

/// Links to what is no longer there, and earlier versions.
fn remove_old(dir: &Path, payload: &Payload, version: &str) -> io::Result<()> {
    let names = top_names(payload);
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let kind = entry.file_type()?;
        if kind.is_symlink() && name != DATA && !names.contains(&*name) {
            fs::remove_file(entry.path())?;
        } else if kind.is_dir() && name.starts_with("..") && name != version {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

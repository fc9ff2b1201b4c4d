//! A part of a volume, bound to a place of its own before the container sees it, so that a container that swaps a
//! directory for a symbolic link cannot make the host mount what lies elsewhere.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, SFlag, fstat, mkdirat};

use crate::mounts::Mounter;

/// Opens `sub_path` beneath `volume`, making directories that are missing, and binds it to `target`.
pub fn bind(mounter: &dyn Mounter, volume: &Path, sub_path: &str, target: &Path) -> Result<(), String> {
    let fail = |e: io::Error| format!("failed to prepare subPath {sub_path:?} of {}: {e}", volume.display());
    if Path::new(sub_path).is_absolute()
        || Path::new(sub_path).components().any(|c| c == Component::ParentDir)
    {
        return Err(format!("subPath {sub_path:?} must be relative and not contain '..'"));
    }
    let found = open(volume, sub_path).map_err(fail)?;
    let is_dir =
        fstat(&found).map(|s| SFlag::from_bits_truncate(s.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFDIR);
    prepare_target(mounter, target, is_dir.map_err(|e| fail(e.into()))?).map_err(fail)?;
    // The descriptor names what was checked, whatever the path names by now.
    let source = PathBuf::from(format!("/proc/self/fd/{}", found.as_raw_fd()));
    mounter.bind(&source, target).map_err(fail)
}

fn open(volume: &Path, sub_path: &str) -> io::Result<OwnedFd> {
    let how = |flags| {
        OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS)
    };
    let root =
        nix::fcntl::open(volume, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    match openat2(&root, sub_path, how(OFlag::O_PATH | OFlag::O_CLOEXEC)) {
        Err(Errno::ENOENT) => {}
        found => return Ok(found?),
    }
    let mode = Mode::from_bits_truncate(fstat(&root)?.st_mode & 0o7777);
    let mut at = root;
    for part in Path::new(sub_path).components() {
        let Component::Normal(name) = part else { continue };
        let next = || openat2(at.as_fd(), name, how(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC));
        at = match next() {
            Err(Errno::ENOENT) => {
                mkdirat(at.as_fd(), name, Mode::from_bits_truncate(0o750))?;
                let made = next()?;
                // As accessible as the volume itself, whatever our umask.
                fs::set_permissions(format!("/proc/self/fd/{}", made.as_raw_fd()), permissions(mode))?;
                made
            }
            found => found?,
        };
    }
    Ok(at)
}

fn permissions(mode: Mode) -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(mode.bits())
}

/// A directory or an empty file to mount on; an earlier mount of the same name goes.
fn prepare_target(mounter: &dyn Mounter, target: &Path, dir: bool) -> io::Result<()> {
    if target.exists() && mounter.is_mounted(target)? {
        mounter.unmount(target)?;
    }
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    match (dir, target.symlink_metadata().ok().map(|m| m.is_dir())) {
        (true, Some(true)) | (false, Some(false)) => Ok(()),
        (true, Some(false)) => fs::remove_file(target).and_then(|()| fs::create_dir(target)),
        (false, Some(true)) => fs::remove_dir(target).and_then(|()| fs::write(target, "")),
        (true, None) => fs::create_dir(target),
        (false, None) => fs::write(target, ""),
    }
}

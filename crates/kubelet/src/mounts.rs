//! The few mounts a kubelet makes itself: tmpfs for memory and secrets, binds for subPaths.

use std::io;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// Makes and undoes mounts. [`SystemMounter`] asks the kernel; tests keep a list.
pub trait Mounter: Send + Sync + 'static {
    /// `size` in bytes; 0: the kernel's default.
    fn tmpfs(&self, target: &Path, size: u64) -> io::Result<()>;
    /// Binds `source` (not what it is a link to) and what is mounted below it.
    fn bind(&self, source: &Path, target: &Path) -> io::Result<()>;
    fn unmount(&self, target: &Path) -> io::Result<()>;
    fn is_mounted(&self, target: &Path) -> io::Result<bool> {
        Ok(self.below(target)?.iter().any(|m| m == target))
    }
    /// Mount points at or below `dir`, the deepest first.
    fn below(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;

    /// Unmounts everything at and below `dir`.
    fn unmount_all(&self, dir: &Path) -> io::Result<()> {
        for target in self.below(dir)? {
            self.unmount(&target)?;
        }
        Ok(())
    }
}

/// The kernel. Needs CAP_SYS_ADMIN.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemMounter;

const NONE: Option<&str> = None;

impl Mounter for SystemMounter {
    fn tmpfs(&self, target: &Path, size: u64) -> io::Result<()> {
        let mut options = "mode=0777".to_owned();
        if size > 0 {
            options += &format!(",size={size}");
        }
        Ok(mount(Some("tmpfs"), target, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))?)
    }

    fn bind(&self, source: &Path, target: &Path) -> io::Result<()> {
        Ok(mount(Some(source), target, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE)?)
    }

    fn unmount(&self, target: &Path) -> io::Result<()> {
        match umount2(target, MntFlags::UMOUNT_NOFOLLOW) {
            // Somebody still has a file open: it goes when they do. Nothing can be reached through it any more.
            Err(nix::Error::EBUSY) => Ok(umount2(target, MntFlags::UMOUNT_NOFOLLOW | MntFlags::MNT_DETACH)?),
            done => Ok(done?),
        }
    }

    fn below(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let text = std::fs::read_to_string("/proc/self/mountinfo")?;
        // Mount points come without symbolic links.
        let dir = match dir.canonicalize() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            found => found?,
        };
        let mut found: Vec<_> =
            text.lines().filter_map(mount_point).filter(|point| point.starts_with(&dir)).collect();
        found.reverse();
        found.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
        Ok(found)
    }

    fn is_mounted(&self, target: &Path) -> io::Result<bool> {
        let target = target.canonicalize()?;
        Ok(self.below(&target)?.contains(&target))
    }
}

/// The fifth field of a mountinfo line, with its octal escapes undone.
fn mount_point(line: &str) -> Option<PathBuf> {
    let field = line.split(' ').nth(4)?;
    let mut path = Vec::with_capacity(field.len());
    let mut bytes = field.as_bytes();
    while let Some((byte, rest)) = bytes.split_first() {
        let octal = (*byte == b'\\').then(|| rest.get(..3)).flatten();
        let code =
            octal.and_then(|o| std::str::from_utf8(o).ok()).and_then(|o| u8::from_str_radix(o, 8).ok());
        match code {
            Some(code) => {
                path.push(code);
                bytes = &rest[3..];
            }
            None => {
                path.push(*byte);
                bytes = rest;
            }
        }
    }
    Some(PathBuf::from(std::ffi::OsString::from(String::from_utf8_lossy(&path).into_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone() {
        let line = r"36 35 98:0 / /mnt/a\040b\134c rw - ext4 /dev/root rw";
        assert_eq!(mount_point(line), Some(PathBuf::from(r"/mnt/a b\c")));
    }
}

//! Paths inside a container's root, resolved so that no link of the image leads out of it.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{Mode, mkdirat};

/// What a mount goes onto.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Directory,
    File,
}

/// Opens `path` below `root` as `O_PATH`, following links as if `root` were `/`.
pub fn open_in(root: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    Ok(openat2(root, path, how)?)
}

/// Opens `path` below `root`, making what is missing: directories, and a file at its end if that is asked for.
pub fn create_in(root: BorrowedFd<'_>, path: &Path, kind: Kind) -> io::Result<OwnedFd> {
    match open_in(root, path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        found => return found,
    }
    let mut at = open_in(root, Path::new("/"))?;
    let mut walked = std::path::PathBuf::from("/");
    let names: Vec<&OsStr> = path
        .components()
        .filter_map(|c| if let Component::Normal(name) = c { Some(name) } else { None })
        .collect();
    for (i, name) in names.iter().enumerate() {
        let last = i + 1 == names.len();
        walked.push(name);
        at = match open_in(root, &walked) {
            Ok(found) => found,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                make(at.as_fd(), name, if last { kind } else { Kind::Directory })?;
                open_in(root, &walked)?
            }
            Err(e) => return Err(e),
        };
    }
    Ok(at)
}

fn make(parent: BorrowedFd<'_>, name: &OsStr, kind: Kind) -> io::Result<()> {
    let made = match kind {
        Kind::Directory => mkdirat(parent, name, Mode::from_bits_truncate(0o755)),
        Kind::File => {
            let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
            openat(parent, name, flags, Mode::from_bits_truncate(0o644)).map(drop)
        }
    };
    match made {
        // A dangling link: its target cannot be made here without leaving the rules of the lookup above.
        Err(Errno::EEXIST) => Err(io::Error::new(io::ErrorKind::NotFound, "a dangling link is in the way")),
        other => Ok(other?),
    }
}

//! Our own binary, as our children execute it: from a detached read-only mount, so that a container that gets hold of
//! a child's `/proc/PID/exe` cannot write the host's file through it (CVE-2019-5736).

use std::ffi::CString;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::early::MARK;
use crate::sys;

/// The binary, held open as long as the runtime lives. An upgrade that renames a new file over it changes nothing here.
#[derive(Debug)]
pub(crate) struct Program {
    fd: OwnedFd,
}

impl Program {
    /// Detaches the binary at `path` (usually `/proc/self/exe`).
    pub fn detach(path: &Path) -> Result<Self> {
        let fd = read_only_mount(path)
            .or_else(|mount| sealed_copy(path).with_context(|| format!("after {mount}")))
            .context("detach our own binary")?;
        Ok(Program { fd })
    }

    /// A command that runs the binary in `role`.
    pub fn command(&self, role: &str) -> Command {
        role_command(PathBuf::from(format!("/proc/self/fd/{}", self.fd.as_raw_fd())), role)
    }
}

/// The same from within a child, which runs from the detached mount already.
pub(crate) fn own_command(role: &str) -> Command {
    role_command(PathBuf::from("/proc/self/exe"), role)
}

fn role_command(path: PathBuf, role: &str) -> Command {
    let mut command = Command::new(path);
    command.arg0(format!("knarr-{role}")).arg(MARK).arg(role).env_clear();
    command
}

/// Shares the page cache with the running server, so that a shim costs little memory.
fn read_only_mount(path: &Path) -> std::io::Result<OwnedFd> {
    let mount = sys::open_tree(path, false)?;
    let attr = sys::MountAttr {
        set: sys::MOUNT_ATTR_RDONLY | sys::MOUNT_ATTR_NODEV,
        propagation: libc::MS_PRIVATE,
        ..Default::default()
    };
    sys::mount_setattr(mount.as_fd(), attr)?;
    Ok(mount)
}

/// Where the mount cannot be cloned (a binary on a mount of another namespace).
fn sealed_copy(path: &Path) -> Result<OwnedFd> {
    let name = CString::new("knarr")?;
    let fd = memfd_create(name.as_c_str(), MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    let mut copy = std::fs::File::from(fd);
    std::io::copy(&mut std::fs::File::open(path)?, &mut copy)?;
    copy.flush()?;
    let seals =
        SealFlag::F_SEAL_SEAL | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE;
    fcntl(&copy, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(copy.into())
}

//! The re-executed children: single threads that build a container around themselves. Start at [`init`].
//!
//! Nothing here runs inside the server. A child is told what to do by a JSON file on an inherited descriptor and
//! reports through [`Control`].

pub(crate) mod exec;
pub(crate) mod init;
mod mounts;
mod paths;
pub(crate) mod pause;
mod process;
mod rootfs;
pub(crate) mod unpack;
mod user;
pub(crate) mod userns;

use std::fmt::Display;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;

use crate::spec::Progress;
use crate::sys;

/// The socket to whoever started this process. It closes on exec, which tells them that the command runs.
pub(crate) struct Control(OwnedFd);

impl Control {
    pub fn send(&self, progress: &Progress) {
        self.send_with(progress, &[]);
    }

    /// A failure to report is not worth failing for: the shim sees the end of the socket.
    pub fn send_with(&self, progress: &Progress, fds: &[BorrowedFd<'_>]) {
        if let Ok(packet) = serde_json::to_vec(progress) {
            drop(sys::send_packet(self.0.as_fd(), &packet, fds));
        }
    }

    pub fn warn(&self, what: impl Display) {
        self.send(&Progress::Warning(what.to_string()));
    }
}

/// The descriptors that `init` and `exec` inherit: `CONTROL SPEC`, by number.
fn inherited<T: DeserializeOwned>(args: &[String]) -> Result<(Control, T)> {
    let [control, spec] = args else { bail!("expected two descriptors") };
    let control = Control(sys::inherited_fd(control.parse()?)?);
    let mut file = std::fs::File::from(sys::inherited_fd(spec.parse()?)?);
    let mut text = Vec::new();
    file.read_to_end(&mut text).context("read spec")?;
    let spec = serde_json::from_slice(&text).context("parse spec")?;
    Ok((control, spec))
}

/// Moves the calling process into cgroups, one directory per hierarchy.
pub(crate) fn join_cgroups(directories: &[PathBuf]) -> Result<()> {
    for directory in directories {
        write(&directory.join("cgroup.procs"), "0").context("join cgroup")?;
    }
    Ok(())
}

pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

/// Sets our own score; without CAP_SYS_RESOURCE it cannot go below what it is, which is then kept and reported.
fn set_oom_score(score: i64, control: &Control) {
    let path = Path::new("/proc/self/oom_score_adj");
    if std::fs::write(path, score.to_string()).is_ok() {
        return;
    }
    let now = std::fs::read_to_string(path).unwrap_or_default();
    control.warn(format!("oom_score_adj {score} is not permitted here, {} is kept", now.trim()));
}

/// Of the container's memory only what the container itself uses: nobody can look into this process or trace it.
fn undumpable() -> Result<()> {
    sys::prctl(libc::PR_SET_DUMPABLE, 0, 0).context("become undumpable")?;
    Ok(())
}

//! The first process of a PID namespace that a pod's containers share. It reaps what they leave and can do nothing
//! else: empty root, no capabilities, no descriptors.

use std::process::ExitCode;

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid};

use super::{Control, inherited, join_cgroups, undumpable};
use crate::caps;
use crate::spec::{Progress, ShimSpec};
use crate::sys::{self, Fork};

/// `pause CONTROL SPEC`
pub fn main(args: &[String]) -> ExitCode {
    let Ok((control, spec)) = inherited::<ShimSpec>(args) else { return ExitCode::from(2) };
    if let Err(e) = start(&control, &spec) {
        control.send(&Progress::Error(format!("{e:#}")));
        return ExitCode::from(127);
    }
    ExitCode::SUCCESS
}

fn start(control: &Control, spec: &ShimSpec) -> Result<()> {
    undumpable()?;
    join_cgroups(&spec.pause_cgroups)?;
    unshare(CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS).context("create PID namespace")?;
    match sys::fork_single_threaded().context("fork")? {
        Fork::Parent(child) => {
            control.send(&Progress::Pid(child));
            Ok(())
        }
        Fork::Child => {
            if let Err(e) = lock_in(spec) {
                control.send(&Progress::Error(format!("{e:#}")));
                std::process::exit(127);
            }
            // The exec that would close it never comes.
            drop(sys::close_from(3));
            loop {
                nix::unistd::pause();
            }
        }
    }
}

/// The other containers may be allowed to look at process 1: there is nothing to be found.
fn lock_in(spec: &ShimSpec) -> Result<()> {
    nix::unistd::setsid().context("start session")?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_SLAVE | MsFlags::MS_REC, None::<&str>)
        .context("keep mounts from the host")?;
    mount(Some("tmpfs"), &spec.dir, Some("tmpfs"), MsFlags::MS_RDONLY, Some("size=0k"))
        .context("mount empty root")?;
    nix::unistd::chdir(&spec.dir).context("enter empty root")?;
    let last = caps::last();
    sys::pivot_to_current_directory().context("pivot root")?;
    for cap in 0..=last {
        sys::prctl(libc::PR_CAPBSET_DROP, cap, 0).context("drop capability")?;
    }
    sys::ignore_children().context("leave children to the kernel")?;
    let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    nix::unistd::setgroups(&[]).context("set groups")?;
    nix::unistd::setresgid(gid, gid, gid).context("set group")?;
    nix::unistd::setresuid(uid, uid, uid).context("set user")?;
    sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0).context("set no_new_privs")?;
    spec.seccomp
        .iter()
        .try_for_each(|filter| sys::seccomp_filter(filter))
        .context("install seccomp filter")?;
    undumpable()
}

/// The user of upstream's pause image.
const NOBODY: u32 = 65535;

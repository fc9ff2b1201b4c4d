//! The first process of a container: joins cgroups and namespaces, builds the root file system, becomes the command.

use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, setns, unshare};

use super::{Control, inherited, join_cgroups, process, rootfs, set_oom_score, undumpable};
use crate::spec::{InitSpec, PidNamespace, Progress};
use crate::sys::{self, Fork};

/// `init CONTROL SPEC PAUSE [USERNS]`: the pause process's id, 0 without one, and a descriptor.
pub fn main(args: &[String]) -> ExitCode {
    let Some((descriptors, [pause, userns @ ..])) = args.split_at_checked(2) else {
        return ExitCode::from(2);
    };
    let userns = userns.first().map(|fd| sys::inherited_fd(fd.parse().unwrap_or(-1))).transpose();
    let (Ok(pause), Ok(userns)) = (pause.parse(), userns) else { return ExitCode::from(2) };
    let Ok((control, spec)) = inherited::<InitSpec>(descriptors) else { return ExitCode::from(2) };
    match start(&control, &spec, pause, userns) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            control.send(&Progress::Error(format!("{e:#}")));
            ExitCode::from(127)
        }
    }
}

/// Returns only in the first of the two processes, which leaves at once, and on failure.
fn start(control: &Control, spec: &InitSpec, pause: u32, userns: Option<OwnedFd>) -> Result<()> {
    undumpable()?;
    join_cgroups(&spec.cgroups)?;
    set_oom_score(spec.oom_score_adj, control);
    let mut new = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWCGROUP;
    match spec.pid {
        PidNamespace::New => new |= CloneFlags::CLONE_NEWPID,
        PidNamespace::Host => {}
        PidNamespace::Of(pid) => join_pid_namespace(pid)?,
        PidNamespace::Sandbox if pause == 0 => bail!("the sandbox's pause process has ended"),
        PidNamespace::Sandbox => join_pid_namespace(pause)?,
    }
    unshare(new).context("create namespaces")?;
    // A PID namespace holds only for children, and the host sees the child's id only from here.
    match sys::fork_single_threaded().context("fork")? {
        Fork::Parent(child) => {
            control.send(&Progress::Pid(child));
            Ok(())
        }
        Fork::Child => match become_container(control, spec, userns) {
            Ok(never) => match never {},
            Err(e) => {
                control.send(&Progress::Error(format!("{e:#}")));
                std::process::exit(127);
            }
        },
    }
}

fn join_pid_namespace(pid: u32) -> Result<()> {
    let namespace = std::fs::File::open(format!("/proc/{pid}/ns/pid")).context("open PID namespace")?;
    setns(namespace.as_fd(), CloneFlags::CLONE_NEWPID).context("join PID namespace")
}

fn become_container(
    control: &Control,
    spec: &InitSpec,
    userns: Option<OwnedFd>,
) -> Result<std::convert::Infallible> {
    let userns = userns.as_ref().map(|fd| fd.as_fd());
    nix::unistd::setsid().context("start session")?;
    rootfs::enter(spec, userns, control)?;
    process::become_command(&spec.process, userns, control)
}

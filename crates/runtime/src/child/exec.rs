//! A further process in a running container.

use std::os::fd::AsFd;
use std::process::ExitCode;

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, setns};

use super::{Control, inherited, join_cgroups, process, set_oom_score, undumpable};
use crate::spec::{ExecSpec, Progress};
use crate::sys::{self, Fork};

/// `exec CONTROL SPEC`
pub fn main(args: &[String]) -> ExitCode {
    let Ok((control, spec)) = inherited::<ExecSpec>(args) else { return ExitCode::from(2) };
    match start(&control, &spec) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            control.send(&Progress::Error(format!("{e:#}")));
            ExitCode::from(127)
        }
    }
}

fn start(control: &Control, spec: &ExecSpec) -> Result<()> {
    undumpable()?;
    // Held before the namespaces are joined: the number means nothing inside.
    let target = sys::pidfd_open(spec.target).context("container is not running")?;
    join_cgroups(&spec.cgroups)?;
    set_oom_score(spec.oom_score_adj, control);
    let namespaces = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWCGROUP
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS;
    // All at once, of one process: there is no moment in between and no path to look up.
    setns(target.as_fd(), namespaces).context("join the container's namespaces")?;
    match sys::fork_single_threaded().context("fork")? {
        Fork::Parent(child) => {
            control.send(&Progress::Pid(child));
            Ok(())
        }
        Fork::Child => {
            let failed = nix::unistd::setsid().context("start session").and_then(|_| {
                let userns = spec.process.userns.as_ref().map(|_| target.as_fd());
                process::become_command(&spec.process, userns, control)
            });
            match failed {
                Ok(never) => match never {},
                Err(e) => control.send(&Progress::Error(format!("{e:#}"))),
            }
            std::process::exit(127)
        }
    }
}

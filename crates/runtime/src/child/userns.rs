//! Makes a user namespace, and the sandbox's other namespaces in it, for the shim to take over. Only a process that has
//! left the host's user namespace can make namespaces that the new one owns, and the shim must not leave it.

use std::os::fd::AsFd;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, unshare};

use super::{Control, inherited, undumpable};
use crate::spec::{Progress, ShimSpec};
use crate::sys;

/// `userns CONTROL SPEC`
pub fn main(args: &[String]) -> ExitCode {
    let Ok((control, spec)) = inherited::<ShimSpec>(args) else { return ExitCode::from(2) };
    match hold(&control, &spec) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            control.send(&Progress::Error(format!("{e:#}")));
            ExitCode::FAILURE
        }
    }
}

fn hold(control: &Control, spec: &ShimSpec) -> Result<()> {
    unshare(CloneFlags::CLONE_NEWUSER).context("create user namespace")?;
    control.send(&Progress::Pid(std::process::id()));
    // The shim writes the mappings: only the host's root may map more than one user.
    let (go, _) = sys::receive_packet(control.0.as_fd())?;
    if go.is_empty() {
        bail!("the shim has ended");
    }
    undumpable()?;
    unshare(crate::shim::namespaces(spec)).context("create namespaces")?;
    control.send(&Progress::Namespaces);
    // Until the shim has opened them and closes its end.
    sys::receive_packet(control.0.as_fd())?;
    Ok(())
}

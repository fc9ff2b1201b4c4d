//! What a shim is before it serves: detached from the server, in the sandbox's namespaces.

use std::fs;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;

use anyhow::{Context, Result, bail};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::children;
use crate::child::{join_cgroups, write};
use crate::spec::ShimSpec;
use crate::sys;

/// Leaves the server's session, cgroups and directory.
pub fn detach(spec: &ShimSpec) -> Result<()> {
    nix::unistd::setsid().context("start session")?;
    std::env::set_current_dir("/")?;
    join_cgroups(&spec.cgroups)?;
    sys::ignore_termination().context("ignore signals")?;
    sys::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0).context("become subreaper")?;
    sys::prctl(libc::PR_SET_DUMPABLE, 0, 0).context("become undumpable")?;
    // Best effort: without CAP_SYS_RESOURCE the score stays what the server's is.
    drop(fs::write("/proc/self/oom_score_adj", "-998"));
    Ok(())
}

/// The namespaces that a sandbox has of its own, its user namespace apart.
pub(crate) fn namespaces(spec: &ShimSpec) -> CloneFlags {
    let mut new = CloneFlags::empty();
    new.set(CloneFlags::CLONE_NEWNET, spec.new_network);
    new.set(CloneFlags::CLONE_NEWIPC, spec.new_ipc);
    new.set(CloneFlags::CLONE_NEWUTS, spec.hostname.is_some());
    new
}

/// Makes the namespaces and fits them out; returns the user namespace if there is one.
pub fn create(spec: &ShimSpec) -> Result<Option<OwnedFd>> {
    let userns = match &spec.userns {
        Some(_) => Some(children::enter_user_owned_namespaces(spec)?),
        None => {
            unshare(namespaces(spec)).context("create namespaces")?;
            None
        }
    };
    if spec.new_network {
        sys::loopback_up().context("bring loopback up")?;
        let pin = spec.dir.join("netns");
        fs::File::create(&pin).context("create netns file")?;
        mount(Some("/proc/self/ns/net"), &pin, None::<&str>, MsFlags::MS_BIND, None::<&str>)
            .context("pin network namespace")?;
    }
    if let Some(hostname) = &spec.hostname {
        nix::unistd::sethostname(hostname).context("set host name")?;
    }
    sysctls(spec)?;
    Ok(userns)
}

/// Unprivileged ping and low ports, unless the pod says otherwise; nobody outside the pod is concerned.
const NETWORK_SYSCTLS: &[(&str, &str)] =
    &[("net.ipv4.ping_group_range", "0 2147483647"), ("net.ipv4.ip_unprivileged_port_start", "0")];

fn sysctls(spec: &ShimSpec) -> Result<()> {
    for (name, value) in NETWORK_SYSCTLS {
        if spec.new_network && !spec.sysctls.contains_key(*name) {
            set_sysctl(name, value)?;
        }
    }
    for (name, value) in &spec.sysctls {
        if !namespaced(name, spec) {
            bail!("sysctl {name:?} is not separately kept for the pod");
        }
        set_sysctl(name, value)?;
    }
    Ok(())
}

/// Whether setting it stays within the sandbox.
fn namespaced(name: &str, spec: &ShimSpec) -> bool {
    let name = name.replace('/', ".");
    let ipc = ["kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem"];
    let ipc =
        ipc.contains(&name.as_str()) || name.starts_with("kernel.shm") || name.starts_with("fs.mqueue.");
    (name.starts_with("net.") && spec.new_network)
        || (ipc && spec.new_ipc)
        || (name == "kernel.domainname" && spec.hostname.is_some())
}

fn set_sysctl(name: &str, value: &str) -> Result<()> {
    if name.contains("..") {
        bail!("invalid sysctl {name:?}");
    }
    // Either separator may be used; the first one says which, the other is part of a name (an interface's dot).
    let path = match name.find(['.', '/']) {
        Some(at) if name.as_bytes()[at] == b'.' => name
            .chars()
            .map(|c| {
                if c == '.' {
                    '/'
                } else if c == '/' {
                    '.'
                } else {
                    c
                }
            })
            .collect(),
        _ => name.to_string(),
    };
    write(&Path::new("/proc/sys").join(path), value).with_context(|| format!("set sysctl {name}"))
}

/// Tells the server, and lets go of the pipe to it.
pub fn announce(error: Option<&str>) {
    let line = match error {
        None => "{}\n".to_string(),
        Some(error) => format!("{}\n", serde_json::json!({ "error": error })),
    };
    // Whether the server is there to read it changes nothing here.
    drop(std::io::stdout().write_all(line.as_bytes()));
    drop(std::io::stdout().flush());
    if let Ok(null) = fs::OpenOptions::new().read(true).write(true).open("/dev/null") {
        _ = nix::unistd::dup2_stdout(&null);
    }
}

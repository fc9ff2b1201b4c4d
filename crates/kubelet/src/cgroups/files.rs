//! cgroup files of both versions.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::{Hierarchy, Mount};
use crate::amounts::CPU_PERIOD;

/// What is set; `None` leaves it, 0 is unlimited (shares: the least).
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    pub cpu_shares: Option<i64>,
    /// Microseconds per [`CPU_PERIOD`].
    pub cpu_quota: Option<i64>,
    /// Bytes.
    pub memory: Option<i64>,
}

/// What a cgroup uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub cpu_nanoseconds: u64,
    pub memory_bytes: u64,
    pub memory_working_set: u64,
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    // Not fs::write: these files must not be created, and O_TRUNC is refused on some kernels.
    let written = fs::OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut f| io::Write::write_all(&mut f, text.as_bytes()));
    written.map_err(|e| io::Error::new(e.kind(), format!("write {text:?} to {}: {e}", path.display())))
}

fn make(dir: &Path) -> io::Result<()> {
    match fs::create_dir(dir) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => {
            Err(io::Error::new(e.kind(), format!("create cgroup {}: {e}", dir.display())))
        }
        _ => Ok(()),
    }
}

/// Each directory of the way, so that each can get what its children need.
pub fn create_v1(mount: &Mount, name: &str) -> io::Result<()> {
    let mut dir = mount.path.clone();
    for part in name.split('/') {
        let parent = dir.clone();
        dir.push(part);
        make(&dir)?;
        if mount.controllers.iter().any(|c| c == "cpuset") {
            inherit_cpuset(&parent, &dir)?;
        }
        if mount.controllers.iter().any(|c| c == "memory") {
            // Usage of a pod includes its containers'. Gone (always on) in new kernels, refused when children exist.
            let _ = write(&dir.join("memory.use_hierarchy"), "1");
        }
    }
    Ok(())
}

/// A v1 cpuset is born empty, and nothing can run in an empty one.
fn inherit_cpuset(parent: &Path, dir: &Path) -> io::Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let own = fs::read_to_string(dir.join(file))?;
        if own.trim().is_empty() {
            write(&dir.join(file), fs::read_to_string(parent.join(file))?.trim())?;
        }
    }
    Ok(())
}

pub fn create_v2(root: &Path, name: &str) -> io::Result<()> {
    let mut dir = root.to_owned();
    for part in name.split('/') {
        // What the parent does not hand down, its children do not have.
        let available = fs::read_to_string(dir.join("cgroup.controllers"))?;
        for controller in available.split_whitespace() {
            let _ = write(&dir.join("cgroup.subtree_control"), &format!("+{controller}"));
        }
        dir.push(part);
        make(&dir)?;
    }
    let available = fs::read_to_string(dir.join("cgroup.controllers"))?;
    for controller in available.split_whitespace() {
        let _ = write(&dir.join("cgroup.subtree_control"), &format!("+{controller}"));
    }
    Ok(())
}

pub fn write_limits(hierarchy: &Hierarchy, name: &str, limits: &Limits) -> io::Result<()> {
    match hierarchy {
        Hierarchy::V1 { mounts } => mounts.iter().try_for_each(|mount| {
            let dir = mount.path.join(name);
            let has = |controller: &str| mount.controllers.iter().any(|c| c == controller);
            if has("cpu") {
                cpu_v1(&dir, limits)?;
            }
            match limits.memory {
                Some(bytes) if has("memory") => {
                    write(&dir.join("memory.limit_in_bytes"), &unlimited(bytes, "-1"))
                }
                _ => Ok(()),
            }
        }),
        Hierarchy::V2 { root } => limit_v2(&root.join(name), limits),
    }
}

fn unlimited(value: i64, word: &str) -> String {
    if value == 0 { word.to_owned() } else { value.to_string() }
}

fn cpu_v1(dir: &Path, limits: &Limits) -> io::Result<()> {
    if let Some(shares) = limits.cpu_shares {
        write(&dir.join("cpu.shares"), &shares.to_string())?;
    }
    if let Some(quota) = limits.cpu_quota {
        write(&dir.join("cpu.cfs_period_us"), &CPU_PERIOD.to_string())?;
        write(&dir.join("cpu.cfs_quota_us"), &unlimited(quota, "-1"))?;
    }
    Ok(())
}

fn limit_v2(dir: &Path, limits: &Limits) -> io::Result<()> {
    let has = |controller: &str| {
        fs::read_to_string(dir.join("cgroup.controllers"))
            .is_ok_and(|text| text.split_whitespace().any(|c| c == controller))
    };
    if let Some(shares) = limits.cpu_shares.filter(|_| has("cpu")) {
        // The range of shares onto the range of weights.
        let weight = 1 + (shares.max(2) - 2) * 9999 / 262_142;
        write(&dir.join("cpu.weight"), &weight.to_string())?;
    }
    if let Some(quota) = limits.cpu_quota.filter(|_| has("cpu")) {
        write(&dir.join("cpu.max"), &format!("{} {CPU_PERIOD}", unlimited(quota, "max")))?;
    }
    if let Some(bytes) = limits.memory.filter(|_| has("memory")) {
        write(&dir.join("memory.max"), &unlimited(bytes, "max"))?;
    }
    Ok(())
}

/// Removes a cgroup with those below it. Its processes are killed, and then it is an error this time.
pub fn remove(dir: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            remove(&entry.path())?;
        }
    }
    let removed = fs::remove_dir(dir);
    match removed {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            kill_all(dir);
            Err(io::Error::new(e.kind(), format!("remove cgroup {}: {e}", dir.display())))
        }
        _ => Ok(()),
    }
}

fn kill_all(dir: &Path) {
    let pids = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    for pid in pids.lines().filter_map(|l| l.parse::<i32>().ok()).filter(|pid| *pid > 1) {
        // Gone meanwhile: all the better.
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
    }
}

pub fn usage(hierarchy: &Hierarchy, name: &str) -> Usage {
    let number =
        |path: &Path| fs::read_to_string(path).ok().and_then(|t| t.trim().parse::<u64>().ok()).unwrap_or(0);
    let field = |path: &Path, key: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(' ')?.parse::<u64>().ok());
        line.unwrap_or(0)
    };
    match hierarchy {
        Hierarchy::V2 { root } => {
            let dir = root.join(name);
            let memory_bytes = number(&dir.join("memory.current"));
            Usage {
                cpu_nanoseconds: field(&dir.join("cpu.stat"), "usage_usec") * 1000,
                memory_bytes,
                memory_working_set: memory_bytes
                    .saturating_sub(field(&dir.join("memory.stat"), "inactive_file")),
            }
        }
        Hierarchy::V1 { mounts } => {
            let of = |controller: &str| {
                mounts
                    .iter()
                    .find(|m| m.controllers.iter().any(|c| c == controller))
                    .map(|m| m.path.join(name))
            };
            let memory = of("memory").unwrap_or_default();
            let memory_bytes = number(&memory.join("memory.usage_in_bytes"));
            let inactive = field(&memory.join("memory.stat"), "total_inactive_file");
            Usage {
                cpu_nanoseconds: number(&of("cpuacct").unwrap_or_default().join("cpuacct.usage")),
                memory_bytes,
                memory_working_set: memory_bytes.saturating_sub(inactive),
            }
        }
    }
}

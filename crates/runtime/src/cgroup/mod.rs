//! Control groups of version 1, hybrid and 2: where they are, limits, figures, the end of everything in one. Start at
//! [`Hierarchy::detect`].
//!
//! A group is a list of directories, one per hierarchy; with version 2 alone it is one. The kubelet makes the pods'
//! groups and sets their limits; here are the containers' below them and the shims'.

mod bpf;
mod devices;
mod limits;
mod stats;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

pub(crate) use devices::allow_devices;
pub(crate) use limits::set_limits;
pub(crate) use stats::usage;

/// How this machine's cgroups are mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    /// Every mounted hierarchy's root directory, with version 2's (if any) last.
    roots: Vec<PathBuf>,
    /// Version 2 alone.
    unified: bool,
}

impl Hierarchy {
    /// Reads what is mounted below /sys/fs/cgroup.
    pub fn detect() -> Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").context("read mounts")?;
        Self::parse(&mounts).context("no cgroup file system is mounted")
    }

    fn parse(mountinfo: &str) -> Option<Self> {
        let of_type = |wanted: &str| -> Vec<PathBuf> {
            let matching = mountinfo.lines().filter_map(|line| {
                let (head, tail) = line.split_once(" - ")?;
                let target = head.split(' ').nth(4)?;
                let usual = target.starts_with("/sys/fs/cgroup");
                (tail.split(' ').next() == Some(wanted) && usual).then(|| PathBuf::from(target))
            });
            matching.collect()
        };
        let (mut roots, v2) = (of_type("cgroup"), of_type("cgroup2"));
        roots.dedup();
        let unified = roots.is_empty();
        roots.extend(v2.into_iter().last());
        (!roots.is_empty()).then_some(Hierarchy { roots, unified })
    }

    /// Whether only version 2 is there.
    pub fn is_unified(&self) -> bool {
        self.unified
    }

    /// The directories of the group at `path`, relative to the roots.
    pub fn group(&self, path: &str) -> Vec<PathBuf> {
        let path = path.trim_start_matches('/');
        self.roots.iter().map(|root| root.join(path)).collect()
    }

    /// Makes the group at `path`, with its parents.
    pub fn create(&self, path: &str) -> Result<Vec<PathBuf>> {
        let path = path.trim_start_matches('/');
        for root in &self.roots {
            let mut at = root.clone();
            for name in Path::new(path).components() {
                if self.unified {
                    enable_controllers(&at);
                }
                at.push(name);
                match fs::create_dir(&at) {
                    Ok(()) => fill_cpuset(&at)?,
                    Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(e) => return Err(e).with_context(|| format!("create cgroup {}", at.display())),
                }
            }
        }
        Ok(self.group(path))
    }
}

/// Gives children of a version 2 group what it has itself. Fails where processes live in the group: then its children
/// have no controllers, which shows when a limit is set.
fn enable_controllers(directory: &Path) {
    let available = fs::read_to_string(directory.join("cgroup.controllers")).unwrap_or_default();
    let enabled = fs::read_to_string(directory.join("cgroup.subtree_control")).unwrap_or_default();
    for controller in available.split_whitespace() {
        if !enabled.split_whitespace().any(|e| e == controller) {
            drop(fs::write(directory.join("cgroup.subtree_control"), format!("+{controller}")));
        }
    }
}

/// A version 1 cpuset takes no process before it is told which processors and memory nodes; those of its parent.
fn fill_cpuset(directory: &Path) -> Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let own = directory.join(file);
        let (Ok(value), Some(parent)) = (fs::read_to_string(&own), directory.parent()) else { continue };
        // Version 2 inherits; its file is empty and stays so.
        if !value.trim().is_empty() || directory.join("cgroup.controllers").exists() {
            continue;
        }
        let inherited = fs::read_to_string(parent.join(file)).unwrap_or_default();
        fs::write(&own, inherited.trim()).with_context(|| format!("write {}", own.display()))?;
    }
    Ok(())
}

/// Removes a group that no process is in; one that is not there is fine.
pub(crate) fn remove(directories: &[PathBuf]) -> io::Result<()> {
    for directory in directories {
        remove_tree(directory)?;
    }
    Ok(())
}

fn remove_tree(directory: &Path) -> io::Result<()> {
    if let Ok(entries) = fs::read_dir(directory) {
        for entry in entries.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())) {
            remove_tree(&entry.path())?;
        }
    }
    match fs::remove_dir(directory) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn processes_of(directory: &Path) -> Vec<u32> {
    let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid != 0).collect()
}

/// Kills every process in the group and in groups below it: in one stroke where the kernel can, else frozen first, so
/// that none can start another meanwhile.
pub(crate) fn kill_all(directories: &[PathBuf]) {
    if directories.iter().any(|d| fs::write(d.join("cgroup.kill"), "1").is_ok()) {
        return;
    }
    let freezer = directories.iter().map(|d| d.join("freezer.state")).find(|f| f.exists());
    if let Some(freezer) = &freezer {
        drop(fs::write(freezer, "FROZEN"));
    }
    let mut all = Vec::new();
    directories.iter().for_each(|d| collect(d, &mut all));
    all.sort_unstable();
    all.dedup();
    for pid in all {
        drop(crate::sys::kill(pid, libc::SIGKILL));
    }
    if let Some(freezer) = &freezer {
        drop(fs::write(freezer, "THAWED"));
    }
}

fn collect(directory: &Path, all: &mut Vec<u32>) {
    all.extend(processes_of(directory));
    if let Ok(entries) = fs::read_dir(directory) {
        let below = entries.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
        below.for_each(|e| collect(&e.path(), all));
    }
}

/// Whether the kernel killed a process of the group for want of memory.
pub(crate) fn oom_killed(directories: &[PathBuf]) -> bool {
    let killed = |file: PathBuf| {
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines().filter_map(|line| line.strip_prefix("oom_kill ")).any(|n| n.trim() != "0")
    };
    directories.iter().any(|d| killed(d.join("memory.events")) || killed(d.join("memory.oom_control")))
}

#[cfg(test)]
mod tests;

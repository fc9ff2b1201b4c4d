//! Limits of a group, in either version's files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// CRI's numbers; zero and empty: not limited.
pub(crate) type Limits = cri::LinuxContainerResources;

/// Writes what is asked for. With version 1 each file is in the hierarchy that has it.
pub(crate) fn set_limits(directories: &[PathBuf], unified: bool, limits: &Limits) -> Result<()> {
    let writes = if unified { version_2(limits) } else { version_1(limits, directories) };
    for (file, value) in writes {
        let path = find(directories, file).with_context(|| format!("this machine has no {file}"))?;
        fs::write(&path, &value).with_context(|| format!("write {value:?} to {}", path.display()))?;
    }
    if unified {
        for (file, value) in &limits.unified {
            // A name with a separator would lead out of the group.
            let path = find(directories, file).filter(|_| !file.contains('/'));
            let path = path.with_context(|| format!("this machine has no {file}"))?;
            fs::write(&path, value).with_context(|| format!("write {value:?} to {}", path.display()))?;
        }
    }
    Ok(())
}

fn find(directories: &[PathBuf], file: &str) -> Option<PathBuf> {
    directories.iter().map(|d| d.join(file)).find(|path| path.exists())
}

fn version_1(limits: &Limits, directories: &[PathBuf]) -> Vec<(&'static str, String)> {
    let mut writes = Vec::new();
    if limits.cpu_shares > 0 {
        writes.push(("cpu.shares", limits.cpu_shares.to_string()));
    }
    if limits.cpu_period > 0 {
        writes.push(("cpu.cfs_period_us", limits.cpu_period.to_string()));
    }
    if limits.cpu_quota != 0 {
        writes.push(("cpu.cfs_quota_us", limits.cpu_quota.to_string()));
    }
    if limits.memory_limit_in_bytes > 0 {
        writes.extend(memory_1(limits.memory_limit_in_bytes, directories));
    }
    if limits.pids_limit > 0 {
        writes.push(("pids.max", limits.pids_limit.to_string()));
    }
    writes.extend(cpuset(limits));
    writes
}

/// Memory and memory with swap are the same number: no swap. The kernel wants the first never above the second.
fn memory_1(limit: i64, directories: &[PathBuf]) -> Vec<(&'static str, String)> {
    let both = "memory.memsw.limit_in_bytes";
    let mut writes = vec![("memory.limit_in_bytes", limit.to_string())];
    if let Some(path) = find(directories, both) {
        let now = fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u64>().ok());
        let grows = now.is_some_and(|now| now < limit as u64);
        writes.insert(if grows { 0 } else { 1 }, (both, limit.to_string()));
    }
    writes
}

fn version_2(limits: &Limits) -> Vec<(&'static str, String)> {
    let mut writes = Vec::new();
    if limits.cpu_shares > 0 {
        writes.push(("cpu.weight", weight(limits.cpu_shares).to_string()));
    }
    if limits.cpu_quota != 0 {
        let quota = if limits.cpu_quota > 0 { limits.cpu_quota.to_string() } else { "max".to_string() };
        let period = if limits.cpu_period > 0 { limits.cpu_period } else { 100_000 };
        writes.push(("cpu.max", format!("{quota} {period}")));
    }
    if limits.memory_limit_in_bytes > 0 {
        writes.push(("memory.max", limits.memory_limit_in_bytes.to_string()));
        if Path::new("/proc/swaps").exists() && !limits.unified.contains_key("memory.swap.max") {
            writes.push(("memory.swap.max", "0".to_string()));
        }
    }
    if limits.pids_limit > 0 {
        writes.push(("pids.max", limits.pids_limit.to_string()));
    }
    writes.extend(cpuset(limits));
    writes
}

fn cpuset(limits: &Limits) -> Vec<(&'static str, String)> {
    let mut writes = Vec::new();
    if !limits.cpuset_cpus.is_empty() {
        writes.push(("cpuset.cpus", limits.cpuset_cpus.clone()));
    }
    if !limits.cpuset_mems.is_empty() {
        writes.push(("cpuset.mems", limits.cpuset_mems.clone()));
    }
    writes
}

/// Shares (2 to 262144) as a weight (1 to 10000), by the formula of KEP-2254.
fn weight(shares: i64) -> i64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(limits: Limits, version_1_files: &str, version_2_files: &str) {
        let show = |writes: Vec<(&str, String)>| {
            writes.iter().map(|(f, v)| format!("{f}={v}")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(show(version_1(&limits, &[])), version_1_files);
        assert_eq!(show(version_2(&limits)), version_2_files);
    }

    #[test]
    fn each_version_has_its_files() {
        check(Limits::default(), "", "");
        check(Limits { cpu_shares: 1024, ..Limits::default() }, "cpu.shares=1024", "cpu.weight=39");
        check(
            Limits { cpu_quota: 50_000, cpu_period: 100_000, ..Limits::default() },
            "cpu.cfs_period_us=100000 cpu.cfs_quota_us=50000",
            "cpu.max=50000 100000",
        );
        check(
            Limits { memory_limit_in_bytes: 4096, pids_limit: 9, ..Limits::default() },
            "memory.limit_in_bytes=4096 pids.max=9",
            "memory.max=4096 memory.swap.max=0 pids.max=9",
        );
    }

    #[test]
    fn weights_span_the_range() {
        assert_eq!((weight(0), weight(2), weight(262_144)), (1, 1, 10_000));
    }
}

//! What a group uses.

use std::fs;
use std::path::PathBuf;

/// Processor time and memory of a group; zero where the machine does not count it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub cpu_nanoseconds: u64,
    pub memory_bytes: u64,
    pub working_set_bytes: u64,
    pub rss_bytes: u64,
}

/// Reads the figures of either version.
pub(crate) fn usage(directories: &[PathBuf]) -> Usage {
    let read = |file: &str| directories.iter().find_map(|d| fs::read_to_string(d.join(file)).ok());
    let number = |file: &str| read(file).and_then(|text| text.trim().parse::<u64>().ok());
    let memory_stat = read("memory.stat").unwrap_or_default();
    let stat = |name: &str| field(&memory_stat, name);
    let memory = number("memory.usage_in_bytes").or_else(|| number("memory.current")).unwrap_or(0);
    let inactive = stat("total_inactive_file").or_else(|| stat("inactive_file")).unwrap_or(0);
    let cpu = number("cpuacct.usage").or_else(|| {
        let text = directories.iter().filter_map(|d| fs::read_to_string(d.join("cpu.stat")).ok());
        text.filter_map(|text| field(&text, "usage_usec")).next().map(|micros| micros * 1000)
    });
    Usage {
        cpu_nanoseconds: cpu.unwrap_or(0),
        memory_bytes: memory,
        working_set_bytes: memory.saturating_sub(inactive),
        rss_bytes: stat("total_rss").or_else(|| stat("anon")).unwrap_or(0),
    }
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

//! What the kernel knows of this process, under the names that Prometheus' own clients use.

use std::fmt::Write as _;

use super::header;
use crate::version;

/// Ticks of `utime` and `starttime` in a second: Linux shows programs no other number.
const TICKS: f64 = 100.0;

/// Leaves out what cannot be read.
pub(super) fn render(out: &mut String) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may hold anything, the state is field 3 of proc(5).
    let fields: Vec<f64> = stat
        .rsplit_once(") ")
        .map(|(_, rest)| rest.split_whitespace().map(|f| f.parse().unwrap_or(0.0)).collect())
        .unwrap_or_default();
    let field = |number: usize| fields.get(number - 3).copied();
    let booted = std::fs::read_to_string("/proc/stat").ok().and_then(|text| number(&text, "btime"));
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kibibytes = |name: &str| number(&status, name).map(|n| n * 1024.0);
    let open = std::fs::read_dir("/proc/self/fd").ok().map(|fds| fds.count() as f64);
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let most = limits
        .lines()
        .find_map(|l| l.strip_prefix("Max open files")?.split_whitespace().next()?.parse().ok());

    type Metric<'a> = (&'a str, &'a str, Option<f64>);
    let cpu = field(14).zip(field(15)).map(|(user, system)| (user + system) / TICKS);
    let started = field(22).zip(booted).map(|(ticks, booted)| booted + ticks / TICKS);
    let all: [Metric<'_>; 7] = [
        ("process_cpu_seconds_total", "counter", cpu),
        ("process_max_fds", "gauge", most),
        ("process_open_fds", "gauge", open),
        ("process_resident_memory_bytes", "gauge", kibibytes("VmRSS:")),
        ("process_start_time_seconds", "gauge", started),
        ("process_threads", "gauge", field(20)),
        ("process_virtual_memory_bytes", "gauge", kibibytes("VmSize:")),
    ];
    for (name, kind, value) in all {
        if let Some(value) = value {
            header(out, name, kind, "Of this process, by /proc.");
            let _ = writeln!(out, "{name} {value}");
        }
    }
    header(out, "kubernetes_build_info", "gauge", "Which version this is.");
    let _ = writeln!(
        out,
        "kubernetes_build_info{{git_commit=\"{}\",git_version=\"{}\",major=\"{}\",minor=\"{}\"}} 1",
        version::GIT_COMMIT,
        version::GIT_VERSION,
        version::MAJOR,
        version::MINOR
    );
}

/// The first number of the line that begins with `name`.
fn number(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|l| l.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
}

//! `cargo xtask bench idle`: what a one-node cluster costs that nobody uses, printed, never judged.
//!
//! KNARR_IDLE_MINUTES says how long it is looked at; the first minute, in which it settles, is not counted.

use std::fs;
use std::path::Path;
use std::time::Duration;

use e2e::Cluster;

const SETTLES: Duration = Duration::from_secs(60);

fn main() {
    let minutes = std::env::var("KNARR_IDLE_MINUTES").ok().and_then(|m| m.parse().ok()).unwrap_or(5_u64);
    let cluster = Cluster::start("idle");
    std::thread::sleep(SETTLES);
    let before = Usage::of(cluster.pid());
    let files = sizes(&cluster.data_dir().join("db"));
    std::thread::sleep(Duration::from_secs(60 * minutes));
    let after = Usage::of(cluster.pid());
    let per_hour = |n: u64| n * 60 / minutes;
    println!("idle for {minutes} min, one node, no pods of a user");
    println!("cpu:     {:.2} % of a core", (after.cpu - before.cpu) / (60 * minutes) as f64 * 100.0);
    println!(
        "writes:  {} bytes sent to the disk per hour, {} by write(2)",
        per_hour(after.disk - before.disk),
        per_hour(after.written - before.written)
    );
    println!(
        "memory:  {:.1} MiB resident, {:.1} MiB PSS",
        after.resident as f64 / 1024.0,
        after.pss as f64 / 1024.0
    );
    println!("store:   {} bytes before, {} after", files, sizes(&cluster.data_dir().join("db")));
}

/// Of one process, since it began; memory in KiB as it is.
struct Usage {
    /// Seconds.
    cpu: f64,
    disk: u64,
    written: u64,
    resident: u64,
    pss: u64,
}

impl Usage {
    fn of(pid: i32) -> Self {
        let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).expect("the server runs");
        let number = |text: &str, name: &str| {
            let line = text.lines().find(|l| l.starts_with(name)).expect("a line");
            line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
        };
        let (io, memory, stat) = (read("io"), read("smaps_rollup"), read("stat"));
        // Behind the name, which may hold anything: utime and stime are the 12th and 13th from there, in 1/100 s.
        let times = stat.rsplit(')').next().expect("fields").split_whitespace().skip(11).take(2);
        let ticks: u64 = times.map(|t| t.parse::<u64>().expect("a number")).sum();
        Usage {
            cpu: ticks as f64 / 100.0,
            disk: number(&io, "write_bytes:"),
            written: number(&io, "wchar:"),
            resident: number(&memory, "Rss:"),
            pss: number(&memory, "Pss:"),
        }
    }
}

/// Of all files in a directory.
fn sizes(dir: &Path) -> u64 {
    let files = fs::read_dir(dir).into_iter().flatten().flatten();
    files.filter_map(|f| f.metadata().ok()).map(|m| m.len()).sum()
}

//! `cargo xtask bench idle`: what a server, with a node in it, and an agent cost that nobody uses, printed, never judged.
//!
//! `--seconds N` says how long they are looked at; the first minute, in which they settle, is not counted.

use std::fs;
use std::path::Path;
use std::time::Duration;

use e2e::{Cluster, Machine, Place};

const SETTLES: Duration = Duration::from_secs(60);
const MIB: f64 = 1024.0;

fn main() {
    let seconds = seconds();
    let cluster = Cluster::start("idle");
    let mut machine = Machine::new(&cluster, "agent1", Place::SameLink);
    machine.join();
    cluster.wait_for("condition=Ready", "node/agent1", 90);
    pause(SETTLES);
    let processes = [("server", cluster.pid()), ("agent", machine.pid())];
    let before = processes.map(|(_, pid)| Usage::of(pid));
    let files = sizes(&cluster.data_dir().join("db"));
    pause(Duration::from_secs(seconds));
    println!("idle for {seconds} s, a server that is a node, and an agent, no pods of a user");
    for ((name, pid), before) in processes.iter().zip(before) {
        let after = Usage::of(*pid);
        let per_hour = |n: u64| n * 3600 / seconds;
        println!(
            "{name}: {:.1} MiB PSS, {:.1} MiB resident, {:.3} % of a core, {} bytes to the disk ({} an hour), {} by write(2)",
            after.pss as f64 / MIB,
            after.resident as f64 / MIB,
            (after.cpu - before.cpu) / seconds as f64 * 100.0,
            after.disk - before.disk,
            per_hour(after.disk - before.disk),
            after.written - before.written,
        );
    }
    println!("store: {files} bytes before, {} after", sizes(&cluster.data_dir().join("db")));
}

/// Of `--seconds N`, else five minutes.
fn seconds() -> u64 {
    let args: Vec<String> = std::env::args().collect();
    let given = args.iter().position(|a| a == "--seconds").and_then(|at| args.get(at + 1));
    given.map_or(300, |n| n.parse().expect("--seconds takes a number"))
}

#[allow(clippy::disallowed_methods, reason = "real processes in real time")]
fn pause(long: Duration) {
    std::thread::sleep(long);
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
        let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).expect("the process runs");
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

//! `cargo xtask bench node`: what one node costs and how quick it is, printed, never judged.
//!
//! Times are those of this machine in this run; the limit beside a pod's start is what the kernel alone needs for a process in new
//! namespaces, measured in the same run.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use e2e::{Cluster, eventually, run};

const PODS: usize = 50;
const IDLE: Duration = Duration::from_secs(60);

#[allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn main() {
    let cluster = Cluster::start("bench");
    println!("binary: {:.1} MB", fs::metadata(e2e::binary()).map_or(0.0, |m| m.len() as f64 / 1e6));
    for line in cluster.server_log().lines().filter(|l| l.contains('✓')) {
        println!("start:  {}", line.trim_start_matches(|c: char| !c.is_ascii_alphanumeric() && c != '✓'));
    }
    cluster.kubectl(&["get", "--raw", "/openapi/v3"]).ok();
    cluster.kubectl(&["explain", "pod"]).ok();

    let (cpu, disk) = usage(&cluster);
    std::thread::sleep(IDLE);
    let (cpu_after, disk_after) = usage(&cluster);
    let seconds = IDLE.as_secs_f64();
    println!(
        "idle:   {:.2} % of a core, {} bytes written in {seconds} s",
        (cpu_after - cpu) / seconds * 100.0,
        disk_after - disk
    );
    println!("memory: {:.1} MiB PSS, idle, {} processes", pss(&cluster) / 1024.0, processes(&cluster).len());

    let starts = pod_starts(&cluster);
    let at = |percent: usize| starts[(starts.len() - 1) * percent / 100];
    println!(
        "pod:    create seen to Running seen, image present: p50 {:?} p99 {:?} of {}",
        at(50),
        at(99),
        starts.len()
    );
    println!("limit:  `unshare --net --ipc --uts --mount --pid --fork true` takes {:?}", namespaces());
    // Pods that were deleted by force may still be ending: `sleep` as process 1 ignores SIGTERM.
    eventually(Duration::from_secs(120), "the measured pods have ended", || processes(&cluster).len() == 1);
    for n in 0..30 {
        cluster.kubectl(&["run", &format!("kept{n}"), "--image=busybox", "--", "sleep", "3600"]).ok();
    }
    cluster.kubectl(&["wait", "--for=condition=Ready", "pod", "--all", "--timeout=120s"]).ok();
    println!(
        "memory: {:.1} MiB PSS with 30 pods, {} processes",
        pss(&cluster) / 1024.0,
        processes(&cluster).len()
    );
}

/// How long each of [`PODS`] pods, one after the other, took from a watch client's first sight of it to Running.
#[allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn pod_starts(cluster: &Cluster) -> Vec<Duration> {
    let mut watch = cluster
        .kubectl_command()
        .args(["get", "pods", "-w", "--no-headers"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("start kubectl");
    let (sender, lines) = mpsc::channel();
    let output = BufReader::new(watch.stdout.take().expect("stdout"));
    std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            if sender.send((Instant::now(), line)).is_err() {
                return;
            }
        }
    });
    let mut starts = Vec::new();
    for n in 0..PODS {
        let name = format!("bench{n}");
        cluster.kubectl(&["run", &name, "--image=busybox", "--", "sleep", "3600"]).ok();
        let mut seen = None;
        while let Ok((when, line)) = lines.recv_timeout(Duration::from_secs(30)) {
            if !line.starts_with(&format!("{name} ")) {
                continue;
            }
            let first = *seen.get_or_insert(when);
            if line.contains("Running") {
                starts.push(when - first);
                break;
            }
        }
        cluster.kubectl(&["delete", "pod", &name, "--grace-period=0", "--force"]).ok();
    }
    watch.kill().expect("kill");
    watch.wait().expect("wait");
    starts.sort();
    starts
}

#[allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn namespaces() -> Duration {
    let mut times: Vec<Duration> = (0..20)
        .map(|_| {
            let start = Instant::now();
            run(Command::new("unshare")
                .args(["--net", "--ipc", "--uts", "--mount", "--pid", "--fork", "true"]))
            .ok();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[10]
}

/// The server and its shims.
fn processes(cluster: &Cluster) -> Vec<i32> {
    let (server, dir) = (cluster.pid(), cluster.dir().display().to_string());
    let run_dir = cluster.run_dir().display().to_string();
    let ours = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        *pid == server || line.contains("__knarr-runtime") && (line.contains(&dir) || line.contains(&run_dir))
    };
    let entries = fs::read_dir("/proc").expect("read /proc").flatten();
    entries.filter_map(|e| e.file_name().to_string_lossy().parse().ok()).filter(ours).collect()
}

/// Kilobytes.
fn pss(cluster: &Cluster) -> f64 {
    let of = |pid: &i32| -> Option<f64> {
        let text = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("smaps_rollup")).ok()?;
        text.lines().find(|l| l.starts_with("Pss:"))?.split_whitespace().nth(1)?.parse().ok()
    };
    processes(cluster).iter().filter_map(of).sum()
}

/// Seconds of processor time and bytes written so far.
fn usage(cluster: &Cluster) -> (f64, u64) {
    let mut total = (0.0, 0);
    for pid in processes(cluster) {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |n: usize| fields.get(n).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
        total.0 += (ticks(11) + ticks(12)) / 100.0;
        let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
        let written =
            io.lines().find_map(|l| l.strip_prefix("write_bytes: ")).and_then(|n| n.parse::<u64>().ok());
        total.1 += written.unwrap_or(0);
    }
    total
}

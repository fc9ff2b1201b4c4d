//! Clients of every bad sort, a disk that is full or broken, a server that is asked to go, two servers that must agree.
//!
//! KNARR_TEST_SECONDS makes the load last longer than the usual few seconds, KNARR_TEST_READS has the two servers asked more
//! often.

mod robustness {
    pub mod load;
    pub mod proxy;
}

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use e2e::{Cluster, Output, binary, eventually, run};
use robustness::load::{self, Client, Counts};
use robustness::proxy::Proxy;

const LONG: Duration = Duration::from_secs(90);
const QUIET: [&str; 2] = ["--disable-agent", "--disable-dns"];

fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).ok().map_or(usual, |n| n.parse().expect("a number"))
}

/// PSS of the server in KiB.
fn memory(cluster: &Cluster) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", cluster.pid())).expect("the server runs");
    let line = text.lines().find_map(|l| l.strip_prefix("Pss:")).expect("Pss");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Somebody whose requests have no privileges of priority, with what the load needs.
fn workload_token(cluster: &Cluster) -> String {
    cluster.kubectl(&["create", "serviceaccount", "load"]).ok();
    let all = ["--verb=*", "--resource=configmaps"];
    cluster.kubectl(&[&["create", "clusterrole", "load"], &all[..]].concat()).ok();
    let bind =
        ["create", "clusterrolebinding", "load", "--clusterrole=load", "--serviceaccount=default:load"];
    cluster.kubectl(&bind).ok();
    cluster.apply(PRIORITY);
    cluster.kubectl(&["create", "token", "load", "--duration=2h"]).ok().trim().to_owned()
}

/// So few seats for the load, and no room to wait, that a few clients are far too many.
const PRIORITY: &str = r#"
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: PriorityLevelConfiguration
metadata: { name: load }
spec:
  type: Limited
  limited: { nominalConcurrencyShares: 1, lendablePercent: 0, borrowingLimitPercent: 0, limitResponse: { type: Reject } }
---
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: FlowSchema
metadata: { name: load }
spec:
  matchingPrecedence: 100
  priorityLevelConfiguration: { name: load }
  rules:
  - subjects: [{ kind: ServiceAccount, serviceAccount: { namespace: default, name: load } }]
    resourceRules: [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"], namespaces: ["*"] }]
"#;

#[test]
fn many_clients_slow_ones_and_huge_bodies() {
    let few = ["--max-requests-inflight=4", "--max-mutating-requests-inflight=2"];
    let cluster = Cluster::start_with("load", &[&QUIET[..], &few].concat());
    let token = workload_token(&cluster);
    let client = Client::new(&cluster, Some(token));
    let seconds = Duration::from_secs(number("KNARR_TEST_SECONDS", 8));
    let runtime = load::runtime(&cluster);
    // Ten megabytes, so that lists are large.
    runtime.run({
        let client = client.clone();
        async move {
            let big = (0..40).map(|n| load::map(&format!("big{n}"), 250_000));
            for map in big.chain([load::map("small", 100)]) {
                assert_eq!(client.post(load::MAPS, &map).await.expect("an answer").code, 201);
            }
        }
    });
    let before = memory(&cluster);
    let calm = runtime.run(load::calm(client.clone(), Duration::from_secs(2)));

    let (stop, counts) = (Arc::new(AtomicBool::new(false)), Arc::new(Counts::default()));
    let storm = runtime.spawn(load::storm(client.clone(), stop.clone(), counts.clone()));
    let (mut most, begun) = (before, load::now());
    eventually(seconds + LONG, "the storm is over", || {
        most = most.max(memory(&cluster));
        let seen = |of: &AtomicU64| of.load(Ordering::Relaxed) > 0;
        load::now() - begun > seconds && seen(&counts.answered) && seen(&counts.too_large)
    });
    stop.store(true, Ordering::Relaxed);
    let over = load::now();
    let (mut after, mut took) = (Duration::MAX, Duration::ZERO);
    eventually(LONG, "answers come as quickly as before", || {
        after = runtime.run(load::calm(client.clone(), Duration::from_millis(500)));
        took = load::now() - over;
        after < calm * 3 + Duration::from_millis(20)
    });
    storm.join().expect("the storm");
    eprintln!(
        "calm: {calm:?} a GET; storm of {seconds:?}: {counts}; PSS {before} KiB before, {most} at most; {after:?} a GET {took:?} after it"
    );
    let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
    assert!(count(&counts.answered) > 0 && count(&counts.too_large) > 0, "{counts}");
    assert_eq!(count(&counts.wrong), 0, "{counts}");
    assert!(most < before + 600 * 1024, "{before} KiB grew to {most}");
    let metrics = cluster.kubectl(&["get", "--raw", "/metrics"]).ok();
    for name in [
        "apiserver_request_total{code=\"413\",",
        "apiserver_request_duration_seconds_bucket{component=\"apiserver\",dry_run=\"\",",
        "apiserver_current_inflight_requests{request_kind=\"mutating\"}",
        "apiserver_longrunning_requests{component=\"apiserver\",group=\"\",resource=\"configmaps\",",
        "apiserver_storage_objects{resource=\"configmaps\"}",
        "apiserver_watch_events_total{group=\"\",resource=\"configmaps\",version=\"v1\"}",
        "process_resident_memory_bytes ",
    ] {
        assert!(metrics.lines().any(|l| l.starts_with(name)), "no {name}");
    }
}

#[test]
fn a_server_that_is_asked_to_go() {
    let mut cluster = Cluster::start_with("drain", &[&QUIET[..], &["--shutdown-delay-duration=6s"]].concat());
    let client = Client::new(&cluster, None);
    let runtime = load::runtime(&cluster);
    let get = |path: &'static str| {
        let client = client.clone();
        runtime.run(async move { client.get(path).await })
    };
    assert_eq!(get("/readyz").expect("an answer").code, 200);
    let verbose = get("/readyz?verbose").expect("an answer").text();
    for check in ["ping", "etcd", "etcd-readiness", "shutdown"] {
        assert!(verbose.contains(&format!("[+]{check} ok\n")), "{verbose}");
    }
    assert_eq!(get("/readyz/shutdown").expect("an answer").text(), "ok");
    // A list that is read slowly, and a watch.
    let slow = {
        let client = client.clone();
        let (begun, told) = std::sync::mpsc::channel();
        let reader = runtime.spawn(async move {
            for n in 0..20 {
                let made = client.post(load::MAPS, &load::map(&format!("m{n}"), 500_000)).await;
                assert_eq!(made.expect("an answer").code, 201);
            }
            load::slowly(client, begun).await
        });
        told.recv_timeout(LONG).expect("the list has begun");
        reader
    };
    let watch = {
        let client = client.clone();
        let (begun, told) = std::sync::mpsc::channel();
        let watcher = runtime.spawn(async move { load::watch(client, begun).await });
        told.recv_timeout(LONG).expect("the watch has begun");
        watcher
    };
    let pid = nix::unistd::Pid::from_raw(cluster.pid());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("signal");
    eventually(LONG, "readyz fails first", || {
        let (ready, live) = (get("/readyz"), get("/livez"));
        // Only while it still answers does this say anything.
        ready.is_ok_and(|r| r.code == 500 && r.text().contains("[-]shutdown failed: reason withheld\n"))
            && live.is_ok_and(|l| l.code == 200)
    });
    // One more is the cluster's own.
    assert!(slow.join().expect("the reader").expect("the whole list") >= 20);
    watch.join().expect("the watcher").expect("the watch ends, and is not cut");
    assert_eq!(cluster.wait(), Some(0));
    cluster.boot();
}

/// A directory on a file system of its own, which goes with it.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: PathBuf, megabytes: u32) -> Disk {
        fs::create_dir_all(&at).expect("make the directory");
        let size = format!("size={megabytes}m,mode=700");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "knarr-test"]).arg(&at)).ok();
        Disk(at)
    }

    fn remount(&self, how: &str) {
        run(Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(&self.0)).ok();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run(Command::new("umount").arg("-l").arg(&self.0));
    }
}

/// What a start says that fails.
fn refusal(cluster: &Cluster) -> String {
    let mut command = cluster.host.command(&binary());
    command.args(["server", "--node-name", "node1"]).args(QUIET).arg("--data-dir").arg(cluster.data_dir());
    let command =
        command.arg("--run-dir").arg(cluster.run_dir()).arg("--write-kubeconfig").arg(cluster.kubeconfig());
    run(command).fails()
}

#[test]
fn a_disk_that_is_full_read_only_or_broken() {
    let mut cluster = Cluster::prepare("disk", &QUIET);
    let db = cluster.data_dir().join("db");
    let disk = Disk::mount(db.clone(), 48);
    cluster.boot();
    let ballast = db.join("ballast");
    let free = nix::sys::statvfs::statvfs(&db).expect("statvfs");
    let free = free.blocks_available() as usize * free.fragment_size() as usize;
    fs::write(&ballast, vec![0; free.saturating_sub(2 << 20)]).expect("fill the disk");
    let value = cluster.file("value", &"x".repeat(500_000));
    let make = |n: usize| {
        cluster.kubectl(&["create", "configmap", &format!("c{n}"), &format!("--from-file=v={value}")])
    };
    let mut made = 0;
    let refused = loop {
        let answer = make(made);
        if answer.code != 0 {
            break answer.stderr;
        }
        made += 1;
        assert!(made < 100, "the disk is never full");
    };
    assert!(refused.contains("no space left on the disk under the store"), "{refused}");
    let maps =
        |cluster: &Cluster| cluster.kubectl(&["get", "configmaps", "-o", "name"]).ok().matches("/c").count();
    assert_eq!(maps(&cluster), made, "reads go on, and nothing is half done");
    fs::remove_file(&ballast).expect("make space");
    make(made).ok();
    cluster.stop();

    disk.remount("ro");
    let refused = refusal(&cluster);
    assert!(refused.contains("mount the disk for writing, or choose another --data-dir"), "{refused}");
    disk.remount("rw");
    cluster.boot();
    assert_eq!(maps(&cluster), made + 1);
    let saved = |cluster: &Cluster, args: &[&str]| -> Output {
        run(cluster
            .host
            .command(&binary())
            .arg("snapshot")
            .args(args)
            .arg("--data-dir")
            .arg(cluster.data_dir()))
    };
    saved(&cluster, &["save", "good"]).ok();
    cluster.stop();

    let store = fs::OpenOptions::new().write(true).open(db.join("store.db")).expect("open the store");
    let len = store.metadata().expect("its size").len();
    for page in 1..len / 4096 {
        store.write_all_at(&[0xa5; 4096], page * 4096).expect("break a page");
    }
    drop(store);
    let refused = refusal(&cluster);
    assert!(refused.contains("is damaged") && refused.contains("knarr snapshot restore FILE"), "{refused}");
    saved(&cluster, &["restore", "good"]).ok();
    cluster.boot();
    assert_eq!(maps(&cluster), made + 1);
    cluster.stop();
}

/// Written on A, read on B at once: one object and the list, neither from before, also while B's watch stands still.
#[test]
fn what_one_server_has_written_the_other_shows() {
    const ETCD: &str = "http://127.0.0.1:2379";
    let at = |address: &'static str| ["--bind-address", address, "--node-ip", address, "--etcd-servers"];
    let mut cluster = Cluster::prepare("agree", &[&QUIET[..], &at(e2e::host::MACHINE), &[ETCD]].concat());
    let _etcd = load::etcd(&cluster);
    cluster.boot();
    let proxy = Proxy::start(&cluster.host, "127.0.0.1:2379");
    let second = load::Second::start(&cluster, &at("192.0.2.3"), &proxy.url());
    let runtime = load::runtime(&cluster);
    let (a, b) = (Client::new(&cluster, None), Client::at(&second.kubeconfig));
    let rounds = number("KNARR_TEST_READS", 2000) / 2;
    let agree = |rounds| runtime.run(load::agree(a.clone(), b.clone(), rounds));
    let moving = agree(rounds * 3 / 4);
    // Calls are made over the first connection, the watch over the second.
    proxy.freeze(1);
    let stalled = agree(rounds / 4);
    proxy.freeze(usize::MAX);
    let healed = agree(8);
    eprintln!(
        "{rounds} rounds of a write and two reads: {moving:?} for three quarters, {stalled:?} for the last, while the watch stands; {healed:?} for eight after it"
    );
    drop(second);
    cluster.stop();
}

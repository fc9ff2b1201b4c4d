//! What survives when the server is killed, and what is left when it is reset.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use e2e::{Cluster, eventually, run};

#[test]
fn a_killed_server_touches_no_container() {
    let mut cluster = Cluster::start("killed");
    cluster
        .kubectl(&["run", "steady", "--image=busybox", "--", "sh", "-c", "while :; do date; sleep 1; done"])
        .ok();
    cluster.wait_for("condition=Ready", "pod/steady", 60);
    let id = |pod: &str, cluster: &Cluster| {
        cluster.value("pod", pod, "{.status.containerStatuses[0].containerID}")
    };
    let before = id("steady", &cluster);
    let started = cluster.value("pod", "steady", "{.status.containerStatuses[0].state.running.startedAt}");
    let pid = |cluster: &Cluster| {
        let short = before.rsplit('/').next().expect("id").to_owned();
        let json: serde_json::Value =
            serde_json::from_str(&cluster.knarr(&["inspect", &short]).ok()).expect("JSON");
        json[0]["State"]["Pid"].as_u64().expect("pid")
    };
    let process = pid(&cluster);
    cluster.kill();
    assert!(Path::new(&format!("/proc/{process}")).exists(), "the container died with the server");
    cluster.boot();
    cluster.wait_for("condition=Ready", "pod/steady", 30);
    assert_eq!(id("steady", &cluster), before);
    assert_eq!(cluster.value("pod", "steady", "{.status.containerStatuses[0].restartCount}"), "0");
    assert_eq!(
        cluster.value("pod", "steady", "{.status.containerStatuses[0].state.running.startedAt}"),
        started
    );
    assert_eq!(pid(&cluster), process);
    // And a clean stop the same.
    assert_eq!(cluster.stop(), Some(0));
    assert!(Path::new(&format!("/proc/{process}")).exists());
    cluster.boot();
    cluster.kubectl(&["delete", "pod", "steady", "--grace-period=1"]).ok();
    eventually(Duration::from_secs(20), "the process ends", || {
        !Path::new(&format!("/proc/{process}")).exists()
    });
}

#[test]
fn reset_leaves_the_machine_as_it_was() {
    let mut cluster = Cluster::prepare("reset", &[]);
    let before = traces(&cluster);
    cluster.boot();
    cluster.kubectl(&["create", "deployment", "web", "--image=nginx", "--replicas=2"]).ok();
    cluster.kubectl(&["rollout", "status", "deployment/web", "--timeout=90s"]).ok();
    assert_ne!(traces(&cluster), before);
    let refused = cluster.knarr(&["reset", "--yes"]).fails();
    assert!(refused.contains("running"), "{refused}");
    let groups = cgroups_of(&cluster);
    assert!(!groups.is_empty());
    cluster.stop();
    cluster.knarr(&["reset", "--yes"]).ok();
    assert_eq!(traces(&cluster), before);
    assert!(!cluster.data_dir().exists() && !cluster.run_dir().exists());
    let left: Vec<_> = groups.iter().filter(|g| g.exists()).collect();
    assert!(left.is_empty(), "cgroups are left: {left:?}");
}

/// The cluster's top cgroup in every hierarchy: the server names it after its run directory, so the one that holds this
/// cluster's pods is found by their uids.
fn cgroups_of(cluster: &Cluster) -> Vec<std::path::PathBuf> {
    let uids = cluster.kubectl(&["get", "pods", "-o", "jsonpath={.items[*].metadata.uid}"]).ok();
    // With version 2 alone there is one hierarchy, and this is its root.
    let root = std::path::PathBuf::from("/sys/fs/cgroup");
    let below = fs::read_dir(&root).expect("cgroups").flatten().map(|e| e.path());
    let tops = std::iter::once(root)
        .chain(below)
        .flat_map(|h| fs::read_dir(h).into_iter().flatten().flatten().map(|e| e.path()));
    let holds = |top: &std::path::PathBuf| {
        uids.split_whitespace().any(|uid| top.join(format!("kubepods/besteffort/pod{uid}")).exists())
    };
    tops.filter(|t| t.file_name().is_some_and(|n| n.to_string_lossy().starts_with("knarr-")))
        .filter(holds)
        .collect()
}

/// Everything of a cluster that outlives its server: mounts, cgroups, links and tables. Others' clusters are left out by this
/// one's directory and network namespace.
fn traces(cluster: &Cluster) -> Vec<String> {
    let dir = cluster.dir().display().to_string();
    let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
    let mut seen: Vec<String> = mounts.lines().filter(|l| l.contains(&dir)).map(str::to_owned).collect();
    for command in [&["ip", "-o", "link"][..], &["ip", "netns", "list"][..]] {
        let out = run(cluster.host.command(Path::new(command[0])).args(&command[1..])).ok();
        seen.extend(out.lines().filter(|l| l.contains("knr")).map(str::to_owned));
    }
    if run(Command::new("sh").args(["-c", "command -v nft"])).code == 0 {
        let tables = run(cluster.host.command(Path::new("nft")).args(["list", "tables"])).ok();
        seen.extend(tables.lines().map(str::to_owned));
    }
    seen.sort();
    seen
}

//! What a killed server leaves alone, and what one that comes after it finds.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

use e2e::{Cluster, binary, eventually};

/// Every second a number; an echo on a port.
const SERVANT: &str = "(while :; do i=$((i+1)); echo tick $i; sleep 1; done) & nc -ll -p 9000 -e cat";
/// Waits for a file and ends; the second time it stays.
const BRIEF: &str = "[ -e /go/$HOSTNAME ] && exec sleep 3600; until [ -e /go/now ]; do sleep 0.2; done; \
                     echo > /go/$HOSTNAME; echo famous last words; exit 7";

/// A conversation with a pod over TCP.
struct Talk {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Talk {
    fn start(cluster: &Cluster, ip: &str) -> Talk {
        let mut command = cluster.host.command(Path::new("busybox"));
        command.args(["nc", ip, "9000"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("start nc");
        let to = child.stdin.take().expect("stdin");
        let from = BufReader::new(child.stdout.take().expect("stdout"));
        Talk { child, to, from }
    }

    #[track_caller]
    fn echo(&mut self, word: &str) {
        self.to.write_all(format!("{word}\n").as_bytes()).expect("send");
        let mut line = String::new();
        self.from.read_line(&mut line).expect("receive");
        assert_eq!(line, format!("{word}\n"), "the connection is gone");
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A copy of the binary under test, made different by `tail` behind its end.
fn copy_of_binary(cluster: &Cluster, name: &str, tail: &str) -> PathBuf {
    let path = cluster.dir().join(name);
    let mut bytes = fs::read(binary()).expect("read the binary");
    bytes.extend_from_slice(tail.as_bytes());
    fs::write(&path, bytes).expect("write the copy");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("make it executable");
    path
}

#[test]
fn a_newer_binary_takes_over_and_connections_live_on() {
    let mut cluster = Cluster::prepare("newer", &[]);
    let (old, new) = (copy_of_binary(&cluster, "old", ""), copy_of_binary(&cluster, "new", "newer"));
    cluster.start_as(&[&old.display().to_string()]);
    cluster.boot();
    let go = cluster.dir().join("go");
    fs::create_dir(&go).expect("make a directory");
    cluster.apply(&pods(&go));
    for pod in ["servant", "once", "again"] {
        cluster.wait_for("condition=Ready", &format!("pod/{pod}"), 90);
    }
    let state = |c: &Cluster, path: &str| {
        c.value("pod", "servant", &format!("{{.status.containerStatuses[0].{path}}}"))
    };
    let before = [state(&cluster, "containerID"), state(&cluster, "state.running.startedAt")];
    let mut talk = Talk::start(&cluster, &cluster.value("pod", "servant", "{.status.podIP}"));
    talk.echo("before");

    cluster.kill();
    // As an upgrade does: the old file is gone, and its shims run on.
    fs::remove_file(&old).expect("remove the old binary");
    talk.echo("while it is away");
    fs::write(go.join("now"), "").expect("tell them to end");
    let ended = || !fs::read_dir("/proc").expect("read /proc").flatten().any(|p| is_brief(&p.path()));
    eventually(Duration::from_secs(60), "the brief ones end while nobody is there", ended);
    cluster.start_as(&[&new.display().to_string()]);
    cluster.boot();
    talk.echo("after");

    // What ended meanwhile is known, with its words, and counted once.
    let brief = |pod: &str, path: &str| {
        cluster.value("pod", pod, &format!("{{.status.containerStatuses[0].{path}}}"))
    };
    eventually(Duration::from_secs(60), "the end of the one that does not restart is known", || {
        brief("once", "state.terminated.exitCode") == "7"
    });
    assert_eq!(brief("once", "restartCount"), "0");
    assert_eq!(cluster.kubectl(&["logs", "once"]).ok(), "famous last words\n");
    eventually(Duration::from_secs(60), "the one that restarts does so", || {
        brief("again", "lastState.terminated.exitCode") == "7"
            && cluster.kubectl(&["logs", "--previous", "again"]).stdout == "famous last words\n"
    });
    cluster.wait_for("condition=Ready", "pod/again", 60);
    assert_eq!(brief("again", "restartCount"), "1");

    // The one that lives on is the same, and answers through its old shim.
    cluster.wait_for("condition=Ready", "pod/servant", 60);
    assert_eq!([state(&cluster, "containerID"), state(&cluster, "state.running.startedAt")], before);
    assert_eq!(state(&cluster, "restartCount"), "0");
    assert_eq!(cluster.kubectl(&["exec", "servant", "--", "echo", "hello"]).ok(), "hello\n");
    let exit = cluster.kubectl(&["exec", "servant", "--", "sh", "-c", "exit 4"]);
    assert_eq!(exit.code, 4, "{}", exit.stderr);
    let ticks = || {
        let log = cluster.kubectl(&["logs", "servant"]).ok();
        let numbers = log.lines().filter_map(|l| l.strip_prefix("tick ")?.parse().ok());
        numbers.collect::<Vec<u32>>()
    };
    let seen = ticks();
    assert_eq!(seen, (1..=seen.len() as u32).collect::<Vec<_>>(), "lines were lost or doubled");
    eventually(Duration::from_secs(60), "its log grows", || ticks().len() > seen.len());
    talk.echo("at last");
    cluster.kubectl(&["delete", "pod", "--all", "--grace-period=1"]).ok();
}

fn is_brief(process: &Path) -> bool {
    let commanded = |text: Vec<u8>| String::from_utf8_lossy(&text).contains("echo famous last words; exit 7");
    fs::read(process.join("cmdline")).is_ok_and(commanded)
}

fn pods(go: &Path) -> String {
    let pod = |name: &str, policy: &str, script: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{ name: {name} }}\nspec:\n  restartPolicy: {policy}\n  \
             terminationGracePeriodSeconds: 1\n  containers:\n  - name: main\n    image: busybox\n    \
             command: [sh, -c, {script:?}]\n    volumeMounts: [{{ name: go, mountPath: /go }}]\n  volumes:\n  \
             - {{ name: go, hostPath: {{ path: {} }} }}\n---\n",
            go.display()
        )
    };
    pod("servant", "Always", SERVANT) + &pod("once", "Never", BRIEF) + &pod("again", "Always", BRIEF)
}

#[test]
fn two_clusters_live_side_by_side() {
    let left = Cluster::start("left");
    let right = Cluster::start("right");
    for cluster in [&left, &right] {
        cluster.kubectl(&["run", "web", "--image=nginx"]).ok();
    }
    let page = |cluster: &Cluster| {
        let ip = cluster.value("pod", "web", "{.status.podIP}");
        let mut wget = cluster.host.command(Path::new("busybox"));
        e2e::run(wget.args(["wget", "-qO-", &format!("http://{ip}/")])).stdout
    };
    for cluster in [&left, &right] {
        cluster.wait_for("condition=Ready", "pod/web", 90);
        assert!(page(cluster).contains("Welcome to nginx!"));
        // Each sees its own sandbox and container only.
        assert_eq!(cluster.knarr(&["ps", "-q"]).ok().lines().count(), 2);
    }
    let process = left.knarr(&["ps", "-q"]).ok();
    assert!(right.knarr(&["ps", "-q"]).ok().lines().all(|id| !process.contains(id)));
    // The end of one, cgroups and mounts and all, is nothing to the other.
    drop(right);
    assert!(page(&left).contains("Welcome to nginx!"));
    assert_eq!(left.value("pod", "web", "{.status.containerStatuses[0].restartCount}"), "0");
    left.kubectl(&["delete", "pod", "web", "--grace-period=1"]).ok();
    assert_eq!(left.kubectl(&["get", "pods", "-o", "name"]).ok(), "");
}

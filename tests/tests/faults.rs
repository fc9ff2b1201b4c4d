//! Streams that go wrong: what is missing, clients that vanish, a lot of data, probes that hang, links that are deleted.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use e2e::{Cluster, Flood, eventually, run};

const LONG: Duration = Duration::from_secs(90);

fn box_pod(cluster: &Cluster) {
    cluster.kubectl(&["run", "box", "--image=busybox", "--", "sleep", "3600"]).ok();
    cluster.wait_for("condition=Ready", "pod/box", 90);
}

/// A kubectl that goes on by itself; its output can be read.
fn background(cluster: &Cluster, args: &[&str]) -> Child {
    let mut command = cluster.kubectl_command();
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("start kubectl")
}

/// Open descriptors of the server.
fn descriptors(cluster: &Cluster) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", cluster.pid())).expect("read /proc").count()
}

/// Kilobytes of memory the server has in use.
fn resident(cluster: &Cluster) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", cluster.pid())).expect("read /proc");
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

fn processes(cluster: &Cluster, pod: &str, what: &str) -> usize {
    cluster.kubectl(&["exec", pod, "--", "ps"]).ok().matches(what).count()
}

#[test]
fn what_is_missing_is_named() {
    let cluster = Cluster::start("missing");
    box_pod(&cluster);
    let command = cluster.kubectl(&["exec", "box", "--", "no-such-command"]);
    assert_ne!(command.code, 0);
    assert!(command.stderr.contains("no-such-command"), "{}", command.stderr);
    let container = cluster.kubectl(&["exec", "box", "-c", "nobody", "--", "true"]);
    assert_eq!(
        (container.stderr.as_str(), container.code),
        ("error: container nobody is not valid for pod box out of: box\n", 1)
    );
    let pod = cluster.kubectl(&["exec", "nobody", "--", "true"]);
    assert_eq!(
        (pod.stderr.as_str(), pod.code),
        ("Error from server (NotFound): pods \"nobody\" not found\n", 1)
    );
    for args in [["attach", "nobody"], ["logs", "nobody"], ["port-forward", "nobody"]] {
        let args = [&args[..], if args[0] == "port-forward" { &["8080:80"][..] } else { &[] }].concat();
        assert!(cluster.kubectl(&args).fails().contains("pods \"nobody\" not found"), "{args:?}");
    }
    // A port that nobody listens on: the client is told which, and that the pod refused.
    let mut forward = background(&cluster, &["port-forward", "box", "18081:81"]);
    let mut output = BufReader::new(forward.stdout.take().expect("stdout"));
    let mut line = String::new();
    output.read_line(&mut line).expect("read");
    assert_eq!(line, "Forwarding from 127.0.0.1:18081 -> 81\n");
    let refused =
        run(cluster.host.command(Path::new("busybox")).args(["wget", "-qO-", "http://127.0.0.1:18081/"]));
    assert_ne!(refused.code, 0);
    forward.stdin.take();
    eventually(LONG, "kubectl ends, having lost the connection", || {
        forward.try_wait().expect("wait").is_some()
    });
    let mut text = String::new();
    forward.stderr.take().expect("stderr").read_to_string(&mut text).expect("read");
    assert!(text.contains("error forwarding port 81 to pod"), "{text}");
    assert!(text.contains("connection refused") && text.contains("lost connection to pod"), "{text}");
}

#[test]
fn clients_that_vanish_leave_nothing() {
    let cluster = Cluster::start("vanish");
    cluster.apply(
        r#"
apiVersion: v1
kind: Pod
metadata: { name: box }
spec:
  containers:
  - { name: box, image: busybox, command: [cat], stdin: true }
"#,
    );
    cluster.kubectl(&["run", "nginx", "--image=nginx"]).ok();
    cluster.wait_for("condition=Ready", "pod/nginx", 90);
    cluster.wait_for("condition=Ready", "pod/box", 90);
    assert_eq!(processes(&cluster, "box", "sleep 1000"), 0);
    cluster.kubectl(&["exec", "box", "--", "truncate", "-s", "7G", "/tmp/large"]).ok();
    let large = cluster.dir().join("large");
    std::fs::File::create(&large).and_then(|f| f.set_len(7 << 30)).expect("make a large file");
    let large = large.display().to_string();
    let before = descriptors(&cluster);
    let mut clients = vec![
        background(&cluster, &["exec", "box", "--", "sleep", "1000"]),
        background(&cluster, &["exec", "-i", "box", "--", "sh", "-c", "sleep 1000; true"]),
        background(&cluster, &["attach", "-i", "box"]),
        background(&cluster, &["exec", "box", "--", "cat", "/dev/zero"]),
        background(&cluster, &["port-forward", "nginx", "19080:80"]),
        // Copies out of and into the pod, of more than can be done by the time they vanish.
        background(&cluster, &["cp", "box:/tmp/large", "/dev/null"]),
        background(&cluster, &["cp", &large, "box:/tmp/copy"]),
    ];
    eventually(LONG, "they are all there", || {
        processes(&cluster, "box", "sleep 1000") >= 2
            && ["cat /dev/zero", "tar cf -", "tar -xmf -"].iter().all(|p| processes(&cluster, "box", p) == 1)
    });
    // A connection through the forward stays open.
    let mut line = String::new();
    let mut told = BufReader::new(clients[4].stdout.take().expect("stdout"));
    told.read_line(&mut line).expect("read");
    assert_eq!(line, "Forwarding from 127.0.0.1:19080 -> 80\n");
    let mut through = cluster.host.command(Path::new("busybox"));
    through.args(["nc", "127.0.0.1", "19080"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut echo = through.spawn().expect("start nc");
    let asked = echo.stdin.as_mut().expect("stdin").write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    asked.expect("write");
    let mut line = String::new();
    BufReader::new(echo.stdout.as_mut().expect("stdout")).read_line(&mut line).expect("read");
    assert!(line.starts_with("HTTP/1.1 200"), "{line}");
    assert!(descriptors(&cluster) > before, "streams take descriptors");
    for client in &mut clients {
        client.kill().expect("kill");
        client.wait().expect("wait");
    }
    echo.kill().expect("kill");
    echo.wait().expect("wait");
    eventually(LONG, "their processes end", || {
        ["sleep 1000", "cat /dev/zero", "tar "].iter().all(|p| processes(&cluster, "box", p) == 0)
    });
    // Connections of our own kubectls close a little later than they end.
    eventually(LONG, "their descriptors are closed", || descriptors(&cluster) <= before + 4);
    // The container whose client vanished goes on.
    assert_eq!(cluster.value("pod", "box", "{.status.containerStatuses[0].restartCount}"), "0");
}

/// Through exec, cp's way, and through port-forward. KNARR_TEST_MEGABYTES asks for more than the usual 256.
#[test]
fn much_data_takes_little_memory() {
    let megabytes = std::env::var("KNARR_TEST_MEGABYTES").unwrap_or_else(|_| "256".into());
    let bytes: u64 = megabytes.parse::<u64>().expect("a number") << 20;
    let cluster = Cluster::start("much");
    let serve = format!(
        "mkdir /www; dd if=/dev/zero of=/www/big bs=1M count={megabytes} && exec busybox httpd -f -p 80 -h /www"
    );
    cluster.kubectl(&["run", "web", "--image=busybox", "--", "sh", "-c", &serve]).ok();
    eventually(LONG, "the file is there", || {
        let size = cluster.kubectl(&["exec", "web", "--", "sh", "-c", "wc -c < /www/big"]).stdout;
        size.trim() == bytes.to_string()
    });
    let before = resident(&cluster);
    let mut most = before;

    let copy = cluster.dir().join("big");
    let mut cp = background(&cluster, &["cp", "web:/www/big", &copy.display().to_string()]);
    eventually(Duration::from_secs(600), "cp ends", || {
        most = most.max(resident(&cluster));
        cp.try_wait().expect("wait").is_some()
    });
    assert_eq!(std::fs::metadata(&copy).expect("the copy").len(), bytes);
    let mut back = background(&cluster, &["cp", &copy.display().to_string(), "web:/tmp/back"]);
    eventually(Duration::from_secs(600), "cp back ends", || {
        most = most.max(resident(&cluster));
        back.try_wait().expect("wait").is_some()
    });
    let size = cluster.kubectl(&["exec", "web", "--", "sh", "-c", "wc -c < /tmp/back"]).ok();
    assert_eq!(size.trim(), bytes.to_string());

    let mut forward = background(&cluster, &["port-forward", "web", "18080:80"]);
    let mut line = String::new();
    let mut told = BufReader::new(forward.stdout.take().expect("stdout"));
    told.read_line(&mut line).expect("read");
    let mut wget = cluster.host.command(Path::new("sh"));
    wget.args(["-c", "busybox wget -qO- http://127.0.0.1:18080/big | wc -c"]).stdout(Stdio::piped());
    let mut wget = wget.spawn().expect("start wget");
    eventually(Duration::from_secs(600), "the download ends", || {
        most = most.max(resident(&cluster));
        wget.try_wait().expect("wait").is_some()
    });
    let mut size = String::new();
    wget.stdout.take().expect("stdout").read_to_string(&mut size).expect("read");
    assert_eq!(size.trim(), bytes.to_string());
    forward.kill().expect("kill");
    forward.wait().expect("wait");
    eprintln!("{megabytes} MB three times: the server had {before} kB before and at most {most} kB");
    assert!(most - before < 96 * 1024, "{before} kB grew to {most} kB");
}

/// Types into a terminal that `script` makes; what came out.
fn terminal(cluster: &Cluster, line: &str, keys: &[(&str, &str)]) -> String {
    let mut script = cluster.host.command(Path::new("script"));
    script
        .args(["-qefc", line, "/dev/null"])
        .env("KUBECONFIG", cluster.kubeconfig())
        .env("HOME", cluster.dir())
        .env("TERM", "dumb")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = script.spawn().expect("start script");
    let mut input = child.stdin.take().expect("stdin");
    let mut output = child.stdout.take().expect("stdout");
    let mut seen = String::new();
    let mut buffer = [0; 4096];
    for (awaited, typed) in keys {
        while !seen.contains(awaited) {
            let n = output.read(&mut buffer).expect("read");
            assert!(n > 0, "it ended before {awaited:?}: {seen}");
            seen += &String::from_utf8_lossy(&buffer[..n]);
        }
        input.write_all(typed.as_bytes()).expect("type");
    }
    while let Ok(n @ 1..) = output.read(&mut buffer) {
        seen += &String::from_utf8_lossy(&buffer[..n]);
    }
    child.wait().expect("wait");
    seen
}

#[test]
fn terminals_interrupt() {
    let cluster = Cluster::start("terminal");
    box_pod(&cluster);
    let kubectl = e2e::kubectl().display().to_string();
    // Ctrl-C reaches the command in the foreground, not the shell.
    let exec = format!("{kubectl} exec -it box -- sh -c 'echo rea''dy; exec sh'");
    let seen = terminal(
        &cluster,
        &exec,
        &[("ready", "echo be''gun; sleep 1000\n"), ("begun", "\u{3}"), ("^C", "echo af''ter; exit 7\n")],
    );
    assert!(seen.contains("after"), "{seen}");
    assert_eq!(processes(&cluster, "box", "sleep 1000"), 0);
    // run -it --rm: attached, and gone afterwards.
    let line = format!(
        "{kubectl} run once -it --rm --restart=Never --image=busybox -- sh -c 'echo rea''dy; read word; echo got $word'"
    );
    let seen = terminal(&cluster, &line, &[("ready", "it\n")]);
    assert!(seen.contains("got it") && seen.contains("pod \"once\" deleted"), "{seen}");
    eventually(LONG, "the pod is gone", || {
        cluster.kubectl(&["get", "pod", "once", "--ignore-not-found"]).stdout.is_empty()
    });
}

const HANGING: &str = r#"
apiVersion: v1
kind: Pod
metadata: { name: hanging }
spec:
  containers:
  - name: exec
    image: busybox
    command: [sleep, "3600"]
    readinessProbe: { exec: { command: [sleep, "1000"] }, timeoutSeconds: 1, periodSeconds: 1 }
  - name: http
    image: busybox
    command: [sh, -c, "nc -ll -p 9000 -e sleep 1000"]
    readinessProbe: { httpGet: { port: 9000 }, timeoutSeconds: 1, periodSeconds: 1 }
  - name: talker
    image: busybox
    command: [sh, -c, "sleep 10; yes 0123456789012345678901234567890123456789012345678901234567890123456789 | head -n 160000; sleep 25; echo last; sleep 3600"]
"#;

#[test]
fn hanging_probes_lost_links_and_rotated_logs() {
    let cluster = Cluster::start("hanging");
    cluster.apply(HANGING);
    box_pod(&cluster);
    eventually(LONG, "the talker runs", || {
        let running = "{.status.containerStatuses[?(@.name==\"talker\")].state.running.startedAt}";
        !cluster.value("pod", "hanging", running).is_empty()
    });
    // More than a log file takes: the reader of -f misses nothing when it is rotated away.
    let mut follow = background(&cluster, &["logs", "-f", "hanging", "-c", "talker"]);
    let output = BufReader::new(follow.stdout.take().expect("stdout"));
    let reader = std::thread::spawn(move || {
        output.lines().map_while(Result::ok).take_while(|line| line != "last").count()
    });
    // Probes that hang are given up, say so, and leave no processes.
    eventually(LONG, "probes time out", || {
        let events = cluster.kubectl(&["get", "events"]).stdout;
        events.contains("Readiness probe failed: command timed out")
            && events.contains("Readiness probe failed: Get \"http://")
    });
    assert_eq!(
        cluster.value("pod", "hanging", "{.status.containerStatuses[*].ready}").matches("false").count(),
        2
    );
    let stuck = || {
        let ps = cluster.kubectl(&["exec", "hanging", "-c", "exec", "--", "ps"]).ok();
        ps.matches("sleep 1000").count()
    };
    assert!(stuck() <= 2, "probes pile up");
    // A pod's link deleted on the node comes back, and an event of the pod says so.
    let address = cluster.value("pod", "box", "{.status.podIP}");
    let links = || {
        let mut ip = cluster.host.command(Path::new("ip"));
        run(ip.args(["-o", "route", "get", &address])).ok()
    };
    let words = links();
    let mut words = words.split_whitespace();
    let link = words.by_ref().skip_while(|w| *w != "dev").nth(1).expect("a link").to_owned();
    assert!(link.starts_with("knr"), "{link}");
    run(cluster.host.command(Path::new("ip")).args(["link", "del", &link])).ok();
    eventually(LONG, "the event", || {
        cluster
            .kubectl(&["get", "events"])
            .stdout
            .contains("The pod's network link was deleted; it has been made again")
    });
    let ping =
        || run(cluster.host.command(Path::new("busybox")).args(["ping", "-c", "1", "-W", "2", &address]));
    eventually(LONG, "the pod is reached again", || ping().code == 0);
    assert_eq!(cluster.value("pod", "box", "{.status.containerStatuses[0].restartCount}"), "0");
    assert_eq!(reader.join().expect("reader"), 160_000);
    follow.kill().expect("kill");
    follow.wait().expect("wait");
    let logs = cluster.data_dir().join("pod-logs");
    let files =
        run(std::process::Command::new("find").arg(&logs).args(["-path", "*talker*", "-type", "f"])).ok();
    assert!(files.lines().count() >= 2, "rotated: {files}");
}

/// The kernel keeps track of so many connections and no more.
#[test]
fn a_full_table_of_connections_is_told_and_heals() {
    let cluster = Cluster::start("full");
    box_pod(&cluster);
    let mut session = background(&cluster, &["exec", "-i", "box", "--", "cat"]);
    let mut keys = session.stdin.take().expect("stdin");
    let mut screen = BufReader::new(session.stdout.take().expect("stdout"));
    let mut echo = |word: &str| {
        keys.write_all(format!("{word}\n").as_bytes()).expect("type");
        let mut line = String::new();
        screen.read_line(&mut line).expect("read");
        assert_eq!(line.trim(), word);
    };
    echo("before");
    let readyz = || {
        let url = format!("https://{}:6443/readyz", e2e::host::MACHINE);
        let most = (2 * e2e::patience()).to_string();
        let mut curl = cluster.host.world_command(Path::new("curl"));
        run(curl.args(["-sk", "--max-time", &most, &url])).code
    };
    assert_eq!(readyz(), 0);

    let flood = Flood::start(&cluster.host);
    const TIMED_OUT: i32 = 28;
    eventually(LONG, "new connections are dropped", || readyz() == TIMED_OUT);
    eventually(LONG, "the server says why", || {
        cluster.server_log().contains("the kernel's table of connections is full")
    });
    // What was there before goes on.
    echo("during");
    drop(flood);
    eventually(LONG, "new connections find room", || readyz() == 0);
    echo("after");
    for reason in ["ConntrackFull", "ConntrackHasRoom"] {
        eventually(LONG, reason, || {
            let events = cluster.kubectl(&["get", "events", "--field-selector", "involvedObject.name=node1"]);
            events.stdout.contains(reason)
        });
    }
    assert_eq!(cluster.value("pod", "box", "{.status.containerStatuses[0].restartCount}"), "0");
    session.kill().expect("kill");
    session.wait().expect("wait");
}

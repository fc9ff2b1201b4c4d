//! exec, attach, cp, port-forward and logs with stock kubectl: the newest, which speaks WebSocket, and 1.28, which speaks SPDY.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use e2e::{Cluster, Terminal, eventually, run};

#[test]
fn exec_carries_streams_and_exit_codes() {
    exec(&Cluster::start("exec"));
}

#[test]
fn port_forward_reaches_the_pod() {
    port_forward(&Cluster::start("forward"));
}

#[test]
fn a_shell_is_attached_and_completes() {
    attach(&Cluster::start("attach"));
}

#[test]
fn logs_are_followed() {
    logs(&Cluster::start("follow"));
}

#[test]
fn an_old_kubectl_streams_by_spdy() {
    let mut cluster = Cluster::start("spdy");
    cluster.use_kubectl(e2e::old_kubectl());
    assert!(cluster.kubectl(&["version"]).ok().contains("Client Version: v1.28"));
    exec(&cluster);
    port_forward(&cluster);
    attach(&cluster);
    terminal(&cluster);
    logs(&cluster);
}

fn exec(cluster: &Cluster) {
    cluster.kubectl(&["run", "box", "--image=busybox", "--", "sleep", "3600"]).ok();
    cluster.wait_for("condition=Ready", "pod/box", 60);
    assert!(cluster.kubectl(&["exec", "box", "--", "uname", "-a"]).ok().starts_with("Linux box "));
    let both = cluster.kubectl(&["exec", "box", "--", "sh", "-c", "echo out; echo err >&2; exit 3"]);
    assert_eq!((both.stdout.as_str(), both.code), ("out\n", 3));
    assert_eq!(both.stderr, "err\ncommand terminated with exit code 3\n");
    let missing = cluster.kubectl(&["exec", "box", "--", "nothing"]).fails();
    assert!(missing.contains("nothing"), "{missing}");
    let nobody = cluster.kubectl(&["exec", "nobody", "--", "true"]).fails();
    assert_eq!(nobody, "Error from server (NotFound): pods \"nobody\" not found\n");

    // What goes in comes out, all of it.
    let text: String = (0..50_000).map(|n| format!("line {n}\n")).collect();
    let mut child = cluster
        .kubectl_command()
        .args(["exec", "-i", "box", "--", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("start kubectl");
    let mut stdin = child.stdin.take().expect("stdin");
    let sent = text.clone();
    let writer = std::thread::spawn(move || stdin.write_all(sent.as_bytes()));
    let mut received = String::new();
    child.stdout.take().expect("stdout").read_to_string(&mut received).expect("read");
    writer.join().expect("writer").expect("write");
    assert!(child.wait().expect("wait").success());
    assert_eq!(received.len(), text.len());
    assert!(received == text, "the bytes differ");

    // A terminal: the program sees one, which soon has the size of ours.
    let line = format!(
        "stty cols 91 rows 17; {} exec -it box -- sh -c 'test -t 1 && sleep 1 && stty size'",
        cluster.kubectl_path()
    );
    let mut script = cluster.host.command(Path::new("script"));
    script
        .args(["-qec", &line, "/dev/null"])
        .env("KUBECONFIG", cluster.kubeconfig())
        .env("HOME", cluster.dir());
    let tty = script.stdin(Stdio::piped()).output().expect("run script");
    assert_eq!(String::from_utf8_lossy(&tty.stdout).trim().trim_start_matches("^@"), "17 91");

    let file = cluster.file("up.txt", "copied\n");
    cluster.kubectl(&["cp", &file, "box:/tmp/up.txt"]).ok();
    assert_eq!(cluster.kubectl(&["exec", "box", "--", "cat", "/tmp/up.txt"]).ok(), "copied\n");
}

fn port_forward(cluster: &Cluster) {
    cluster.kubectl(&["run", "nginx", "--image=nginx"]).ok();
    cluster.wait_for("condition=Ready", "pod/nginx", 60);
    let mut child = cluster
        .kubectl_command()
        .args(["port-forward", "nginx", "8080:80"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("start kubectl");
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().expect("stdout"));
    output.read_line(&mut line).expect("read");
    assert_eq!(line, "Forwarding from 127.0.0.1:8080 -> 80\n");
    for _ in 0..3 {
        let page =
            run(cluster.host.command(Path::new("busybox")).args(["wget", "-qO-", "http://127.0.0.1:8080/"]))
                .ok();
        assert!(page.contains("Welcome to nginx!"), "{page}");
    }
    child.kill().expect("kill");
    child.wait().expect("wait");
}

fn attach(cluster: &Cluster) {
    let mut child = cluster
        .kubectl_command()
        .args(["run", "-i", "busybox", "--image=busybox", "--restart=Never", "--", "sh"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start kubectl");
    let mut stdin = child.stdin.take().expect("stdin");
    stdin.write_all(b"echo from the shell; exit 0\n").expect("write");
    drop(stdin);
    let output = child.wait_with_output().expect("wait");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // kubectl that comes too late shows the log instead: either way the words arrive.
    assert!(text.contains("from the shell"), "{text}{}", String::from_utf8_lossy(&output.stderr));
    eventually(Duration::from_secs(30), "the pod completes", || {
        cluster.kubectl(&["get", "pod", "busybox", "--no-headers"]).stdout.contains("Completed")
    });
}

/// `run -it --rm`: a terminal, keys, an interrupt, and nothing left.
fn terminal(cluster: &Cluster) {
    let mut command = cluster.kubectl_command();
    command.args(["run", "once", "-it", "--rm", "--restart=Never", "--image=busybox", "--", "sh"]);
    let mut shell = Terminal::run(&command);
    eventually(Duration::from_secs(60), "the shell runs", || {
        cluster.value("pod", "once", "{.status.phase}") == "Running"
    });
    shell.keys("\n");
    shell.sees("/ # ");
    shell.keys("test -t 0 && echo $((6*7)); sleep 1000\n");
    shell.sees("42");
    shell.keys("\u{3}");
    shell.sees("/ # ");
    shell.keys("exit 3\n");
    shell.ends();
    let screen = shell.screen();
    assert!(screen.contains("pod \"once\" deleted"), "{screen}");
    eventually(Duration::from_secs(60), "the pod is gone", || {
        cluster.kubectl(&["get", "pod", "once", "--ignore-not-found"]).stdout.is_empty()
    });
}

fn logs(cluster: &Cluster) {
    let count = "i=0; while [ $i -lt 40 ]; do echo line $i; i=$((i+1)); sleep 0.1; done; sleep 1; echo last";
    cluster.kubectl(&["run", "counter", "--restart=Never", "--image=busybox", "--", "sh", "-c", count]).ok();
    eventually(Duration::from_secs(60), "it runs", || {
        ["Running", "Succeeded"].contains(&cluster.value("pod", "counter", "{.status.phase}").as_str())
    });
    let all = cluster.kubectl(&["logs", "-f", "counter"]).ok();
    let wanted: String = (0..40).map(|n| format!("line {n}\n")).collect();
    assert_eq!(all, wanted + "last\n");
    assert_eq!(cluster.kubectl(&["logs", "--tail=1", "counter"]).ok(), "last\n");
}

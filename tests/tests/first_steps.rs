//! The first five minutes of a new user, as the README shows them.

use std::path::Path;
use std::time::Duration;

use e2e::{Cluster, eventually, patience, run};

#[test]
fn a_pod_runs_serves_and_goes() {
    first_pod(&Cluster::start("first"));
}

/// kubectl 1.28, nine versions behind.
#[test]
fn an_old_kubectl_takes_the_same_steps() {
    let mut cluster = Cluster::start("old");
    cluster.use_kubectl(e2e::old_kubectl());
    first_pod(&cluster);
    deployment(&cluster);
}

fn first_pod(cluster: &Cluster) {
    cluster.wait_for("condition=Ready", "node/node1", 30);
    let nodes = cluster.kubectl(&["get", "nodes"]).ok();
    assert!(nodes.contains("node1") && nodes.contains(" Ready "), "{nodes}");

    assert_eq!(cluster.kubectl(&["run", "nginx", "--image=nginx"]).ok(), "pod/nginx created\n");
    cluster.wait_for("condition=Ready", "pod/nginx", 60);
    let pods = cluster.kubectl(&["get", "pods"]).ok();
    let columns: Vec<&str> = pods.lines().nth(1).expect("a line").split_whitespace().collect();
    assert_eq!(columns[..4], ["nginx", "1/1", "Running", "0"]);

    // The page comes from the pod's own address, asked from the node.
    let ip = cluster.value("pod", "nginx", "{.status.podIP}");
    let page =
        run(cluster.host.command(Path::new("busybox")).args(["wget", "-qO-", &format!("http://{ip}/")])).ok();
    assert!(page.contains("Welcome to nginx!"), "{page}");
    eventually(Duration::from_secs(10), "the request is in the log", || {
        cluster.kubectl(&["logs", "--tail=20", "nginx"]).stdout.contains("\"GET / HTTP/1.1\" 200")
    });

    // docker ps, docker inspect
    let ps = cluster.knarr(&["ps"]).ok();
    assert_eq!(ps.lines().filter(|l| l.contains("k8s_nginx_nginx_default_")).count(), 1, "{ps}");
    assert_eq!(ps.lines().filter(|l| l.contains("k8s_POD_nginx_default_")).count(), 1, "{ps}");
    let id = ps
        .lines()
        .find(|l| l.contains("k8s_nginx_"))
        .expect("line")
        .split_whitespace()
        .next()
        .expect("id")
        .to_owned();
    let inspected = cluster.knarr(&["inspect", &id]).ok();
    assert!(inspected.contains("\"IPAddress\": \"\""), "{inspected}");

    let describe = cluster.kubectl(&["describe", "pod", "nginx"]).ok();
    for event in ["Scheduled", "Pulled", "Created", "Started"] {
        assert!(describe.contains(event), "no {event} in\n{describe}");
    }
    // Newer ones say from where.
    let deleted = cluster.kubectl(&["delete", "pod", "nginx"]).ok();
    assert!(deleted.starts_with("pod \"nginx\" deleted"), "{deleted}");
    assert_eq!(cluster.kubectl(&["get", "pods"]).ok(), "");
    eventually(Duration::from_secs(5), "no container is left", || {
        cluster.knarr(&["ps", "-a", "-q"]).ok().is_empty()
    });
}

#[test]
fn restart_policies_show_as_users_know_them() {
    let cluster = Cluster::start("policies");
    for (name, policy, script) in [
        ("done", "Never", "echo fine; exit 0"),
        ("failed", "Never", "echo bad >&2; exit 3"),
        ("loops", "Always", "date; exit 1"),
    ] {
        let restart = format!("--restart={policy}");
        cluster.kubectl(&["run", name, "--image=busybox", &restart, "--", "sh", "-c", script]).ok();
    }
    cluster.kubectl(&["run", "nowhere", "--image=192.0.2.2:1/nothing"]).ok();
    cluster.kubectl(&["run", "nocommand", "--image=busybox", "--restart=Never", "--", "/no/such/file"]).ok();
    let status = |name: &str| {
        let line = cluster.kubectl(&["get", "pod", name, "--no-headers"]).ok();
        line.split_whitespace().nth(2).unwrap_or_default().to_owned()
    };
    let becomes = |name: &str, wanted: &str| {
        eventually(Duration::from_secs(60), &format!("{name} is {wanted}"), || status(name) == wanted);
    };
    becomes("done", "Completed");
    becomes("failed", "Error");
    becomes("loops", "CrashLoopBackOff");
    becomes("nowhere", "ImagePullBackOff");
    eventually(Duration::from_secs(30), "a missing command is told", || {
        ["StartError", "ContainerCannotRun", "RunContainerError"].contains(&status("nocommand").as_str())
    });
    assert_eq!(
        cluster.value("pod", "failed", "{.status.containerStatuses[0].state.terminated.exitCode}"),
        "3"
    );
    assert_eq!(cluster.kubectl(&["logs", "failed"]).ok(), "bad\n");
    eventually(Duration::from_secs(60), "restarts are counted", || {
        cluster.value("pod", "loops", "{.status.containerStatuses[0].restartCount}").parse().unwrap_or(0) >= 2
    });
    let why = cluster.value("pod", "nocommand", "{.status.containerStatuses[0].state.terminated.message}");
    assert!(why.contains("/no/such/file"), "{why}");
}

#[test]
fn deployments_roll_and_roll_back() {
    deployment(&Cluster::start("deploy"));
}

fn deployment(cluster: &Cluster) {
    let most = format!("--timeout={}s", 90 * patience());
    cluster.kubectl(&["create", "deployment", "web", "--image=nginx:1.22", "--replicas=3"]).ok();
    cluster.kubectl(&["rollout", "status", "deployment/web", &most]).ok();
    cluster.kubectl(&["set", "image", "deployment/web", "nginx=nginx:latest"]).ok();
    let rolled = cluster.kubectl(&["rollout", "status", "deployment/web", &most]).ok();
    assert!(rolled.contains("successfully rolled out"), "{rolled}");
    let history = cluster.kubectl(&["rollout", "history", "deployment/web"]).ok();
    assert!(history.contains("1 ") && history.contains("2 "), "{history}");
    cluster.kubectl(&["rollout", "undo", "deployment/web"]).ok();
    cluster.kubectl(&["rollout", "status", "deployment/web", &most]).ok();
    assert_eq!(cluster.value("deployment", "web", "{.spec.template.spec.containers[0].image}"), "nginx:1.22");
    cluster.kubectl(&["scale", "deployment/web", "--replicas=1"]).ok();
    cluster.wait_for("jsonpath={.status.replicas}=1", "deployment/web", 60);
    cluster.kubectl(&["delete", "deployment", "web"]).ok();
    eventually(Duration::from_secs(60), "replica sets and pods are collected", || {
        cluster.kubectl(&["get", "rs,pods", "-o", "name"]).ok().is_empty()
    });
}

//! Certificates that end: they renew themselves while server and agent run, and a cluster that was off for too long starts again.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use e2e::{Cluster, Machine, Output, Place, eventually};

const LONG: Duration = Duration::from_secs(120);

/// Name → when it ends, as `knarr cert check` tells.
fn ends(out: &Output) -> BTreeMap<String, String> {
    let lines = out.stdout.lines().skip(1);
    lines
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let until = words.iter().find(|w| w.len() > 18 && w.ends_with('Z'))?;
            Some((words[0].to_owned(), (*until).to_owned()))
        })
        .collect()
}

fn is_over(out: &Output) -> bool {
    let others = out.stdout.lines().skip(1).filter(|line| !line.starts_with("ca "));
    out.code != 0 && others.into_iter().all(|line| line.trim_end().ends_with("expired"))
}

/// An object for `kubectl run --overrides`.
const ON_A: &str = r#"{"spec":{"nodeName":"node-a"}}"#;

#[test]
fn they_renew_themselves_and_come_back() {
    let short = ["--certificate-lifetime=32s", "--cluster-signing-duration=32s"];
    let mut cluster = Cluster::start_with("certs", &short);
    while_running(&cluster);

    // Off until all have ended.
    cluster.stop();
    eventually(LONG, "all have ended", || is_over(&cluster.knarr(&["cert", "check"])));
    cluster.boot();
    let was = ends(&cluster.knarr(&["cert", "check"]));
    cluster.knarr(&["cert", "check"]).ok();
    cluster.kubectl(&["get", "nodes"]).ok();

    // Anew because somebody wants it. The times in certificates are whole seconds: without one in between, nobody could tell.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let said = cluster.knarr(&["cert", "rotate"]).ok();
    assert!(said.contains("kube-apiserver will be issued anew") && !said.contains("ca will"), "{said}");
    cluster.stop();
    cluster.boot();
    let now = ends(&cluster.knarr(&["cert", "check"]));
    assert!(now["kube-apiserver"] > was["kube-apiserver"] && now["ca"] == was["ca"], "{was:?} {now:?}");
    cluster.kubectl(&["get", "nodes"]).ok();
}

fn while_running(cluster: &Cluster) {
    let mut agent = Machine::new(cluster, "node-a", Place::SameLink);
    agent.join();
    let ready = || cluster.value("node", "node-a", "{.status.conditions[?(@.type==\"Ready\")].status}");
    eventually(LONG, "the agent's node is ready", || ready() == "True");
    let names = |of: &BTreeMap<String, String>, wanted: &[&str]| wanted.iter().all(|n| of.contains_key(*n));
    let server = ends(&cluster.knarr(&["cert", "check"]));
    let wanted = ["admin", "kube-apiserver", "kube-apiserver-kubelet-client", "kubelet-server", "ca"];
    assert!(names(&server, &wanted), "{server:?}");
    let mut node = BTreeMap::new();
    eventually(LONG, "the agent has both certificates", || {
        node = ends(&agent.knarr(&["cert", "check"]));
        names(&node, &["kubelet-client", "kubelet-serving"])
    });
    let kubeconfig = || fs::read_to_string(cluster.kubeconfig()).expect("read");
    let first = kubeconfig();
    eventually(LONG, "all but the CA are new ones", || {
        let newer = |then: &BTreeMap<String, String>, now: &BTreeMap<String, String>| {
            let changed = then.iter().filter(|(name, _)| *name != "ca");
            changed.into_iter().all(|(name, until)| now.get(name).is_some_and(|n| n > until))
        };
        newer(&server, &ends(&cluster.knarr(&["cert", "check"])))
            && newer(&node, &ends(&agent.knarr(&["cert", "check"])))
    });
    eventually(LONG, "the administrator's kubeconfig is a new one", || kubeconfig() != first);
    // Connections that are made from now on show and believe the new ones.
    cluster.kubectl(&["run", "p", "--image=busybox", "--overrides", ON_A, "--", "sleep", "3600"]).ok();
    cluster.wait_for("condition=Ready", "pod/p", 90);
    cluster.kubectl(&["logs", "p"]).ok();

    // Off for too long, an agent needs a token again; its node and pods are the same.
    agent.stop();
    eventually(LONG, "the agent's have ended", || is_over(&agent.knarr(&["cert", "check"])));
    let refused = agent.refused(&[]);
    assert!(refused.contains("its certificate is not good today"), "{refused}");
    eventually(LONG, "its node is not ready", || ready() != "True");
    agent.join();
    eventually(LONG, "its node is ready again", || ready() == "True");
    eventually(LONG, "its pod is still there", || cluster.kubectl(&["logs", "p"]).code == 0);
}

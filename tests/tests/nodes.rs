//! Clusters of several machines: joining, pods and services across them, and what happens when one falters.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use e2e::{Cluster, Machine, Place, eventually, run};

const LONG: Duration = Duration::from_secs(120);

/// A pod on every node that tells its name and logs who asked, and a service before them.
const WEB: &str = r#"
apiVersion: apps/v1
kind: DaemonSet
metadata: { name: web }
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: busybox
        command: [sh, -c, "mkdir /w; hostname > /w/index.html; exec httpd -f -vv -p 80 -h /w"]
        readinessProbe: { tcpSocket: { port: 80 }, periodSeconds: 1 }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { type: NodePort, selector: { app: web }, ports: [{ port: 80, nodePort: 30080 }] }
"#;

/// A pod of [`WEB`].
#[derive(Debug)]
struct Pod {
    name: String,
    ip: String,
    node: String,
}

fn serve(cluster: &Cluster, nodes: usize) -> Vec<Pod> {
    cluster.apply(WEB);
    eventually(LONG, "every node serves", || {
        cluster.value("daemonset", "web", "{.status.numberReady}") == nodes.to_string()
    });
    let pods = cluster.kubectl(&["get", "pods", "-l", "app=web", "-o", "json"]).ok();
    let pods: serde_json::Value = serde_json::from_str(&pods).expect("JSON");
    let text = |v: &serde_json::Value| v.as_str().expect("a string").to_owned();
    let pod = |p: &serde_json::Value| Pod {
        name: text(&p["metadata"]["name"]),
        ip: text(&p["status"]["podIP"]),
        node: text(&p["spec"]["nodeName"]),
    };
    pods["items"].as_array().expect("items").iter().map(pod).collect()
}

/// What a pod is answered at `url`; empty when it is not.
fn ask(cluster: &Cluster, from: &Pod, url: &str) -> String {
    cluster.kubectl(&["exec", &from.name, "--", "wget", "-qO-", url]).stdout.trim().to_owned()
}

/// Every pod reaches every other as itself, and all of them by the service's name.
fn all_reach_all(cluster: &Cluster, pods: &[Pod]) {
    for from in pods {
        for to in pods {
            let url = format!("http://{}/", to.ip);
            eventually(LONG, "the pod is reached", || ask(cluster, from, &url) == to.name);
        }
        let mut seen = BTreeSet::new();
        eventually(LONG, "the service leads to every pod", || {
            seen.insert(ask(cluster, from, "http://web.default/"));
            pods.iter().all(|p| seen.contains(&p.name))
        });
    }
    for to in pods {
        let log = cluster.kubectl(&["logs", &to.name]).ok();
        // Nobody is masqueraded within the cluster.
        for from in pods.iter().filter(|f| f.name != to.name) {
            assert!(log.contains(&from.ip), "{} is not in the log of {}: {log}", from.ip, to.name);
        }
    }
}

#[test]
fn machines_on_one_link() {
    let cluster = Cluster::start("link");
    let (mut a, mut b) = (
        Machine::new(&cluster, "node-a", Place::SameLink),
        Machine::new(&cluster, "node-b", Place::SameLink),
    );
    let token = cluster.knarr_token(&["create", "--description", "for a"]);
    assert!(cluster.knarr_token(&["ls"]).contains("for a"));
    a.boot(&["--server", "https://192.0.2.1:6443", "--token", &token, "--node-labels", "disk=fast"]);
    b.join();
    assert_eq!(cluster.value("node", "node-a", "{.metadata.labels.disk}"), "fast");
    let pods = serve(&cluster, 3);
    all_reach_all(&cluster, &pods);

    // Node ports answer at every node, whichever pod they lead to.
    for address in ["192.0.2.1", &a.address, &b.address] {
        let url = format!("http://{address}:30080/");
        let mut seen = BTreeSet::new();
        eventually(LONG, "the node port leads to every pod", || {
            let mut curl = cluster.host.world_command(Path::new("busybox"));
            seen.insert(run(curl.args(["wget", "-qO-", &url])).stdout.trim().to_owned());
            pods.iter().all(|p| seen.contains(&p.name))
        });
    }
    // A token that was removed lets nobody in; who is in stays.
    let id = token.split('.').nth(1).expect("an id");
    cluster.knarr_token(&["rm", id]);
    let late = Machine::new(&cluster, "node-c", Place::SameLink);
    let said = late.refused(&["--server", "https://192.0.2.1:6443", "--token", &token]);
    assert!(said.contains("the server does not know this token"), "{said}");

    // Containers do not notice that their agent dies. It comes back without a token.
    let started = |pod: &Pod| cluster.value("pod", &pod.name, "{.status.containerStatuses[0].containerID}");
    let on_a = pods.iter().find(|p| p.node == "node-a").expect("a pod on node-a");
    let before = started(on_a);
    a.kill();
    // Asked from elsewhere: nobody can exec into a pod whose agent is away.
    let elsewhere = pods.iter().find(|p| p.node != "node-a").expect("a pod elsewhere");
    assert_eq!(ask(&cluster, elsewhere, &format!("http://{}/", on_a.ip)), on_a.name);
    a.boot(&[]);
    eventually(LONG, "logs come from the restarted agent", || {
        cluster.kubectl(&["logs", &on_a.name, "--tail", "1"]).code == 0
    });
    assert_eq!(started(on_a), before);

    // A node that somebody deletes comes back, with its pod made anew.
    cluster.kubectl(&["delete", "node", "node-a"]).ok();
    eventually(LONG, "the node is back", || {
        cluster.value("node", "node-a", "{.status.conditions[?(@.type==\"Ready\")].status}") == "True"
    });
    let pods = serve(&cluster, 3);
    all_reach_all(&cluster, &pods);
}

#[test]
fn machines_behind_a_router() {
    let cluster = Cluster::start("router");
    let mut far = Machine::new(&cluster, "far", Place::BehindRouter);
    far.join();
    let pods = serve(&cluster, 2);
    all_reach_all(&cluster, &pods);
    let server = pods.iter().find(|p| p.node == "node1").expect("a pod on the server");
    let there = pods.iter().find(|p| p.node == "far").expect("a pod far away");
    // More than a packet of the tunnel holds.
    cluster.kubectl(&["exec", &server.name, "--", "ping", "-c", "1", "-s", "4000", &there.ip]).ok();
    let mtu = cluster.kubectl(&["exec", &there.name, "--", "cat", "/sys/class/net/eth0/mtu"]).ok();
    assert_eq!(mtu.trim(), "1450");
    // The node's own processes reach far pods, too, and the API server its kubelet.
    let mut wget = far.command(Path::new("busybox"));
    assert_eq!(run(wget.args(["wget", "-qO-", &format!("http://{}/", server.ip)])).ok().trim(), server.name);
    let name =
        cluster.kubectl(&["exec", &there.name, "--", "nslookup", "kubernetes.default.svc.cluster.local"]);
    assert!(name.ok().contains("10.43.0.1"));
    // A tunnel that somebody removes comes back.
    let mut ip = far.command(Path::new("ip"));
    run(ip.args(["link", "del", "knr-vxlan"])).ok();
    eventually(LONG, "the tunnel is back", || {
        ask(&cluster, there, &format!("http://{}/", server.ip)) == server.name
    });
}

#[test]
fn machines_that_may_not_join() {
    let cluster = Cluster::start("refuse");
    let other = Cluster::start("other");
    let mut a = Machine::new(&cluster, "node-a", Place::SameLink);
    let check = |machine: &Machine<'_>, flags: &[&str], said: &str| {
        let heard = machine.refused(flags);
        assert!(heard.contains(said), "{flags:?}: {heard}");
    };
    let server = "https://192.0.2.1:6443";
    let (good, foreign) = (cluster.join_token(), other.join_token());
    let wrong = format!("{}.{}.0000000000000000", &good[..65], &good[66..72]);
    check(&a, &[], "no server is known");
    check(&a, &["--server", server], "it has not joined a cluster yet");
    check(&a, &["--server", "192.0.2.1", "--token", &good], "write https://HOST:6443");
    check(&a, &["--server", server, "--token", &good[66..]], "does not say which cluster it is of");
    check(&a, &["--server", server, "--token", &wrong], "the server does not know this token");
    check(&a, &["--server", server, "--token", &foreign], "belongs to another cluster than this token");
    // One whose time is over, whether or not it has been cleaned up.
    let brief = cluster.knarr_token(&["create", "--ttl", "1s"]);
    let id = &brief[66..72];
    let secret = format!("bootstrap-token-{id}");
    eventually(LONG, "the token ends", || {
        cluster.kubectl(&["get", "secret", "-n", "kube-system", &secret]).stderr.contains("not found")
    });
    check(&a, &["--server", server, "--token", &brief], "the server does not know this token");
    let label = "node-role.kubernetes.io/control-plane=true";
    check(&a, &["--server", server, "--token", &good, "--node-labels", label], "may not label itself");
    a.join();
    // The name of a node that lives.
    let twin = Machine::new(&cluster, "node-a", Place::SameLink);
    check(
        &twin,
        &["--server", server, "--token", &good],
        "a Node with name \"node-a\" and status \"Ready\" already exists",
    );
    // A machine that has joined knows where it belongs.
    a.stop();
    check(&a, &["--server", server, "--token", &foreign], "is a node of another cluster than the token's");
    // Addresses of pods that the machine takes for its own network's.
    let clash = Machine::new(&cluster, "node-b", Place::SameLink);
    run(clash.command(Path::new("ip")).args(["addr", "add", "10.42.7.1/24", "dev", "up0"])).ok();
    check(&clash, &["--server", server, "--token", &good], "which overlaps the cluster's range 10.42.0.0/16");
}

#[test]
fn a_machine_that_is_lost() {
    let cluster = Cluster::start("lost");
    let mut a = Machine::new(&cluster, "node-a", Place::SameLink);
    a.join();
    let tolerant = r#"
apiVersion: apps/v1
kind: Deployment
metadata: { name: moves }
spec:
  selector: { matchLabels: { app: moves } }
  template:
    metadata: { labels: { app: moves } }
    spec:
      terminationGracePeriodSeconds: 1
      affinity:
        nodeAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
          - weight: 100
            preference: { matchExpressions: [{ key: kubernetes.io/hostname, operator: In, values: [node-a] }] }
      tolerations:
      - { key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 2 }
      containers: [{ name: c, image: busybox, command: [sleep, "3600"] }]
"#;
    cluster.apply(tolerant);
    cluster.wait_for("condition=Available", "deployment/moves", 90);
    let on = || {
        cluster
            .kubectl(&["get", "pods", "-l", "app=moves", "-o", "jsonpath={.items[*].spec.nodeName}"])
            .stdout
    };
    assert_eq!(on(), "node-a");
    let ready = || cluster.value("node", "node-a", "{.status.conditions[?(@.type==\"Ready\")].status}");
    a.link(false);
    eventually(LONG, "the node is Unknown", || ready() == "Unknown");
    eventually(LONG, "it is tainted", || {
        let taints = cluster.value("node", "node-a", "{.spec.taints[*].key}");
        taints.contains("node.kubernetes.io/unreachable")
    });
    eventually(LONG, "its pod moves", || on().contains("node1"));
    a.link(true);
    eventually(LONG, "the node is back", || ready() == "True");
    eventually(LONG, "only the pod that moved is left", || on() == "node1");
}

/// Pods and services of both families, between nodes whose machines have IPv4 addresses only.
#[test]
fn both_families_between_nodes() {
    let both = ["--cluster-cidr", "10.42.0.0/16,fd42::/48", "--service-cidr", "10.43.0.0/16,fd43::/112"];
    let cluster = Cluster::start_with("dual", &both);
    let mut a = Machine::new(&cluster, "node-a", Place::SameLink);
    a.join();
    let pods = serve(&cluster, 2);
    let service = "apiVersion: v1\nkind: Service\nmetadata: { name: both }\nspec:\n  ipFamilyPolicy: RequireDualStack\n  \
                   selector: { app: web }\n  ports: [{ port: 80 }]\n";
    cluster.apply(service);
    let ips = |kind: &str, name: &str, path: &str| -> Vec<String> {
        cluster.value(kind, name, path).split_whitespace().map(str::to_owned).collect()
    };
    for from in &pods {
        for to in &pods {
            let all = ips("pod", &to.name, "{.status.podIPs[*].ip}");
            assert_eq!(all.len(), 2, "{all:?}");
            for ip in all {
                let url = if ip.contains(':') { format!("http://[{ip}]/") } else { format!("http://{ip}/") };
                eventually(LONG, "a pod is reached", || ask(&cluster, from, &url) == to.name);
            }
        }
        for ip in ips("service", "both", "{.spec.clusterIPs[*]}") {
            let url = if ip.contains(':') { format!("http://[{ip}]/") } else { format!("http://{ip}/") };
            let mut seen = BTreeSet::new();
            eventually(LONG, "the service leads to both", || {
                seen.insert(ask(&cluster, from, &url));
                pods.iter().all(|p| seen.contains(&p.name))
            });
        }
    }
}

//! Services: their addresses, node ports and external addresses, as pods, the node and the world use them.

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use e2e::host::MACHINE;
use e2e::{Cluster, eventually, patience, run};

/// Generous: tests share two processors.
const SOON: Duration = Duration::from_secs(60);

/// Two pods that say their names on two ports, and a client.
const PODS: &str = "
apiVersion: v1
kind: ReplicationController
metadata: { name: web }
spec:
  replicas: 2
  selector: { app: web }
  template:
    metadata: { labels: { app: web } }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: busybox
        command: [sh, -c, 'mkdir -p /www/metrics && hostname > /www/index.html && touch /www/ready
          && echo metrics > /www/metrics/index.html && httpd -p 9090 -h /www/metrics && exec httpd -f -p 8080 -h /www']
        ports: [{ name: http, containerPort: 8080 }, { name: metrics, containerPort: 9090 }]
        readinessProbe: { exec: { command: [test, -e, /www/ready] }, periodSeconds: 1, failureThreshold: 1 }
---
apiVersion: v1
kind: Pod
metadata: { name: client, labels: { app: client } }
spec:
  terminationGracePeriodSeconds: 1
  containers: [{ name: client, image: busybox, command: [sleep, '3600'] }]
";

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: { name: web }
spec:
  type: NodePort
  selector: { app: web }
  ports:
  - { name: http, port: 80, targetPort: http }
  - { name: metrics, port: 9090, targetPort: metrics }
  - { name: dns, port: 53, targetPort: 5353, protocol: UDP }
";

struct Web {
    cluster: Cluster,
    /// The two pods' names.
    pods: BTreeSet<String>,
    /// The service's address.
    ip: String,
}

fn web(name: &str) -> Web {
    let cluster = Cluster::start(name);
    cluster.apply(PODS);
    cluster.apply(SERVICE);
    let pods = || -> BTreeSet<String> {
        let names = cluster.kubectl(&["get", "pods", "-l", "app=web", "-o", "name"]).ok();
        names.lines().map(|l| l.trim_start_matches("pod/").to_owned()).collect()
    };
    eventually(SOON, "two pods", || pods().len() == 2);
    cluster.wait_for("condition=Ready", "pod/client", 120);
    for pod in pods() {
        cluster.wait_for("condition=Ready", &format!("pod/{pod}"), 120);
    }
    let (ip, pods) = (cluster.value("service", "web", "{.spec.clusterIP}"), pods());
    Web { cluster, pods, ip }
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
enum From<'a> {
    Node,
    World,
    Pod(&'a str),
}

impl Web {
    /// Asks for a page. Standard output is the page.
    fn ask(&self, from: From<'_>, url: &str) -> e2e::Output {
        let host = &self.cluster.host;
        let most = (10 * patience()).to_string();
        let curl = ["-sS", "--max-time", &most, url];
        match from {
            From::Node => run(host.command(Path::new("curl")).args(curl)),
            From::World => run(host.world_command(Path::new("curl")).args(curl)),
            From::Pod(name) => self.cluster.kubectl(&["exec", name, "--", "wget", "-qO-", url]),
        }
    }

    /// Everybody who answers when asked until both have, or `times` times.
    fn answers(&self, from: From<'_>, url: &str, times: usize) -> BTreeSet<String> {
        eventually(SOON, &format!("{url} answers {from:?}"), || self.ask(from, url).code == 0);
        let mut seen = BTreeSet::new();
        for _ in 0..times {
            seen.insert(self.ask(from, url).ok().trim().to_owned());
            if seen.len() == 2 {
                break;
            }
        }
        seen
    }

    /// Every time refused, and at once: nobody waits for a time-out.
    fn refused(&self, from: From<'_>, url: &str) {
        eventually(SOON, &format!("{url} is refused to {from:?}"), || {
            let out = self.ask(from, url);
            out.code != 0 && (out.stderr.contains("refused") || out.stderr.contains("Failed to connect"))
        });
    }

    /// The network namespace of a pod.
    fn namespace(&self, pod: &str) -> PathBuf {
        let sandboxes = std::fs::read_dir(self.cluster.run_dir().join("sandboxes")).expect("sandboxes");
        let mine = |dir: &PathBuf| {
            let about = std::fs::read_to_string(dir.join("sandbox.json")).unwrap_or_default();
            about.contains(&format!("\"name\":\"{pod}\""))
        };
        let dir = sandboxes.flatten().map(|e| e.path()).find(mine).expect("the pod's sandbox");
        dir.join("netns")
    }
}

/// A UDP socket in a network namespace.
fn socket(namespace: &Path, at: &str) -> UdpSocket {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let namespace = std::fs::File::open(namespace).expect("open a namespace");
            nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET).expect("enter it");
            UdpSocket::bind(at).expect("bind")
        });
        thread.join().expect("a socket")
    })
}

#[test]
fn services_answer_everybody() {
    let web = web("services");
    let k = |args: &[&str]| web.cluster.kubectl(args);
    let url = format!("http://{}/", web.ip);
    let one = web.pods.first().expect("a pod").clone();
    let shown = k(&["get", "services"]).ok();
    assert!(shown.contains("kubernetes ") && shown.contains(&web.ip), "{shown}");

    // The cluster address: both pods answer a pod, the node, and each other; by its ports' names to the ports' targets.
    for from in [From::Pod("client"), From::Node, From::Pod(&one)] {
        assert_eq!(web.answers(from, &url, 60), web.pods, "{from:?}");
    }
    assert_eq!(web.ask(From::Node, &format!("http://{}:9090/", web.ip)).ok(), "metrics\n");
    web.refused(From::Node, &format!("http://{}:81/", web.ip));
    web.refused(From::Pod("client"), &format!("http://{}:81/", web.ip));

    // Node port, from everywhere.
    let port = web.cluster.value("service", "web", "{.spec.ports[0].nodePort}");
    let node_port = format!("http://{MACHINE}:{port}/");
    for from in [From::World, From::Node, From::Pod("client")] {
        assert_eq!(web.answers(from, &node_port, 60), web.pods, "{from:?}");
    }

    // The guide's last failure: an address of nobody's that is routed here.
    k(&[
        "expose",
        "service",
        "web",
        "--name=outside",
        "--port=8000",
        "--target-port=http",
        "--external-ip=198.51.100.7",
    ])
    .ok();
    run(web.cluster.host.world_command(Path::new("ip")).args([
        "route",
        "add",
        "198.51.100.7",
        "via",
        MACHINE,
    ]))
    .ok();
    assert_eq!(web.answers(From::World, "http://198.51.100.7:8000/", 60), web.pods);

    // UDP.
    for pod in &web.pods {
        let server = socket(&web.namespace(pod), "0.0.0.0:5353");
        let name = pod.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 64];
            while let Ok((_, from)) = server.recv_from(&mut buffer) {
                let _ = server.send_to(name.as_bytes(), from);
            }
        });
    }
    let by_udp = |namespace: &Path| {
        let client = socket(namespace, "0.0.0.0:0");
        client.set_read_timeout(Some(Duration::from_secs(10) * patience())).expect("set");
        client.send_to(b"who", format!("{}:53", web.ip)).expect("send");
        let mut buffer = [0; 64];
        let n = client.recv(&mut buffer).expect("an answer");
        String::from_utf8_lossy(&buffer[..n]).into_owned()
    };
    let node = Path::new("/run/netns").join(web.cluster.host.namespace());
    for namespace in [node, web.namespace("client")] {
        let seen: BTreeSet<String> = (0..40).map(|_| by_udp(&namespace)).collect();
        assert_eq!(seen, web.pods);
    }

    // The API server by its service, as clients in pods find it: with the pod's own certificate authority and token.
    let account = "/var/run/secrets/kubernetes.io/serviceaccount";
    let inside = |file: &str| k(&["exec", "client", "--", "cat", &format!("{account}/{file}")]).ok();
    let authority = web.cluster.file("ca.crt", &inside("ca.crt"));
    let token = format!("Authorization: Bearer {}", inside("token"));
    let api = |through: &mut Command| {
        let url = "https://10.43.0.1/api/v1/namespaces/default/pods";
        let most = (10 * patience()).to_string();
        run(through.args(["-sS", "--max-time", &most, "--cacert", &authority, "-H", &token, url])).ok()
    };
    let mut in_pod = Command::new("nsenter");
    in_pod.arg(format!("--net={}", web.namespace("client").display())).arg("curl");
    for answer in [api(&mut in_pod), api(&mut web.cluster.host.command(Path::new("curl")))] {
        assert!(
            answer.contains("system:serviceaccount:default:default") && answer.contains("403"),
            "{answer}"
        );
    }

    // Readiness lost and found.
    k(&["exec", &one, "--", "rm", "/www/ready"]).ok();
    let other: BTreeSet<String> = web.pods.iter().filter(|p| **p != one).cloned().collect();
    eventually(SOON, "only the other answers", || web.answers(From::Node, &url, 40) == other);
    k(&["exec", &one, "--", "touch", "/www/ready"]).ok();
    eventually(SOON, "both answer again", || web.answers(From::Node, &url, 60) == web.pods);

    // Affinity.
    k(&["patch", "service", "web", "-p", r#"{"spec":{"sessionAffinity":"ClientIP"}}"#]).ok();
    eventually(SOON, "a client stays with its pod", || web.answers(From::Pod("client"), &url, 20).len() == 1);

    // Nobody left.
    k(&["scale", "rc", "web", "--replicas=0"]).ok();
    for (from, url) in [(From::Pod("client"), &url), (From::Node, &url), (From::World, &node_port)] {
        web.refused(from, url);
    }
}

#[test]
fn rules_come_back_and_only_ours_are_touched() {
    let web = web("rules");
    let url = format!("http://{}/", web.ip);
    assert_eq!(web.answers(From::Node, &url, 60), web.pods);
    let nft = |args: &[&str]| run(web.cluster.host.command(Path::new("nft")).args(args));
    nft(&["add", "table", "inet", "firewall"]).ok();
    nft(&["add", "chain", "inet", "firewall", "in", "{ type filter hook input priority 0; }"]).ok();
    let before = nft(&["list", "table", "inet", "firewall"]).ok();

    for gone in
        [&["delete", "table", "inet", "knarr-services"][..], &["flush", "table", "inet", "knarr-services"]]
    {
        nft(gone).ok();
        assert_eq!(web.answers(From::Node, &url, 60), web.pods, "after {gone:?}");
        assert_eq!(web.answers(From::Pod("client"), &url, 60), web.pods, "after {gone:?}");
    }
    assert_eq!(nft(&["list", "table", "inet", "firewall"]).ok(), before);

    // A firewall that drops what it does not know is named, and left alone.
    nft(&[
        "add",
        "chain",
        "inet",
        "firewall",
        "through",
        "{ type filter hook forward priority 0; policy drop; }",
    ])
    .ok();
    eventually(SOON, "an event names the chain", || {
        let events = web.cluster.kubectl(&["get", "events", "-o", "jsonpath={.items[*].message}"]).stdout;
        events.contains("inet firewall through")
    });
}

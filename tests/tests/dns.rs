//! Service discovery, from inside of pods: names, resolv.conf, variables.

#![allow(clippy::disallowed_methods, reason = "tests watch real machines in real time")]

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use e2e::{Cluster, Nameserver, Output, ask, eventually, patience};

const PODS: &str = r#"
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ name: http, port: 8000, targetPort: 80 }] }
---
apiVersion: v1
kind: Service
metadata: { name: peers }
spec: { selector: { app: peers }, clusterIP: None, ports: [{ name: talk, port: 7000, protocol: UDP }] }
---
apiVersion: v1
kind: Service
metadata: { name: away }
spec: { type: ExternalName, externalName: shop.example }
---
apiVersion: v1
kind: Pod
metadata: { name: web, labels: { app: web } }
spec:
  containers:
  - { name: nginx, image: nginx }
---
apiVersion: v1
kind: Pod
metadata: { name: peer-1, labels: { app: peers } }
spec:
  hostname: first
  subdomain: peers
  containers: [{ name: box, image: busybox, command: [sleep, "3600"] }]
---
apiVersion: v1
kind: Pod
metadata: { name: peer-2, labels: { app: peers } }
spec:
  containers: [{ name: box, image: busybox, command: [sleep, "3600"] }]
"#;

/// One pod for each policy.
const POLICIES: &str = r#"
apiVersion: v1
kind: Pod
metadata: { name: box }
spec:
  containers: [{ name: box, image: busybox, command: [sleep, "3600"] }]
---
apiVersion: v1
kind: Pod
metadata: { name: on-host }
spec:
  hostNetwork: true
  containers: [{ name: box, image: busybox, command: [sleep, "3600"] }]
---
apiVersion: v1
kind: Pod
metadata: { name: on-host-first }
spec:
  hostNetwork: true
  dnsPolicy: ClusterFirstWithHostNet
  containers: [{ name: box, image: busybox, command: [sleep, "3600"] }]
---
apiVersion: v1
kind: Pod
metadata: { name: default }
spec:
  dnsPolicy: Default
  enableServiceLinks: false
  containers: [{ name: box, image: busybox, command: [sleep, "3600"] }]
---
apiVersion: v1
kind: Pod
metadata: { name: none }
spec:
  dnsPolicy: None
  dnsConfig: { nameservers: [192.0.2.53], searches: [a.example], options: [{ name: ndots, value: "2" }, { name: rotate }] }
  containers: [{ name: box, image: busybox, command: [sleep, "3600"] }]
---
apiVersion: v1
kind: Pod
metadata: { name: more }
spec:
  dnsConfig: { searches: [b.example], options: [{ name: ndots, value: "1" }] }
  containers: [{ name: box, image: busybox, command: [sleep, "3600"] }]
"#;

const RESOLV_CONF: &str = "nameserver 192.0.2.2\nsearch home.example\noptions edns0\n";

/// A cluster whose machine asks the world's nameserver.
fn cluster(name: &str) -> Cluster {
    let mut cluster = Cluster::prepare(name, &[]);
    let file = cluster.file("resolv.conf", RESOLV_CONF);
    cluster.set_flags(&["--resolv-conf", &file]);
    cluster.boot();
    cluster
}

fn inside(cluster: &Cluster, pod: &str, command: &[&str]) -> Output {
    cluster.kubectl(&[&["exec", pod, "--"], command].concat())
}

fn lookup(cluster: &Cluster, kind: &str, name: &str) -> Output {
    inside(cluster, "box", &["nslookup", &format!("-type={kind}"), name])
}

/// Waits until the answer contains all of `wanted`.
#[track_caller]
fn finds(cluster: &Cluster, kind: &str, name: &str, wanted: &[&str]) {
    let mut last = String::new();
    let start = Instant::now();
    while !wanted.iter().all(|w| last.contains(w)) {
        assert!(
            start.elapsed() < Duration::from_secs(60) * patience(),
            "{kind} {name}: no {wanted:?} in\n{last}"
        );
        let out = lookup(cluster, kind, name);
        last = out.stdout + &out.stderr;
    }
}

#[test]
fn names_lead_to_services_pods_and_the_world() {
    let cluster = cluster("dns");
    let world = Nameserver::start(&cluster.host);
    cluster.apply(PODS);
    cluster.apply(POLICIES);
    for pod in ["web", "peer-1", "peer-2", "box"] {
        cluster.wait_for("condition=Ready", &format!("pod/{pod}"), 120);
    }
    let ip = |pod: &str| cluster.value("pod", pod, "{.status.podIP}");
    let web = cluster.value("service", "web", "{.spec.clusterIP}");

    // By the short name, through the service, as a program would.
    eventually(Duration::from_secs(60), "the page comes by name", || {
        inside(&cluster, "box", &["wget", "-qO-", "http://web:8000/"]).stdout.contains("Welcome to nginx!")
    });
    finds(&cluster, "a", "web.default.svc.cluster.local", &[&web]);
    finds(&cluster, "a", "KUBERNETES.default.svc.cluster.local", &["10.43.0.1"]);
    finds(&cluster, "a", "peers.default.svc.cluster.local", &[&ip("peer-1"), &ip("peer-2")]);
    finds(&cluster, "a", "first.peers.default.svc.cluster.local", &[&ip("peer-1")]);
    finds(
        &cluster,
        "srv",
        "_http._tcp.web.default.svc.cluster.local",
        &["8000 web.default.svc.cluster.local"],
    );
    finds(
        &cluster,
        "srv",
        "_talk._udp.peers.default.svc.cluster.local",
        &["7000 first.peers.default.svc.cluster.local"],
    );
    let reverse = |ip: &str| {
        let parts: Vec<&str> = ip.split('.').rev().collect();
        format!("{}.in-addr.arpa", parts.join("."))
    };
    finds(&cluster, "ptr", &reverse(&web), &["web.default.svc.cluster.local"]);
    finds(&cluster, "ptr", &reverse(&ip("peer-1")), &["first.peers.default.svc.cluster.local"]);
    let dashed = ip("box").replace('.', "-");
    finds(&cluster, "a", &format!("{dashed}.default.pod.cluster.local"), &[&ip("box")]);
    finds(&cluster, "txt", "dns-version.cluster.local", &["1.1.0"]);

    // Names of the world, as such and by an alias. The second time nobody is asked.
    finds(&cluster, "a", "shop.example", &["192.0.2.77"]);
    finds(&cluster, "a", "away.default.svc.cluster.local", &["shop.example", "192.0.2.77"]);
    let asked = world.asked();
    finds(&cluster, "a", "shop.example", &["192.0.2.77"]);
    assert_eq!(world.asked(), asked);

    let nothing = lookup(&cluster, "a", "nothing.default.svc.cluster.local");
    assert!(format!("{}{}", nothing.stdout, nothing.stderr).contains("NXDOMAIN"), "{nothing:?}");

    // What goes out of endpoints goes out of names.
    cluster.kubectl(&["delete", "pod", "peer-1", "--grace-period=1"]).ok();
    let second = ip("peer-2");
    eventually(Duration::from_secs(60), "one peer is left", || {
        let out = lookup(&cluster, "a", "peers.default.svc.cluster.local").stdout;
        out.contains(&second) && out.matches("Address").count() == 2 // the server's own line, and one answer
    });

    // Dead nameservers: others' names fail soon, the cluster's are as they were.
    drop(world);
    let start = Instant::now();
    let failed = lookup(&cluster, "a", "other.example");
    assert!(format!("{}{}", failed.stdout, failed.stderr).contains("SERVFAIL"), "{failed:?}");
    assert!(start.elapsed() < Duration::from_secs(20) * patience(), "it took {:?}", start.elapsed());
    finds(&cluster, "a", "web.default.svc.cluster.local", &[&web]);
    let _world = Nameserver::start(&cluster.host);
    finds(&cluster, "a", "again.example", &["192.0.2.77"]);
}

#[test]
fn the_service_is_kept_and_strangers_are_refused() {
    let cluster = cluster("dns-service");
    let k = |args: &[&str]| cluster.kubectl(&[&["-n", "kube-system"], args].concat());
    let server = || {
        let path = "jsonpath={.endpoints[0].addresses[0]} {.ports[0].port}";
        let text = k(&["get", "endpointslice", "kube-dns-node1", "-o", path]).stdout;
        let (ip, port) = text.split_once(' ')?;
        Some(SocketAddr::new(ip.parse::<IpAddr>().ok()?, port.parse().ok()?))
    };
    eventually(Duration::from_secs(60), "the slice is there", || server().is_some());
    let address = || k(&["get", "service", "kube-dns", "-o", "jsonpath={.spec.clusterIP}"]).stdout;
    assert_eq!(address(), "10.43.0.10");
    let labels =
        k(&["get", "service", "-l", "k8s-app=kube-dns,kubernetes.io/cluster-service=true", "-o", "name"])
            .ok();
    assert_eq!(labels, "service/kube-dns\n");

    let at = server().expect("the server");
    assert_eq!(ask(&cluster.host, at, "kubernetes.default.svc.cluster.local"), Some(5), "not REFUSED");

    for object in ["service/kube-dns", "endpointslice/kube-dns-node1"] {
        let uid = || k(&["get", object, "-o", "jsonpath={.metadata.uid}"]).stdout;
        let before = uid();
        assert!(!before.is_empty());
        k(&["delete", object]).ok();
        eventually(Duration::from_secs(60), &format!("{object} is back"), || {
            !["", &before].contains(&uid().as_str())
        });
    }
    assert_eq!((address().as_str(), server()), ("10.43.0.10", Some(at)));
}

#[test]
fn resolv_conf_and_variables_are_as_the_pod_asks() {
    let cluster = cluster("dns-policy");
    cluster.apply(PODS);
    // Variables tell of services that were there before the pod.
    cluster.apply(POLICIES);
    let resolv_conf = |pod: &str| {
        cluster.wait_for("condition=Ready", &format!("pod/{pod}"), 120);
        let text = inside(&cluster, pod, &["cat", "/etc/resolv.conf"]).ok();
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines.join(" | ")
    };
    let searches = "default.svc.cluster.local svc.cluster.local cluster.local home.example";
    let first = format!("nameserver 10.43.0.10 | options ndots:5 | search {searches}");
    let host = "nameserver 192.0.2.2 | options edns0 | search home.example";
    assert_eq!(resolv_conf("box"), first);
    assert_eq!(resolv_conf("on-host"), host);
    assert_eq!(resolv_conf("on-host-first"), first);
    assert_eq!(resolv_conf("default"), host);
    assert_eq!(resolv_conf("none"), "nameserver 192.0.2.53 | options ndots:2 rotate | search a.example");
    let more = format!("nameserver 10.43.0.10 | options ndots:1 | search {searches} b.example");
    assert_eq!(resolv_conf("more"), more);
    assert!(!cluster.kubectl(&["get", "events"]).ok().contains("MissingClusterDNS"));

    let web = cluster.value("service", "web", "{.spec.clusterIP}");
    let environment = inside(&cluster, "box", &["env"]).ok();
    for line in [
        "KUBERNETES_SERVICE_HOST=10.43.0.1".to_owned(),
        "KUBERNETES_SERVICE_PORT=443".into(),
        "KUBERNETES_SERVICE_PORT_HTTPS=443".into(),
        "KUBERNETES_PORT_443_TCP=tcp://10.43.0.1:443".into(),
        format!("WEB_SERVICE_HOST={web}"),
        "WEB_SERVICE_PORT=8000".into(),
        "WEB_SERVICE_PORT_HTTP=8000".into(),
        format!("WEB_PORT=tcp://{web}:8000"),
        format!("WEB_PORT_8000_TCP=tcp://{web}:8000"),
        "WEB_PORT_8000_TCP_PROTO=tcp".into(),
        "WEB_PORT_8000_TCP_PORT=8000".into(),
        format!("WEB_PORT_8000_TCP_ADDR={web}"),
    ] {
        assert!(environment.lines().any(|l| l == line), "no {line} in\n{environment}");
    }
    assert!(!environment.contains("PEERS_"), "a headless service has an address?\n{environment}");
    let without = inside(&cluster, "default", &["env"]).ok();
    assert!(without.contains("KUBERNETES_SERVICE_HOST=") && !without.contains("WEB_SERVICE"), "{without}");
}

#[test]
fn without_cluster_dns_pods_get_the_nodes_and_are_told() {
    let mut cluster = Cluster::prepare("dns-off", &[]);
    let file = cluster.file("resolv.conf", RESOLV_CONF);
    cluster.set_flags(&["--resolv-conf", &file, "--disable-dns"]);
    cluster.boot();
    cluster.kubectl(&["run", "box", "--image=busybox", "--", "sleep", "3600"]).ok();
    cluster.wait_for("condition=Ready", "pod/box", 120);
    assert_eq!(inside(&cluster, "box", &["cat", "/etc/resolv.conf"]).ok().matches("192.0.2.2").count(), 1);
    eventually(Duration::from_secs(60), "the pod is told", || {
        cluster.kubectl(&["get", "events"]).stdout.contains("MissingClusterDNS")
    });
    let services = cluster.kubectl(&["get", "services", "-n", "kube-system", "-o", "name"]).ok();
    assert_eq!(services, "");
    // One of one's own is named.
    cluster.stop();
    cluster.set_flags(&["--resolv-conf", &file, "--disable-dns", "--cluster-dns", "192.0.2.99"]);
    cluster.boot();
    cluster.kubectl(&["run", "own", "--image=busybox", "--", "sleep", "3600"]).ok();
    cluster.wait_for("condition=Ready", "pod/own", 120);
    assert!(inside(&cluster, "own", &["cat", "/etc/resolv.conf"]).ok().contains("nameserver 192.0.2.99\n"));
}

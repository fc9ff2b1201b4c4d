//! A node with two pods and the world beside it, each a network namespace, and a proxy on a fake API.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use client::fake::FakeApi;
use codec::Kind;
use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use nlink::netlink::nftables::Family;
use nlink::netlink::{Connection, Nftables, namespace};
use stdx::{Random, SystemClock, Tasks};

use crate::{Config, Ranges};

pub const POD_A: &str = "10.42.0.2";
pub const POD_B: &str = "10.42.0.3";
pub const NODE: &str = "192.0.2.1";
pub const WORLD: &str = "192.0.2.2";

/// Generous: tests share two processors.
const MOST: Duration = Duration::from_secs(60);

pub struct Lab {
    pub api: FakeApi,
    names: Vec<(&'static str, String)>,
    tasks: Mutex<Tasks>,
    runtime: tokio::runtime::Runtime,
}

/// What a server says to who connects.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// The server's own address.
    pub by: String,
    /// The client's address as the server sees it.
    pub to: String,
}

impl Lab {
    pub fn run(name: &str, test: impl FnOnce(&Lab) + Send + 'static) {
        use std::os::unix::fs::MetadataExt;
        if !std::fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0) {
            eprintln!("skipped: needs root");
            return;
        }
        let lab = Lab::new(name);
        lab.start();
        // Dropped also when the test panics.
        test(&lab);
    }

    fn new(name: &str) -> Self {
        let unique = |part: &str| format!("knrs-{name}-{part}-{}", std::process::id());
        let names: Vec<(&'static str, String)> =
            vec![(NODE, unique("n")), (WORLD, unique("w")), (POD_A, unique("a")), (POD_B, unique("b"))];
        for (_, namespace) in &names {
            ip(&["netns", "add", namespace]);
            ip(&["-n", namespace, "link", "set", "lo", "up"]);
        }
        // Its threads are born inside, as all of a server's are.
        let node = PathBuf::from("/var/run/netns").join(unique("n"));
        let runtime = inside(&node, || {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(2).enable_all().build().expect("runtime")
        });
        let api = FakeApi::new(SystemClock::shared());
        let node = serde_json::json!({
            "metadata": {"name": "node1"},
            "status": {"addresses": [{"type": "InternalIP", "address": NODE}]},
        });
        api.insert(&Node::from_json(node.to_string().as_bytes()).expect("a node"));
        let lab = Lab { api, names, tasks: Mutex::default(), runtime };
        lab.wire();
        lab
    }

    fn namespace(&self, address: &str) -> &str {
        &self.names.iter().find(|(a, _)| *a == address).expect("an address of the lab").1
    }

    fn wire(&self) {
        let node = self.namespace(NODE).to_owned();
        for (link, address) in [("to-w", WORLD), ("to-a", POD_A), ("to-b", POD_B)] {
            let other = self.namespace(address);
            ip(&["-n", &node, "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", other]);
            ip(&["-n", &node, "link", "set", link, "up"]);
            ip(&["-n", other, "link", "set", "eth0", "up"]);
        }
        ip(&["-n", &node, "addr", "add", &format!("{NODE}/24"), "dev", "to-w"]);
        ip(&["-n", self.namespace(WORLD), "addr", "add", &format!("{WORLD}/24"), "dev", "eth0"]);
        ip(&["-n", &node, "route", "add", "default", "via", WORLD]);
        ip(&["-n", &node, "-6", "route", "add", "default", "dev", "to-w"]);
        // As podnet does it: a route per pod, no bridge.
        for (link, pod) in [("to-a", POD_A), ("to-b", POD_B)] {
            let namespace = self.namespace(pod);
            ip(&["-n", &node, "addr", "add", "10.42.0.1/32", "dev", link]);
            ip(&["-n", &node, "route", "add", pod, "dev", link]);
            ip(&["-n", namespace, "addr", "add", &format!("{pod}/32"), "dev", "eth0"]);
            ip(&["-n", namespace, "route", "add", "10.42.0.1", "dev", "eth0"]);
            ip(&["-n", namespace, "route", "add", "default", "via", "10.42.0.1"]);
            let pod = &*v6(pod);
            ip(&["-n", &node, "addr", "add", "fd42::1/128", "dev", link, "nodad"]);
            ip(&["-n", &node, "route", "add", pod, "dev", link]);
            ip(&["-n", namespace, "addr", "add", &format!("{pod}/128"), "dev", "eth0", "nodad"]);
            ip(&["-n", namespace, "route", "add", "fd42::1", "dev", "eth0"]);
            ip(&["-n", namespace, "route", "add", "default", "via", "fd42::1"]);
        }
        self.inside(NODE, || {
            std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1").expect("forward");
        });
        self.inside(NODE, || std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("forward"));
    }

    /// Another proxy takes over, as after an upgrade; returns when it has written the table.
    pub fn restart(&self) {
        let before = self.table();
        let tasks = std::mem::take(&mut *self.tasks.lock().expect("tasks"));
        self.runtime.block_on(tasks.stop());
        self.start();
        self.eventually("another table", || self.table() != before);
    }

    /// By which the kernel tells our table from one of the same name before or after it.
    fn table(&self) -> Option<u64> {
        self.inside(NODE, || {
            self.block_on(async {
                let nft = Connection::<Nftables>::new().expect("socket");
                let tables = nft.list_tables().await.expect("list");
                tables.into_iter().find(|t| t.name == crate::TABLE).map(|t| t.handle)
            })
        })
    }

    /// What somebody's `nft flush table` does.
    pub fn flush(&self) {
        self.inside(NODE, || {
            self.block_on(async {
                let nft = Connection::<Nftables>::new().expect("socket");
                nft.flush_table(crate::TABLE, Family::Inet).await.expect("flush");
            });
        });
    }

    /// What becomes of a machine that has only its own network.
    pub fn lose_default_route(&self) {
        ip(&["-n", self.namespace(NODE), "route", "del", "default"]);
    }

    fn start(&self) {
        let config = Config {
            node_name: "node1".into(),
            ranges: Ranges {
                pods: ["10.42.0.0/16", "fd42::/56"].map(|r| r.parse().expect("range")).into(),
                services: ["10.43.0.0/16", "fd43::/112"].map(|r| r.parse().expect("range")).into(),
            },
        };
        let tasks = self.tasks.lock().expect("tasks").clone();
        let (api, handle) = (self.api.transport(), self.runtime.handle().clone());
        self.inside(NODE, move || {
            let _runtime = handle.enter();
            crate::start(config, api, SystemClock::shared(), Random::seeded(1), &tasks).expect("start");
        });
    }

    /// Runs `f` on a thread inside one of the namespaces.
    pub fn inside<T: Send>(&self, address: &str, f: impl FnOnce() -> T + Send) -> T {
        inside(&PathBuf::from("/var/run/netns").join(self.namespace(address)), f)
    }

    /// The service `default/web` with this spec, in which `balancer` is the address of a load balancer.
    pub fn service(&self, spec: &str) {
        let mut spec: serde_json::Value = serde_json::from_str(spec).expect("JSON");
        let balancer = spec.as_object_mut().and_then(|s| s.remove("balancer"));
        let object = serde_json::json!({
            "metadata": {"namespace": "default", "name": "web", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": spec,
            "status": balancer.map(|ip| serde_json::json!({"loadBalancer": {"ingress": [{"ip": ip}]}})),
        });
        self.api.insert(&Service::from_json(object.to_string().as_bytes()).expect("a service"));
    }

    /// Its only slice: ports, and addresses with conditions (and for which `zone`), all of this node.
    pub fn slice(&self, ports: &str, endpoints: &[(&str, &str)]) {
        self.api.insert(&slice("node1", ports, endpoints));
    }

    pub fn set_slice(&self, ports: &str, endpoints: &[(&str, &str)]) {
        self.set_slice_on("node1", ports, endpoints);
    }

    pub fn set_slice_on(&self, node: &str, ports: &str, endpoints: &[(&str, &str)]) {
        let wanted = slice(node, ports, endpoints);
        self.api.edit::<EndpointSlice>("default", "web-1", |have| {
            have.ports = wanted.ports;
            have.endpoints = wanted.endpoints;
        });
    }

    /// A server that says who it is and whom it sees.
    pub fn serve_tcp(&self, address: &str, port: u16) {
        self.serve_at(address, address, port);
    }

    /// The same at another of the namespace's addresses, by whose name it answers.
    pub fn serve_at(&self, namespace: &str, address: &str, port: u16) {
        let at = SocketAddr::new(address.parse().expect("address"), port);
        let listener = self.inside(namespace, || TcpListener::bind(at).expect("bind"));
        let by = address.to_owned();
        std::thread::spawn(move || {
            while let Ok((mut stream, from)) = listener.accept() {
                let _ = stream.write_all(format!("{by} {}", from.ip()).as_bytes());
            }
        });
    }

    pub fn serve_udp(&self, address: &str, port: u16) {
        let socket = self.inside(address, || UdpSocket::bind(format!("{address}:{port}")).expect("bind"));
        let by = address.to_owned();
        std::thread::spawn(move || {
            let mut buffer = [0; 64];
            while let Ok((_, from)) = socket.recv_from(&mut buffer) {
                let _ = socket.send_to(format!("{by} {}", from.ip()).as_bytes(), from);
            }
        });
    }

    /// Asks a TCP server from one of the namespaces.
    pub fn ask(&self, from: &str, to: &str) -> std::io::Result<Answer> {
        let to: SocketAddr = to.parse().expect("address");
        let text = self.inside(from, || {
            let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(5))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            std::io::Result::Ok(text)
        })?;
        answer(&text)
    }

    /// What an HTTP server says, head and all.
    pub fn http(&self, from: &str, to: &str) -> std::io::Result<String> {
        let to: SocketAddr = to.parse().expect("address");
        self.inside(from, || {
            let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(5))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(b"GET / HTTP/1.1\r\nHost: node\r\n\r\n")?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(text)
        })
    }

    /// One of the namespaces reaches `to` by way of another.
    pub fn route(&self, from: &str, to: &str, by: &str) {
        ip(&["-n", self.namespace(from), "route", "add", to, "via", by]);
    }

    /// The same by UDP, each time from another port.
    pub fn ask_udp(&self, from: &str, to: &str) -> std::io::Result<Answer> {
        let socket = self.inside(from, || UdpSocket::bind("0.0.0.0:0"))?;
        Self::ask_on(&socket, to)
    }

    /// By UDP from a socket that was made in some namespace.
    pub fn ask_on(socket: &UdpSocket, to: &str) -> std::io::Result<Answer> {
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        socket.connect(to)?;
        socket.send(b"who")?;
        let mut buffer = [0; 64];
        let n = socket.recv(&mut buffer)?;
        answer(&String::from_utf8_lossy(&buffer[..n]))
    }

    #[track_caller]
    #[allow(clippy::disallowed_methods, reason = "the kernel and its packets live in real time")]
    pub fn eventually(&self, what: &str, mut done: impl FnMut() -> bool) {
        let start = Instant::now();
        while !done() {
            assert!(start.elapsed() < MOST, "never: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        self.runtime.block_on(tasks.stop());
        for (_, namespace) in &self.names {
            let gone = Command::new("ip").args(["netns", "del", namespace]).output();
            if !gone.is_ok_and(|o| o.status.success()) {
                eprintln!("cannot delete network namespace {namespace}");
            }
        }
    }
}

fn inside<T: Send>(namespace: &Path, f: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let inside = scope.spawn(move || {
            let _inside = namespace::enter_path(namespace).expect("enter");
            f()
        });
        inside.join().expect("thread in a namespace")
    })
}

fn slice(node: &str, ports: &str, endpoints: &[(&str, &str)]) -> EndpointSlice {
    let ports: serde_json::Value = serde_json::from_str(ports).expect("JSON");
    let endpoints: Vec<serde_json::Value> = endpoints
        .iter()
        .map(|(address, conditions)| {
            let mut conditions: serde_json::Value = serde_json::from_str(conditions).expect("JSON");
            let zone = conditions.as_object_mut().and_then(|c| c.remove("zone"));
            let hints = zone.map(|zone| serde_json::json!({"forZones": [{"name": zone}]}));
            serde_json::json!({"addresses": [address], "conditions": conditions, "nodeName": node, "hints": hints})
        })
        .collect();
    let object = serde_json::json!({
        "metadata": {"namespace": "default", "name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": ports,
        "endpoints": endpoints,
    });
    EndpointSlice::from_json(object.to_string().as_bytes()).expect("a slice")
}

/// A pod's second address.
pub fn v6(pod: &str) -> String {
    format!("fd42::{}", pod.rsplit('.').next().unwrap_or_default())
}

fn answer(text: &str) -> std::io::Result<Answer> {
    let parts = text.split_once(' ').ok_or_else(|| std::io::Error::other(format!("answer {text:?}")))?;
    Ok(Answer { by: parts.0.into(), to: parts.1.into() })
}

#[track_caller]
fn ip(args: &[&str]) {
    let output = Command::new("ip").args(args).output().expect("run ip");
    assert!(output.status.success(), "ip {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

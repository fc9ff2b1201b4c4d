//! Against the real kernel, each test in a network namespace of its own. Needs root.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nlink::netlink::{Connection, Nftables, Route, namespace};

use super::*;

/// Runs `test` on a thread inside a new network namespace, with a directory for files. Everything goes at the end.
fn in_namespace<F, Fut>(name: &str, test: F)
where
    F: FnOnce(PathBuf) -> Fut + Send + 'static,
    Fut: Future<Output = ()>,
{
    if !stdx_is_root() {
        eprintln!("skipped: needs root");
        return;
    }
    let host = Namespace::new(&format!("knrt-{name}-{}", std::process::id()));
    let path = host.path.clone();
    let thread = std::thread::spawn(move || {
        let inside = namespace::enter_path(&path).expect("enter");
        let dir = tempfile::tempdir().expect("tempdir");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async {
            Connection::<Route>::new().expect("socket").set_link_up("lo").await.expect("lo up");
            test(dir.path().to_owned()).await;
        });
        drop(inside);
    });
    if let Err(panic) = thread.join() {
        drop(host);
        std::panic::resume_unwind(panic);
    }
}

fn stdx_is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}

struct Namespace {
    name: String,
    path: PathBuf,
}

impl Namespace {
    fn new(name: &str) -> Self {
        namespace::create(name).expect("create namespace");
        Namespace { name: name.to_owned(), path: Path::new("/var/run/netns").join(name) }
    }

    /// Runs `f` inside.
    fn run<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> T {
        let path = self.path.clone();
        let thread = std::thread::spawn(move || {
            let _inside = namespace::enter_path(&path).expect("enter");
            f()
        });
        thread.join().expect("thread in namespace")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(e) = namespace::delete(&self.name) {
            eprintln!("cannot delete namespace {}: {e}", self.name);
        }
    }
}

fn ranges() -> Ranges {
    Ranges {
        pod_cidrs: vec!["10.42.0.0/24".parse().expect("cidr"), "fd42::/64".parse().expect("cidr")],
        cluster_cidrs: vec!["10.42.0.0/16".parse().expect("cidr"), "fd42::/56".parse().expect("cidr")],
    }
}

fn serve(namespace: &Namespace, at: SocketAddr) {
    let listener = namespace.run(move || TcpListener::bind(at).expect("bind"));
    std::thread::spawn(move || {
        while let Ok((mut stream, from)) = listener.accept() {
            let _ = stream.write_all(from.ip().to_string().as_bytes());
        }
    });
}

fn fetch(to: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(5))?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

#[test]
fn pods_reach_each_other_and_the_node() {
    in_namespace("reach", |dir| async move {
        let network = PodNetwork::open(&dir).expect("open");
        assert!(network.ready().await.is_err());
        network.configure(&ranges()).await.expect("configure");
        let (a, b) = (Namespace::new(&unique("a")), Namespace::new(&unique("b")));
        let ip_a = network.setup("aaaa", &a.path, &[]).await.expect("setup a");
        let ip_b = network.setup("bbbb", &b.path, &[]).await.expect("setup b");
        assert_eq!(ip_a, addresses(&["10.42.0.2", "fd42::2"]));
        assert_eq!(ip_b, addresses(&["10.42.0.3", "fd42::3"]));
        for (to, from) in ip_b.iter().zip(ip_a.clone()) {
            let at = SocketAddr::new(*to, 80);
            serve(&b, at);
            assert_eq!(a.run(move || fetch(at)).expect("pod to pod"), from.to_string());
            let gateway = if to.is_ipv4() { "10.42.0.1" } else { "fd42::1" };
            assert_eq!(fetch(at).expect("node to pod"), gateway);
        }
    });
}

#[test]
fn a_host_port_leads_to_its_pod_and_goes_with_it() {
    in_namespace("hostport", |dir| async move {
        let network = PodNetwork::open(&dir).expect("open");
        network.configure(&ranges()).await.expect("configure");
        let (a, b) = (Namespace::new(&unique("ha")), Namespace::new(&unique("hb")));
        let port = HostPort { protocol: Protocol::Tcp, host_ip: None, host_port: 8080, container_port: 80 };
        let ips = network.setup("aaaa", &a.path, std::slice::from_ref(&port)).await.expect("setup a");
        network.setup("bbbb", &b.path, &[]).await.expect("setup b");
        serve(&a, SocketAddr::new(ips[0], 80));
        let at: SocketAddr = "10.42.0.1:8080".parse().expect("address");
        assert_eq!(b.run(move || fetch(at)).expect("pod to host port"), "10.42.0.3");
        assert_eq!(a.run(move || fetch(at)).expect("hairpin"), "10.42.0.1");
        let local: SocketAddr = "127.0.0.1:8080".parse().expect("address");
        assert_eq!(fetch(local).expect("loopback to host port"), "10.42.0.1");
        // What the machine serves on loopback stays its own, whatever a pod routes there.
        let private: SocketAddr = "127.0.0.1:9090".parse().expect("address");
        let listener = TcpListener::bind(private).expect("bind");
        let tried = a.run(move || {
            std::fs::write("/proc/sys/net/ipv4/conf/eth0/route_localnet", "1").expect("sysctl");
            for args in ["addr flush dev lo", "route add 127.0.0.1/32 via 10.42.0.1 dev eth0"] {
                let done = std::process::Command::new("ip").args(args.split(' ')).status().expect("ip");
                assert!(done.success(), "ip {args}");
            }
            TcpStream::connect_timeout(&private, Duration::from_millis(500)).map(drop)
        });
        assert_eq!(tried.expect_err("the machine's own").kind(), std::io::ErrorKind::TimedOut);
        drop(listener);
        let taken = network.setup("cccc", &b.path, &[port]).await.expect_err("taken");
        assert_eq!(taken.to_string(), "host port 8080 is taken by sandbox aaaa");
        network.teardown("aaaa").await.expect("teardown");
        assert!(b.run(move || fetch(at)).is_err());
    });
}

#[test]
fn a_link_that_somebody_deletes_comes_back() {
    in_namespace("mend", |dir| async move {
        let network = PodNetwork::open(&dir).expect("open");
        network.configure(&ranges()).await.expect("configure");
        let (a, b) = (Namespace::new(&unique("ma")), Namespace::new(&unique("mb")));
        let ips = network.setup("aaaa", &a.path, &[]).await.expect("setup a");
        let at = SocketAddr::new(ips[0], 80);
        serve(&a, at);
        let (told_tx, mut told_rx) = tokio::sync::mpsc::unbounded_channel();
        let told = |sandbox: &str, result: Result<()>| {
            told_tx.send((sandbox.to_owned(), result.is_ok())).expect("send");
        };
        let deletions = async {
            // What we remove ourselves stays away.
            for _ in 0..2 {
                let host = Connection::<Route>::new().expect("socket");
                host.del_link(links::host_name("aaaa").as_str()).await.expect("delete");
                assert_eq!(told_rx.recv().await, Some(("aaaa".to_owned(), true)));
                // Whoever listened in the pod goes on.
                assert_eq!(fetch(at).expect("node to pod"), "10.42.0.1");
            }
            network.setup("bbbb", &b.path, &[]).await.expect("setup b");
            network.teardown("bbbb").await.expect("teardown");
            let host = Connection::<Route>::new().expect("socket");
            host.del_link(links::host_name("aaaa").as_str()).await.expect("delete");
            assert_eq!(told_rx.recv().await, Some(("aaaa".to_owned(), true)));
        };
        tokio::select! {
            // It listens before anything is deleted.
            biased;
            ended = network.mend(told) => panic!("{ended:?}"),
            () = deletions => {}
        }
    });
}

#[test]
fn leases_survive_a_restart_and_reset_removes_all() {
    in_namespace("restart", |dir| async move {
        let dir = dir.join("net");
        let a = Namespace::new(&unique("ra"));
        let before = {
            let network = PodNetwork::open(&dir).expect("open");
            network.configure(&ranges()).await.expect("configure");
            network.setup("aaaa", &a.path, &[]).await.expect("setup")
        };
        let network = PodNetwork::open(&dir).expect("open again");
        network.configure(&ranges()).await.expect("configure again");
        assert_eq!(network.addresses("aaaa").await, before);
        let b = Namespace::new(&unique("rb"));
        assert_eq!(
            network.setup("bbbb", &b.path, &[]).await.expect("setup"),
            addresses(&["10.42.0.3", "fd42::3"])
        );
        network.teardown("aaaa").await.expect("teardown");
        network.teardown("aaaa").await.expect("teardown again");
        PodNetwork::reset(&dir).await.expect("reset");
        assert!(!dir.exists());
        let links = Connection::<Route>::new().expect("socket").get_interface_names().await.expect("links");
        assert!(links.values().all(|l| !l.starts_with("knr")), "{links:?}");
        let tables = Connection::<Nftables>::new().expect("socket").list_tables().await.expect("tables");
        assert!(tables.is_empty(), "{tables:?}");
    });
}

#[test]
fn a_failed_setup_leaves_nothing() {
    in_namespace("failed", |dir| async move {
        let network = PodNetwork::open(&dir).expect("open");
        network.configure(&ranges()).await.expect("configure");
        let nowhere = dir.join("nowhere");
        assert!(network.setup("aaaa", &nowhere, &[]).await.is_err());
        File::create(&nowhere).expect("create");
        assert!(network.setup("aaaa", &nowhere, &[]).await.is_err());
        assert!(network.addresses("aaaa").await.is_empty());
        let links = Connection::<Route>::new().expect("socket").get_interface_names().await.expect("links");
        assert!(links.values().all(|l| !l.starts_with("knr")), "{links:?}");
    });
}

#[test]
fn a_pool_goes_round_and_ends() {
    let mut pool = Pool::new("10.0.0.0/29".parse().expect("cidr")).expect("pool");
    let first: Vec<String> = (0..5).map(|_| pool.allocate().expect("free").to_string()).collect();
    assert_eq!(first, ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]);
    assert_eq!(pool.allocate(), None);
    pool.release("10.0.0.4".parse().expect("address"));
    pool.release("10.0.0.2".parse().expect("address"));
    assert_eq!(pool.allocate().map(|a| a.to_string()), Some("10.0.0.2".into()));
    assert_eq!(pool.allocate().map(|a| a.to_string()), Some("10.0.0.4".into()));
    assert!(Pool::new("10.0.0.0/31".parse().expect("cidr")).is_err());
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|t| t.parse().expect("address")).collect()
}

fn unique(name: &str) -> String {
    format!("knrp-{name}-{}", std::process::id())
}

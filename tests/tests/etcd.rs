//! Servers whose objects are in an etcd, and what moves a cluster from one store to another.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use e2e::{Cluster, Output, binary, eventually, run, tool};

/// Where etcd listens in the machine of a test: nobody else is there.
const ETCD: &str = "http://127.0.0.1:2379";

/// The second server's address.
const SECOND: &str = "192.0.2.3";

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// etcd on the cluster's machine, its data in the test's directory.
fn etcd(cluster: &Cluster) -> Running {
    let mut command = cluster.host.command(&tool("etcd/usr/bin/etcd"));
    let data = cluster.dir().join("etcd");
    Running(start(command.arg("--data-dir").arg(data).args([
        "--listen-client-urls",
        ETCD,
        "--advertise-client-urls",
        ETCD,
    ])))
}

fn start(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("start")
}

/// One of our commands on the data directory alone.
fn knarr(cluster: &Cluster, args: &[&str]) -> Output {
    run(cluster.host.command(&binary()).args(args).arg("--data-dir").arg(cluster.data_dir()))
}

/// What a watch from a resource version says first.
fn watch_from(cluster: &Cluster, version: &str) -> String {
    let path =
        format!("/api/v1/namespaces/default/configmaps?watch=1&timeoutSeconds=1&resourceVersion={version}");
    cluster.kubectl(&["get", "--raw", &path]).stdout
}

#[track_caller]
fn is_gone(cluster: &Cluster, version: &str) {
    let said = watch_from(cluster, version);
    assert!(said.contains("\"type\":\"ERROR\"") && said.contains("\"code\":410"), "{version}: {said}");
}

#[test]
fn a_cluster_on_etcd() {
    let mut cluster = Cluster::prepare("etcd", &["--etcd-servers", ETCD]);
    let log = cluster.dir().join("server.log");
    let mut server = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let said = || fs::read_to_string(&log).unwrap_or_default();
            eventually(Duration::from_secs(60), "the server waits and says for what", || {
                said().contains("Waiting: etcd at http://127.0.0.1:2379 does not answer")
            });
        });
        let data = cluster.dir().join("etcd");
        let mut command = cluster.host.command(&tool("etcd/usr/bin/etcd"));
        let etcd = scope.spawn(move || {
            waiting.join().expect("the server waits");
            Running(start(command.arg("--data-dir").arg(data).args([
                "--listen-client-urls",
                ETCD,
                "--advertise-client-urls",
                ETCD,
            ])))
        });
        cluster.boot();
        etcd.join().expect("etcd")
    });
    cluster.kubectl(&["run", "web", "--image=nginx"]).ok();
    cluster.wait_for("condition=Ready", "pod/web", 60);
    let container =
        |cluster: &Cluster| cluster.value("pod", "web", "{.status.containerStatuses[0].containerID}");
    let before = container(&cluster);
    let version = cluster.value("pod", "web", "{.metadata.resourceVersion}");

    cluster.kill();
    cluster.boot();
    assert_eq!(container(&cluster), before);
    let watched = watch_from(&cluster, &version);
    assert!(!watched.contains("ERROR"), "a watch goes on where it was: {watched}");

    drop(server);
    eventually(Duration::from_secs(60), "readyz names etcd", || {
        cluster.kubectl(&["get", "--raw", "/readyz?verbose"]).stderr.contains("[-]etcd failed")
    });
    server = etcd(&cluster);
    eventually(Duration::from_secs(60), "it is ready again", || {
        cluster.kubectl(&["get", "--raw", "/readyz"]).stdout == "ok"
    });
    cluster.kubectl(&["create", "configmap", "after", "--from-literal=a=b"]).ok();
    assert_eq!(cluster.value("configmap", "after", "{.data.a}"), "b");
    cluster.stop();
    drop(server);
}

/// A second server with the certificates of the first.
struct Second {
    server: Option<Running>,
    kubeconfig: PathBuf,
    data_dir: PathBuf,
}

impl Second {
    fn start(cluster: &Cluster) -> Self {
        run(cluster.host.command(Path::new("ip")).args(["addr", "add", "192.0.2.3/24", "dev", "up0"])).ok();
        let data_dir = cluster.dir().join("second");
        fs::create_dir(&data_dir).expect("make its directory");
        for part in ["pki", "token"] {
            run(Command::new("cp").arg("-r").arg(cluster.data_dir().join(part)).arg(&data_dir)).ok();
        }
        let mut second =
            Second { server: None, kubeconfig: cluster.dir().join("second.kubeconfig"), data_dir };
        second.boot(cluster);
        second
    }

    fn boot(&mut self, cluster: &Cluster) {
        let log = cluster.dir().join("second.log");
        let output = fs::File::create(&log).expect("log");
        let server = cluster
            .host
            .command(&binary())
            .args([
                "server",
                "--disable-agent",
                "--etcd-servers",
                ETCD,
                "--bind-address",
                SECOND,
                "--node-ip",
                SECOND,
            ])
            .args(["--node-name", "node2", "--disable-dns", "--data-dir"])
            .arg(&self.data_dir)
            .arg("--run-dir")
            .arg(cluster.dir().join("second-run"))
            .arg("--write-kubeconfig")
            .arg(&self.kubeconfig)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("clone"))
            .stderr(output)
            .spawn()
            .expect("start the second server");
        self.server = Some(Running(server));
        let said = || fs::read_to_string(&log).unwrap_or_default();
        eventually(Duration::from_secs(60), "the second server is up", || said().contains("Knarr is up"));
    }

    fn kubectl(&self, cluster: &Cluster, args: &[&str]) -> Output {
        run(cluster.kubectl_command().env("KUBECONFIG", &self.kubeconfig).args(args))
    }
}

#[test]
fn two_servers_share_an_etcd() {
    let flags = [
        "--etcd-servers",
        ETCD,
        "--disable-agent",
        "--disable-dns",
        "--bind-address",
        "192.0.2.1",
        "--node-ip",
        "192.0.2.1",
    ];
    let mut cluster = Cluster::prepare("etcd-two", &flags);
    let _etcd = etcd(&cluster);
    cluster.boot();
    let second = Second::start(&cluster);

    for n in 0..10 {
        let name = format!("c{n}");
        cluster.kubectl(&["create", "configmap", &name]).ok();
        second.kubectl(&cluster, &["get", "configmap", &name]).ok();
        let listed = second.kubectl(&cluster, &["get", "configmaps", "-o", "name"]).ok();
        assert!(listed.contains(&name), "{listed}");
        second.kubectl(&cluster, &["delete", "configmap", &name]).ok();
        assert!(cluster.kubectl(&["get", "configmap", &name]).fails().contains("not found"));
    }
    let addresses = |of: &dyn Fn(&[&str]) -> Output| {
        let out = of(&["get", "endpoints", "kubernetes", "-o", "jsonpath={.subsets[*].addresses[*].ip}"]);
        out.stdout.split_whitespace().map(String::from).collect::<Vec<_>>()
    };
    let first = |args: &[&str]| cluster.kubectl(args);
    eventually(Duration::from_secs(60), "both servers are endpoints", || {
        addresses(&first) == ["192.0.2.1", SECOND]
    });
    let holder = |args: &dyn Fn(&[&str]) -> Output, lease: &str| {
        args(&["get", "lease", "-n", "kube-system", lease, "-o", "jsonpath={.spec.holderIdentity}"]).stdout
    };
    for lease in ["kube-controller-manager", "kube-scheduler"] {
        assert!(holder(&first, lease).starts_with("node1_"), "{}", holder(&first, lease));
    }

    // The one that leads dies: the other takes over when the lease has run out, and the address goes.
    cluster.kill();
    let other = |args: &[&str]| second.kubectl(&cluster, args);
    other(&["create", "deployment", "web", "--image=nginx"]).ok();
    eventually(Duration::from_secs(90), "the other leads", || {
        ["kube-controller-manager", "kube-scheduler"].iter().all(|l| holder(&other, l).starts_with("node2_"))
    });
    eventually(Duration::from_secs(60), "the other's controllers work", || {
        other(&["get", "pods", "-o", "name"]).stdout.contains("pod/web-")
    });
    eventually(Duration::from_secs(60), "the dead one is no endpoint", || addresses(&other) == [SECOND]);
    cluster.boot();
    assert!(cluster.kubectl(&["get", "deployment", "web"]).code == 0);
}

#[test]
fn from_a_file_to_etcd_and_back() {
    let quiet = ["--disable-agent", "--disable-dns"];
    let on_etcd = [&quiet[..], &["--etcd-servers", ETCD]].concat();
    let mut cluster = Cluster::start_with("migrate", &quiet);
    for n in 0..30 {
        cluster.kubectl(&["create", "configmap", &format!("c{n}"), "--from-literal", &format!("n={n}")]).ok();
    }
    let listed = |cluster: &Cluster| {
        let path = "jsonpath={range .items[*]}{.metadata.name} {.metadata.uid} {.data}{\"\\n\"}{end}";
        cluster.kubectl(&["get", "configmaps,secrets,serviceaccounts,clusterroles", "-A", "-o", path]).ok()
    };
    let (before, old) = (listed(&cluster), cluster.value("configmap", "c7", "{.metadata.resourceVersion}"));
    let _etcd = etcd(&cluster);
    let to = |to: &str, cluster: &Cluster| {
        knarr(cluster, &["datastore", "migrate", "--to", to, "--etcd-servers", ETCD])
    };
    let refused = to("etcd", &cluster).fails();
    assert!(refused.contains("is in use by another server"), "{refused}");
    cluster.stop();
    let said = to("etcd", &cluster).ok();
    assert!(said.contains("copied and compared"), "{said}");
    let refused = to("etcd", &cluster).fails();
    assert!(refused.contains("the target is not empty"), "{refused}");

    cluster.set_flags(&on_etcd);
    cluster.boot();
    assert_eq!(listed(&cluster), before);
    is_gone(&cluster, &old);
    let old = cluster.value("configmap", "c7", "{.metadata.resourceVersion}");
    cluster.kubectl(&["create", "configmap", "on-etcd"]).ok();
    let refused = to("embedded", &cluster).fails();
    assert!(refused.contains("the API server at 192.0.2.1 uses this etcd"), "{refused}");
    cluster.stop();

    fs::rename(cluster.data_dir().join("db"), cluster.dir().join("db-before"))
        .expect("move the old store away");
    let said = to("embedded", &cluster).ok();
    assert!(said.contains("copied and compared"), "{said}");
    cluster.set_flags(&quiet);
    cluster.boot();
    cluster.kubectl(&["delete", "configmap", "on-etcd"]).ok();
    assert_eq!(listed(&cluster), before);
    is_gone(&cluster, &old);
}

#[test]
fn a_snapshot_is_put_back() {
    let mut cluster = Cluster::start_with("snapshot", &["--disable-agent", "--disable-dns"]);
    cluster.kubectl(&["create", "configmap", "kept", "--from-literal=a=b"]).ok();
    let old = cluster.value("configmap", "kept", "{.metadata.resourceVersion}");
    let said = knarr(&cluster, &["snapshot", "save", "before"]).ok();
    assert!(said.contains("snapshots/before.snapshot: ") && said.contains(" objects at revision "), "{said}");
    let listed = knarr(&cluster, &["snapshot", "ls"]).ok();
    assert!(listed.lines().nth(1).is_some_and(|l| l.starts_with("before.snapshot ")), "{listed}");
    cluster.kubectl(&["delete", "configmap", "kept"]).ok();
    cluster.kubectl(&["create", "configmap", "later"]).ok();
    let later = cluster.value("configmap", "later", "{.metadata.resourceVersion}");
    let refused = knarr(&cluster, &["snapshot", "restore", "before"]).fails();
    assert!(refused.contains("a server is running; stop it first"), "{refused}");
    cluster.stop();
    let said = knarr(&cluster, &["snapshot", "restore", "before"]).ok();
    assert!(said.contains("are back; resource versions go on at"), "{said}");
    cluster.boot();
    assert_eq!(cluster.value("configmap", "kept", "{.data.a}"), "b");
    assert!(cluster.kubectl(&["get", "configmap", "later"]).fails().contains("not found"));
    cluster.kubectl(&["create", "configmap", "next"]).ok();
    let now: u64 =
        cluster.value("configmap", "next", "{.metadata.resourceVersion}").parse().expect("a number");
    assert!(now > later.parse().expect("a number"), "{now} {later}");
    is_gone(&cluster, &old);
    is_gone(&cluster, &later);
}

//! Components alone: each of ours a process of its own, on an etcd, with nothing but the documented API between them; the master's on
//! one machine, kubelet and proxy on another.

use std::fs::{self, File};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use e2e::{Cluster, Machine, Place, binary, eventually, images_dir, patience, run, tool};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const LONG: Duration = Duration::from_secs(120);

/// A process that ends with the test, and its log.
struct Part {
    child: Option<Child>,
    log: PathBuf,
}

impl Part {
    fn start(cluster: &Cluster, name: &str, mut command: Command, args: &[&str]) -> Self {
        let log = cluster.dir().join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log).expect("open the log");
        let child = command
            .args(args)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("clone"))
            .stderr(output)
            .spawn()
            .unwrap_or_else(|e| panic!("start {name}: {e}"));
        Part { child: Some(child), log }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Tells it to stop, and waits until it has.
    fn end(&mut self, signal: Signal) {
        let Some(mut child) = self.child.take() else { return };
        kill(Pid::from_raw(child.id() as i32), signal).expect("signal");
        child.wait().expect("wait");
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("--- {} (the last 30 lines):", self.log.display());
            lines.iter().skip(lines.len().saturating_sub(30)).for_each(|l| eprintln!("{l}"));
        }
        self.end(Signal::SIGTERM);
    }
}

/// Two machines, and an etcd on the first.
struct Lab<'c> {
    cluster: &'c Cluster,
    minion: Machine<'c>,
    kubelet_dir: PathBuf,
    _etcd: Part,
}

impl<'c> Lab<'c> {
    fn new(cluster: &'c Cluster) -> Self {
        let mut etcd = cluster.host.command(&tool("etcd/usr/bin/etcd"));
        let etcd = {
            etcd.arg("--data-dir").arg(cluster.dir().join("etcd"));
            let url = "http://127.0.0.1:2379";
            Part::start(cluster, "etcd", etcd, &["--listen-client-urls", url, "--advertise-client-urls", url])
        };
        let kubelet_dir = cluster.dir().join("kubelet");
        fs::create_dir_all(kubelet_dir.join("images")).expect("make a directory");
        for image in ["busybox.tar", "nginx.tar"] {
            fs::copy(images_dir().join(image), kubelet_dir.join("images").join(image))
                .expect("copy an image");
        }
        Lab { cluster, minion: Machine::new(cluster, "minion", Place::SameLink), kubelet_dir, _etcd: etcd }
    }

    /// A component of the master.
    fn master(&self, name: &str, args: &[&str]) -> Part {
        let mut command = self.cluster.host.command(&binary());
        command.arg(name);
        Part::start(self.cluster, name, command, args)
    }

    /// A component of the node.
    fn node(&self, name: &str, args: &[&str]) -> Part {
        let mut command = self.minion.command(&binary());
        command.arg(name);
        if name == "kubelet" {
            command
                .arg("--root-dir")
                .arg(&self.kubelet_dir)
                .args(["--eviction-hard", "memory.available<10Mi"]);
        }
        Part::start(self.cluster, name, command, args)
    }

    /// What curl gets on the node: the answer and its code.
    fn curl(&self, url: &str) -> String {
        let mut curl = self.minion.command("curl".as_ref());
        run(curl.args(["-sk", "-m", "20", "-w", " %{http_code}", url])).stdout
    }

    fn ready(&self) {
        let path = "{.status.conditions[?(@.type==\"Ready\")].status}";
        eventually(LONG, "the minion is ready", || self.cluster.value("node", "minion", path) == "True");
    }

    /// A deployment behind a service, asked by its address, its logs read, one of its pods entered.
    fn walkthrough(&self) {
        let cluster = self.cluster;
        cluster.kubectl(&["create", "deployment", "web", "--image=nginx", "--replicas=2"]).ok();
        cluster.kubectl(&["expose", "deployment", "web", "--port=80"]).ok();
        cluster.wait_for("condition=Available", "deployment/web", 120);
        let url = format!("http://{}/", cluster.value("service", "web", "{.spec.clusterIP}"));
        eventually(LONG, "the service answers", || self.curl(&url).ends_with("200"));
        eventually(LONG, "a log shows it", || {
            cluster.kubectl(&["logs", "deployment/web", "--all-pods"]).stdout.contains("GET / HTTP/1.1")
        });
        let pod = cluster.kubectl(&["get", "pods", "-o", "jsonpath={.items[0].metadata.name}"]).ok();
        let ca = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";
        let inside = cluster.kubectl(&["exec", &pod, "--", "cat", ca]).ok();
        assert!(inside.starts_with("-----BEGIN CERTIFICATE-----"), "{inside}");
        cluster.kubectl(&["delete", "deployment/web", "service/web", "--wait=false"]).ok();
    }

    fn leader(&self, lease: &str) -> String {
        let path = "jsonpath={.spec.holderIdentity}";
        self.cluster.kubectl(&["get", "lease", "-n", "kube-system", lease, "-o", path]).stdout
    }
}

impl Drop for Lab<'_> {
    fn drop(&mut self) {
        let mut reset = self.minion.command(&binary());
        let gone = run(reset.args(["reset", "--yes", "--data-dir"]).arg(&self.kubelet_dir));
        if gone.code != 0 {
            eprintln!("reset of the kubelet: {}{}", gone.stdout, gone.stderr);
        }
    }
}

/// A kubeconfig of this user; no token, no CA: plain HTTP.
fn kubeconfig(server: &str, ca: Option<&str>, token: &str) -> String {
    let ca = ca.map(|file| format!("certificate-authority: {file}, ")).unwrap_or_default();
    let user = if token.is_empty() { String::new() } else { format!("token: {token}") };
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
         clusters: [{{ name: c, cluster: {{ {ca}server: \"{server}\" }} }}]\n\
         users: [{{ name: u, user: {{ {user} }} }}]\n\
         contexts: [{{ name: c, context: {{ cluster: c, user: u }} }}]\n"
    )
}

/// As guides of Kubernetes 1.2 have it: port 8080, no certificate in any file.
#[test]
fn in_plain_text_as_the_guide_has_it() {
    let cluster = Cluster::prepare("plain", &[]);
    fs::write(cluster.kubeconfig(), kubeconfig("http://127.0.0.1:8080", None, "")).expect("write");
    let lab = Lab::new(&cluster);
    let certs = cluster.dir().join("api").display().to_string();
    // systemd's part of Type=notify.
    let socket = cluster.dir().join("notify");
    let notified = UnixDatagram::bind(&socket).expect("bind");
    notified.set_read_timeout(Some(LONG * patience())).expect("set a timeout");
    let mut command = cluster.host.command(&binary());
    command.arg("kube-apiserver").env("NOTIFY_SOCKET", &socket);
    let api = Part::start(
        &cluster,
        "kube-apiserver",
        command,
        &[
            "--logtostderr=true",
            "--v=0",
            "--etcd_servers=http://127.0.0.1:2379",
            "--insecure-bind-address=0.0.0.0",
            "--insecure-port=8080",
            "--allow-privileged=false",
            "--service-cluster-ip-range=10.254.0.0/16",
            "--service-node-port-range=31000-31001",
            "--admission-control=NamespaceLifecycle,LimitRanger,ServiceAccount,ResourceQuota",
            "--cert-dir",
            &certs,
        ],
    );
    let mut said = [0; 64];
    let length = notified.recv(&mut said).expect("the API server says that it is ready");
    assert_eq!(&said[..length], b"READY=1\n");
    assert!(api.log().contains("INSECURE"), "{}", api.log());

    let master = "--master=http://192.0.2.1:8080";
    let times = [
        "--leader-elect-lease-duration=6s",
        "--leader-elect-renew-deadline=4s",
        "--leader-elect-retry-period=1s",
    ];
    let flags = [&["--logtostderr=true", master], &times[..]].concat();
    let mut first = lab.master("kube-controller-manager", &flags);
    let _scheduler = lab.master("kube-scheduler", &flags);
    let kubelet = lab.node(
        "kubelet",
        &[
            "--logtostderr=true",
            "--address=0.0.0.0",
            "--port=10250",
            "--hostname-override=minion",
            "--api-servers=http://192.0.2.1:8080",
            "--read-only-port=10255",
            "--cadvisor-port=4194",
        ],
    );
    let proxy = lab.node("kube-proxy", &["--logtostderr=true", master, "--hostname-override=minion"]);
    lab.ready();
    lab.walkthrough();

    // Who may ask whom.
    let at = &lab.minion.address;
    assert_eq!(lab.curl(&format!("https://{at}:10250/pods")), "Unauthorized 401");
    assert!(lab.curl(&format!("http://{at}:10255/pods")).contains("\"PodList\""));
    assert!(lab.curl(&format!("http://{at}:10255/containerLogs/default/web/nginx")).ends_with("404"));
    assert!(lab.curl(&format!("http://{at}:4194/metrics")).contains("container_cpu_usage_seconds_total"));
    assert_eq!(lab.curl("http://127.0.0.1:10248/healthz"), "ok 200");
    assert_eq!(lab.curl("http://127.0.0.1:10256/healthz"), "ok 200");
    for port in [10257, 10259] {
        assert_eq!(lab.curl(&format!("https://192.0.2.1:{port}/healthz")), "ok 200");
    }
    // The range of node ports is the one that was asked for.
    for n in 0..2 {
        cluster.kubectl(&["create", "service", "nodeport", &format!("n{n}"), "--tcp=80"]).ok();
    }
    let full = cluster.kubectl(&["create", "service", "nodeport", "n2", "--tcp=80"]).fails();
    assert!(full.contains("range is full"), "{full}");

    // A clean stop lets the next one in at once, a crash when the lease has run out.
    eventually(LONG, "one leads", || !lab.leader("kube-controller-manager").is_empty());
    let was = lab.leader("kube-controller-manager");
    let second_flags = [&flags[..], &["--secure-port=0"]].concat();
    let mut second = lab.master("kube-controller-manager", &second_flags);
    #[allow(clippy::disallowed_methods, reason = "tests watch real machines in real time")]
    let next = |after: &str| {
        let begun = Instant::now();
        eventually(LONG, "another leads", || {
            let now = lab.leader("kube-controller-manager");
            !now.is_empty() && now != after
        });
        begun.elapsed()
    };
    eventually(LONG, "the second one waits", || second.log().matches("Flag --logtostderr").count() >= 2);
    first.end(Signal::SIGTERM);
    let took = next(&was);
    assert!(took < Duration::from_secs(5) * patience() * 3, "{took:?}");
    let was = lab.leader("kube-controller-manager");
    let _third = lab.master("kube-controller-manager", &second_flags);
    second.end(Signal::SIGKILL);
    next(&was);
    cluster.kubectl(&["create", "namespace", "after"]).ok();
    eventually(LONG, "its controllers work", || {
        cluster.kubectl(&["get", "serviceaccount", "default", "-n", "after"]).code == 0
    });
    drop((kubelet, proxy));
}

/// As a careful administrator has it: TLS, a user for each, configuration files, certificates that are asked for.
#[test]
fn with_users_of_their_own() {
    let cluster = Cluster::prepare("users", &[]);
    let lab = Lab::new(&cluster);
    let (server, dir) = ("https://192.0.2.1:6443", cluster.dir().join("api"));
    let certs = dir.display().to_string();
    let ca = dir.join("pki/ca.crt").display().to_string();
    let users = "t-admin,admin,1,\"system:masters\"\n\
                 t-kcm,system:kube-controller-manager,2\n\
                 t-scheduler,system:kube-scheduler,3\n\
                 t-proxy,system:kube-proxy,4\n\
                 t-boot,system:bootstrap:abcdef,5,\"system:bootstrappers,system:bootstrappers:kubeadm:default-node-token\"\n";
    let users = cluster.file("users.csv", users);
    let config = |name: &str| {
        cluster.file(&format!("{name}.kubeconfig"), &kubeconfig(server, Some(&ca), &format!("t-{name}")))
    };
    let api = [
        "--etcd-servers=http://127.0.0.1:2379",
        "--advertise-address=192.0.2.1",
        "--service-cluster-ip-range=10.254.0.0/16",
        "--cert-dir",
        &certs,
        "--token-auth-file",
        &users,
    ];
    let _api = lab.master("kube-apiserver", &api);
    fs::write(cluster.kubeconfig(), kubeconfig(server, Some(&ca), "t-admin")).expect("write");
    eventually(LONG, "the API answers", || cluster.kubectl(&["get", "--raw", "/readyz"]).stdout == "ok");

    let key = dir.join("pki/ca.key").display().to_string();
    let sa = dir.join("pki/sa.key").display().to_string();
    let _manager = lab.master(
        "kube-controller-manager",
        &[
            "--kubeconfig",
            &config("kcm"),
            "--use-service-account-credentials=true",
            "--root-ca-file",
            &ca,
            "--cluster-signing-cert-file",
            &ca,
            "--cluster-signing-key-file",
            &key,
            "--cluster-signing-duration=40s",
            "--service-account-private-key-file",
            &sa,
            "--v=2",
        ],
    );
    let scheduler = format!(
        "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n\
         clientConnection: {{ kubeconfig: {} }}\n\
         leaderElection: {{ leaseDuration: 6s, renewDeadline: 4s, retryPeriod: 1s }}\n\
         profiles:\n\
         - schedulerName: default-scheduler\n\
         - schedulerName: careless\n  plugins: {{ filter: {{ disabled: [{{ name: NodeUnschedulable }}, {{ name: TaintToleration }}] }} }}\n",
        config("scheduler")
    );
    let _scheduler = lab.master("kube-scheduler", &["--config", &cluster.file("scheduler.yaml", &scheduler)]);
    let proxy = format!(
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n\
         clientConnection: {{ kubeconfig: {} }}\nclusterCIDR: 10.42.0.0/16\nhostnameOverride: minion\nmode: nftables\n",
        config("proxy")
    );
    let _proxy = lab.node("kube-proxy", &["--config", &cluster.file("proxy.yaml", &proxy)]);
    let kubelet_config = format!(
        "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n\
         authentication: {{ x509: {{ clientCAFile: {ca} }} }}\n\
         rotateCertificates: true\nserverTLSBootstrap: true\nmaxPods: 12\n\
         registerWithTaints: [{{ key: example.com/new, effect: PreferNoSchedule }}]\n"
    );
    let (own, pki) = (cluster.dir().join("kubelet.kubeconfig"), cluster.dir().join("kubelet-pki"));
    let kubelet = lab.node(
        "kubelet",
        &[
            "--bootstrap-kubeconfig",
            &config("boot"),
            "--kubeconfig",
            &own.display().to_string(),
            "--cert-dir",
            &pki.display().to_string(),
            "--config",
            &cluster.file("kubelet.yaml", &kubelet_config),
            "--hostname-override=minion",
            "--v=2",
        ],
    );
    lab.ready();
    assert_eq!(cluster.value("node", "minion", "{.status.allocatable.pods}"), "12");
    assert!(cluster.value("node", "minion", "{.spec.taints[*].key}").contains("example.com/new"));
    lab.walkthrough();

    // Controllers act each as itself.
    let accounts = cluster.kubectl(&["get", "serviceaccounts", "-n", "kube-system", "-o", "name"]).ok();
    for name in ["deployment-controller", "replicaset-controller", "node-controller"] {
        assert!(accounts.contains(&format!("serviceaccount/{name}\n")), "{accounts}");
    }
    // A profile decides for its own pods: nobody else goes to a node that is cordoned.
    cluster.kubectl(&["cordon", "minion"]).ok();
    let pod = |name: &str, scheduler: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{ name: {name} }}\nspec:\n  schedulerName: {scheduler}\n  \
             containers: [{{ name: c, image: busybox, command: [sleep, \"3600\"] }}]\n"
        )
    };
    cluster.apply(&format!("{}---\n{}", pod("usual", "default-scheduler"), pod("bold", "careless")));
    cluster.wait_for("condition=Ready", "pod/bold", 90);
    cluster.wait_for("condition=PodScheduled=False", "pod/usual", 60);

    // Its certificates renew themselves; it goes on when the first ones have ended.
    let renewed =
        |file: &str| kubelet.log().lines().filter(|l| l.contains("renewed") && l.contains(file)).count();
    for file in ["kubelet-client-current.pem", "kubelet-server-current.pem"] {
        eventually(LONG, "the kubelet renews its certificate twice", || renewed(file) >= 2);
    }
    eventually(LONG, "logs are still read", || cluster.kubectl(&["logs", "bold"]).code == 0);
    lab.ready();
    cluster.kubectl(&["uncordon", "minion"]).ok();
    cluster.wait_for("condition=Ready", "pod/usual", 90);
}

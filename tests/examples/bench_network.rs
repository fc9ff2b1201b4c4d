//! `cargo xtask bench network`: what services cost, beside pod to pod and a bare veth pair in the same run. Printed, never judged.
//!
//! One client thread and one server thread in network namespaces, so that the path between them is all that differs.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use e2e::{Cluster, eventually, run};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;

const SERVICES: usize = 2000;
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_millis(700);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const PORT: u16 = 8080;

fn main() {
    let cluster = Cluster::start("netbench");
    for pod in ["server", "client"] {
        cluster.kubectl(&["run", pod, "--image=busybox", "--", "sleep", "3600"]).ok();
    }
    cluster.kubectl(&["wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s"]).ok();
    cluster
        .kubectl(&["expose", "pod", "server", "--port=80", "--target-port=8080", "--cluster-ip=10.43.0.200"])
        .ok();
    let (server, client) = (namespace(&cluster, "server"), namespace(&cluster, "client"));
    serve(&server);
    let pod: SocketAddr = address(&cluster.value("pod", "server", "{.status.podIP}"), PORT);
    let service = address(&cluster.value("service", "server", "{.spec.clusterIP}"), 80);
    eventually(Duration::from_secs(10), "the service answers", || inside(&client, || ask(service)).is_ok());
    requests(&client, pod, service);
    execs(&cluster);
    let api = Api::start(&cluster);
    ready(&cluster, &api, &client);
    drop(api);
    many(&cluster, &client, pod);
}

/// Requests per second on the three ways, in turns.
fn requests(client: &Path, pod: SocketAddr, service: SocketAddr) {
    let bare = Bare::new();
    serve(&bare.server);
    let ways = [
        ("bare veth pair", &*bare.client, Bare::ADDRESS),
        ("pod to pod", client, pod),
        ("ClusterIP", client, service),
    ];
    for (what, keep) in [("requests/s on one connection", true), ("connections/s with a request each", false)]
    {
        let mut rates = vec![Vec::new(); ways.len()];
        for _ in 0..ROUNDS {
            for ((_, from, to), rates) in ways.iter().zip(&mut rates) {
                rates.push(inside(from, || rate(*to, keep)));
            }
        }
        let medians: Vec<f64> = rates.into_iter().map(median).collect();
        for ((name, ..), median) in ways.iter().zip(&medians) {
            println!("{name:16} {median:8.0} {what} ({:.0} % of pod to pod)", median / medians[1] * 100.0);
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn rate(to: SocketAddr, keep: bool) -> f64 {
    let (start, mut count) = (Instant::now(), 0);
    let mut connection = connect(to).expect("connect");
    while start.elapsed() < ROUND {
        if !keep {
            connection = connect(to).expect("connect");
        }
        round_trip(&mut connection).expect("an answer");
        count += 1;
    }
    f64::from(count) / start.elapsed().as_secs_f64()
}

fn connect(to: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&to, Duration::from_secs(5))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    Ok(stream)
}

fn round_trip(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(REQUEST)?;
    stream.read_exact(&mut [0; RESPONSE.len()])
}

fn ask(to: SocketAddr) -> std::io::Result<()> {
    round_trip(&mut connect(to)?)
}

/// A server in a namespace.
fn serve(namespace: &Path) {
    let listener = inside(namespace, || TcpListener::bind(("0.0.0.0", PORT)).expect("bind"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
}

fn answer(mut stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let mut buffer = [0; REQUEST.len()];
    while stream.read_exact(&mut buffer).is_ok() && stream.write_all(RESPONSE).is_ok() {}
}

/// Two namespaces and nothing between them but a link.
struct Bare {
    names: [String; 2],
    client: PathBuf,
    server: PathBuf,
}

impl Bare {
    const ADDRESS: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(198, 18, 0, 2)), PORT);

    fn new() -> Self {
        let names = ["c", "s"].map(|n| format!("knb-{n}-{}", std::process::id()));
        let ip = |args: &[&str]| run(Command::new("ip").args(args)).ok();
        let [c, s] = &names;
        for name in &names {
            ip(&["netns", "add", name]);
        }
        ip(&["-n", c, "link", "add", "b0", "type", "veth", "peer", "name", "b0", "netns", s]);
        for (name, address) in [(c, "198.18.0.1/24"), (s, "198.18.0.2/24")] {
            ip(&["-n", name, "addr", "add", address, "dev", "b0"]);
            ip(&["-n", name, "link", "set", "b0", "up"]);
        }
        let path = |name: &String| Path::new("/run/netns").join(name);
        Bare { client: path(c), server: path(s), names }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        for name in &self.names {
            run(Command::new("ip").args(["netns", "del", name])).ok();
        }
    }
}

/// `kubectl exec`, beside what kubectl itself takes; and the round trip alone, as a client that runs already has it: a
/// connection with its TLS handshake, the WebSocket, the process, its exit code.
#[allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn execs(cluster: &Cluster) {
    let time = |args: &[&str]| {
        let times = (0..20).map(|_| {
            let start = Instant::now();
            cluster.kubectl(args).ok();
            start.elapsed().as_secs_f64() * 1e3
        });
        median(times.collect())
    };
    let (exec, get) = (time(&["exec", "client", "--", "true"]), time(&["get", "--raw", "/readyz"]));
    println!("kubectl exec POD -- true: {exec:.0} ms; kubectl get --raw /readyz: {get:.0} ms");
    let times = with_client(cluster, async |client| {
        let pods: kube::Api<Pod> = kube::Api::namespaced(client, "default");
        let mut times = Vec::new();
        for _ in 0..50 {
            let start = Instant::now();
            let mut process = pods.exec("client", ["true"], &Default::default()).await.expect("exec");
            let status = process.take_status().expect("a status").await.expect("how it ended");
            times.push(start.elapsed().as_secs_f64() * 1e3);
            assert_eq!(status.status.as_deref(), Some("Success"));
        }
        times
    });
    let mut times = times.join().expect("the client");
    times.sort_by(f64::total_cmp);
    println!("exec round trip: p50 {:.1} ms, p90 {:.1} ms of {}", times[25], times[45], times.len());
}

/// Runs `work` with kube-rs on the machine.
fn with_client<T: Send + 'static>(
    cluster: &Cluster,
    work: impl AsyncFnOnce(kube::Client) -> T + Send + 'static,
) -> std::thread::JoinHandle<T> {
    let kubeconfig = cluster.kubeconfig();
    cluster.host.machine_thread(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let file = kube::config::Kubeconfig::read_from(kubeconfig).expect("read the kubeconfig");
            let config =
                kube::Config::from_custom_kubeconfig(file, &Default::default()).await.expect("config");
            work(kube::Client::try_from(config).expect("a client")).await
        })
    })
}

/// The API in plain HTTP, by `kubectl proxy`.
struct Api {
    proxy: Child,
    to: SocketAddr,
    namespace: PathBuf,
}

impl Api {
    fn start(cluster: &Cluster) -> Self {
        let mut proxy = cluster
            .kubectl_command()
            .args(["proxy", "--port=0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("start kubectl proxy");
        let mut line = String::new();
        BufReader::new(proxy.stdout.take().expect("stdout")).read_line(&mut line).expect("read");
        let port = line.trim().rsplit(':').next().and_then(|p| p.parse().ok()).expect("a port");
        Api {
            proxy,
            to: address("127.0.0.1", port),
            namespace: Path::new("/run/netns").join(cluster.host.namespace()),
        }
    }

    fn send(&self, method: &str, path: &str, content: &str, body: &str) -> BufReader<TcpStream> {
        let mut stream = inside(&self.namespace, || TcpStream::connect(self.to).expect("connect"));
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all((head + body).as_bytes()).expect("send");
        BufReader::new(stream)
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        let _ = self.proxy.kill();
        let _ = self.proxy.wait();
    }
}

/// From the moment a watch shows a pod Ready to the first connection through its service.
#[allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn ready(cluster: &Cluster, api: &Api, client: &Path) {
    let mut times = Vec::new();
    for n in 0..10 {
        let name = format!("late{n}");
        cluster.apply(&format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{ name: {name} }}\nspec: {{ clusterIP: 10.43.0.{}, selector: {{ run: {name} }}, ports: [{{ port: 80, targetPort: 8080 }}] }}\n",
            // Away from the addresses of the many.
            210 + n
        ));
        let service = address(&cluster.value("service", &name, "{.spec.clusterIP}"), 80);
        let watch = api.send(
            "GET",
            &format!("/api/v1/namespaces/default/pods?watch=1&fieldSelector=metadata.name={name}"),
            "",
            "",
        );
        let (sender, seen) = mpsc::channel();
        std::thread::spawn(move || {
            let ready =
                watch.lines().map_while(Result::ok).find(|l| l.contains(r#""type":"Ready""#) && is_ready(l));
            let _ = sender.send(ready.map(|_| Instant::now()));
        });
        let script = "mkdir /www; exec httpd -f -p 8080 -h /www";
        cluster.kubectl(&["run", &name, "--image=busybox", "--", "sh", "-c", script]).ok();
        let first = inside(client, || {
            while connect(service).is_err() {
                std::thread::sleep(Duration::from_micros(500));
            }
            Instant::now()
        });
        let ready = seen.recv().expect("the watch").expect("Ready");
        times.push(first.saturating_duration_since(ready).as_secs_f64() * 1e3);
        cluster.kubectl(&["delete", "pod", &name, "--grace-period=0", "--force"]).ok();
    }
    let most = times.iter().copied().fold(0.0, f64::max);
    println!(
        "pod Ready to first connection by its service: p50 {:.1} ms, most {most:.1} ms of 10",
        median(times)
    );
}

fn is_ready(event: &str) -> bool {
    let Ok(event) = serde_json::from_str::<serde_json::Value>(event) else { return false };
    let conditions = event["object"]["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "True")
}

/// Thousands of services: how long they take to be there, and what one change costs among them.
#[allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn many(cluster: &Cluster, client: &Path, pod: SocketAddr) {
    let mut items = Vec::new();
    for n in 0..SERVICES {
        let name = format!("many{n}");
        let ip = format!("10.43.{}.{}", 100 + n / 250, 1 + n % 250);
        items.push(serde_json::json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"clusterIP": ip, "ports": [{"port": 80}]},
        }));
        items.push(serde_json::json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
            "ports": [{"port": PORT, "name": ""}],
            "endpoints": [{"addresses": [pod.ip().to_string()]}, {"addresses": [pod.ip().to_string()], "conditions": {"ready": false}}],
        }));
    }
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    let start = Instant::now();
    cluster.kubectl(&["create", "-f", &cluster.file("many.json", &list)]).ok();
    println!(
        "{SERVICES} services and as many slices created by kubectl in {:.1} s",
        start.elapsed().as_secs_f64()
    );
    let last = address(&format!("10.43.{}.{}", 100 + (SERVICES - 1) / 250, 1 + (SERVICES - 1) % 250), 80);
    eventually(Duration::from_secs(60), "the last service answers", || inside(client, || ask(last)).is_ok());

    let mut times = Vec::new();
    for _ in 0..5 {
        run(cluster.host.command(Path::new("nft")).args(["delete", "table", "inet", "knarr-services"])).ok();
        let start = Instant::now();
        inside(client, || while try_soon(last).is_err() {});
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    println!(
        "{SERVICES} services in the kernel again after their table was deleted: {:.0} ms",
        median(times)
    );

    // One endpoint that goes and comes; its service has no other. Asked for on a connection that is there.
    let (wish, wishes) = mpsc::channel::<bool>();
    let (answered, answers_of) = mpsc::channel();
    let ip = pod.ip().to_string();
    let patcher = with_client(cluster, async move |client| {
        let slices: kube::Api<EndpointSlice> = kube::Api::namespaced(client, "default");
        let name = format!("many{}", SERVICES - 1);
        while let Ok(up) = wishes.recv() {
            let endpoints = serde_json::json!([{"addresses": [ip], "conditions": {"ready": up}}]);
            let patch = kube::api::Patch::Merge(serde_json::json!({ "endpoints": endpoints }));
            slices.patch(&name, &Default::default(), &patch).await.expect("patch");
            answered.send(Instant::now()).expect("say so");
        }
    });
    let (mut answers, mut effects) = (Vec::new(), Vec::new());
    for round in 0..60 {
        let up = round % 2 == 1;
        let start = Instant::now();
        wish.send(up).expect("ask");
        inside(client, || while try_soon(last).is_ok() != up {});
        let (effect, answer) = (start.elapsed(), answers_of.recv().expect("an answer") - start);
        // The first ones open the connection.
        if round >= 10 {
            effects.push(effect.as_secs_f64() * 1e3);
            answers.push(answer.as_secs_f64() * 1e3);
        }
    }
    drop(wish);
    patcher.join().expect("the client");
    let (answer, effect) = (median(answers), median(effects));
    println!(
        "one endpoint of {SERVICES} services: patch answered after {answer:.1} ms, new connections follow after {effect:.1} ms"
    );
}

/// Connects, or learns quickly that it cannot.
fn try_soon(to: SocketAddr) -> std::io::Result<()> {
    TcpStream::connect_timeout(&to, Duration::from_millis(2)).map(|_| ())
}

/// The network namespace of a pod.
fn namespace(cluster: &Cluster, pod: &str) -> PathBuf {
    let sandboxes = std::fs::read_dir(cluster.run_dir().join("sandboxes")).expect("sandboxes");
    let mine = |dir: &PathBuf| {
        let about = std::fs::read_to_string(dir.join("sandbox.json")).unwrap_or_default();
        about.contains(&format!("\"name\":\"{pod}\""))
    };
    sandboxes.flatten().map(|e| e.path()).find(mine).expect("the pod's sandbox").join("netns")
}

/// Runs `f` on a thread inside a network namespace.
fn inside<T: Send>(namespace: &Path, f: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let namespace = File::open(namespace).expect("open a namespace");
            nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET).expect("enter it");
            f()
        });
        thread.join().expect("a thread in a namespace")
    })
}

fn address(ip: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip.parse().expect("an address"), port)
}

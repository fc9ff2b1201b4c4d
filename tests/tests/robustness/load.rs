//! Clients, well-behaved and not.

use std::fmt;
use std::fs::{self, File};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use e2e::{Cluster, binary, eventually, run, tool};
use futures::StreamExt;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

pub const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// How many of each sort there are in a storm.
const WORKERS: usize = 40;
const SLOW_READERS: usize = 15;
const SLOW_WATCHERS: usize = 15;
const HUGE_BODIES: usize = 2;
/// Objects that two servers are asked about at the same time.
const PAIRS: u64 = 8;

/// Time as it passes.
#[allow(clippy::disallowed_methods, reason = "tests watch real machines in real time")]
pub fn now() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}

/// Threads on the cluster's machine.
pub struct Runtime(tokio::runtime::Runtime);

/// Something that goes on by itself.
pub struct Task<T>(tokio::task::JoinHandle<T>, tokio::runtime::Handle);

pub fn runtime(cluster: &Cluster) -> Runtime {
    let made = || tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    // Its threads are where the one is that makes them.
    Runtime(cluster.host.on_machine(made).expect("a runtime"))
}

impl Runtime {
    pub fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        self.0.block_on(self.0.spawn(work)).expect("the work")
    }

    pub fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Task<T> {
        Task(self.0.spawn(work), self.0.handle().clone())
    }
}

impl<T> Task<T> {
    pub fn join(self) -> Result<T, tokio::task::JoinError> {
        self.1.block_on(self.0)
    }
}

/// One user's way to a server.
#[derive(Clone)]
pub struct Client {
    kubeconfig: PathBuf,
    token: Option<String>,
    made: Arc<OnceCell<kube::Client>>,
}

pub struct Answer {
    pub code: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

impl Client {
    /// The administrator, or the bearer of a token.
    pub fn new(cluster: &Cluster, token: Option<String>) -> Self {
        let kubeconfig = match token {
            Some(_) => cluster.tokenless_kubeconfig().into(),
            None => cluster.kubeconfig(),
        };
        Client { token, ..Client::at(&kubeconfig) }
    }

    pub fn at(kubeconfig: &Path) -> Self {
        Client { kubeconfig: kubeconfig.into(), token: None, made: Arc::default() }
    }

    /// The same user on a connection of its own: HTTP/2 has one for all that a client asks.
    fn another(&self) -> Self {
        Client { made: Arc::default(), ..self.clone() }
    }

    async fn client(&self) -> kube::Client {
        let make = async || {
            let mut file = Kubeconfig::read_from(&self.kubeconfig).expect("read the kubeconfig");
            if let Some(token) = &self.token {
                let user = file.auth_infos.first_mut().and_then(|u| u.auth_info.as_mut()).expect("a user");
                user.token = Some(token.clone().into());
            }
            let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
            kube::Client::try_from(config.expect("a configuration")).expect("a client")
        };
        self.made.get_or_init(make).await.clone()
    }

    /// The answer's head; its body comes as it is read.
    pub async fn begin(&self, method: &str, path: &str, body: Vec<u8>) -> Result<Response<Body>, String> {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let request = request.body(Body::from(body)).expect("a request");
        self.client().await.send(request).await.map_err(|e| e.to_string())
    }

    pub async fn send(&self, method: &str, path: &str, body: Vec<u8>) -> Result<Answer, String> {
        let (head, body) = self.begin(method, path, body).await?.into_parts();
        let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes().to_vec();
        Ok(Answer { code: head.status.as_u16(), headers: head.headers, body })
    }

    pub async fn get(&self, path: &str) -> Result<Answer, String> {
        self.send("GET", path, Vec::new()).await
    }

    pub async fn post(&self, path: &str, object: &Value) -> Result<Answer, String> {
        self.send("POST", path, object.to_string().into_bytes()).await
    }
}

/// A ConfigMap of so many bytes.
pub fn map(name: &str, bytes: usize) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "x".repeat(bytes)}})
}

/// What became of a storm's requests.
#[derive(Debug, Default)]
pub struct Counts {
    pub answered: AtomicU64,
    /// 429 with Retry-After.
    pub refused: AtomicU64,
    /// 413.
    pub too_large: AtomicU64,
    /// The connection broke.
    pub cut: AtomicU64,
    /// Anything else.
    pub wrong: AtomicU64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        let (answered, refused) = (count(&self.answered), count(&self.refused));
        let (large, cut, wrong) = (count(&self.too_large), count(&self.cut), count(&self.wrong));
        write!(f, "{answered} answered, {refused} times 429, {large} times 413, {cut} cut, {wrong} wrong")
    }
}

impl Counts {
    fn count(&self, answer: Result<Answer, String>) {
        let of = match answer {
            Ok(answer) => match answer.code {
                200 | 201 => &self.answered,
                429 if answer.headers.contains_key("retry-after") => &self.refused,
                413 => &self.too_large,
                code => {
                    eprintln!("{code}: {:.300}", answer.text());
                    &self.wrong
                }
            },
            Err(_) => &self.cut,
        };
        of.fetch_add(1, Ordering::Relaxed);
    }
}

/// The median time of a GET, one after the other.
pub async fn calm(client: Client, long: Duration) -> Duration {
    let (mut times, begun) = (Vec::new(), now());
    while now() - begun < long || times.len() < 5 {
        let start = now();
        let answer = client.get(&format!("{MAPS}/small")).await;
        if answer.is_ok_and(|a| a.code == 200) {
            times.push(now() - start);
        }
    }
    times.sort_unstable();
    times[times.len() / 2]
}

/// Until it is told to stop: clients that ask again at once whatever they are told, that take nothing of what they asked for,
/// and that send far too much.
pub async fn storm(client: Client, stop: Arc<AtomicBool>, counts: Arc<Counts>) {
    let mut all = Vec::new();
    for worker in 0..WORKERS {
        let (client, stop, counts) = (client.another(), stop.clone(), counts.clone());
        all.push(tokio::spawn(async move {
            let mut n = 0;
            while !stop.load(Ordering::Relaxed) {
                n += 1;
                counts.count(match n % 2 {
                    0 => client.post(MAPS, &map(&format!("w{worker}-{n}"), 100)).await,
                    _ => client.get(&format!("{MAPS}/small")).await,
                });
            }
        }));
    }
    let watch = format!("{MAPS}?watch=1");
    let slow = [(SLOW_READERS, MAPS), (SLOW_WATCHERS, watch.as_str())];
    for path in slow.into_iter().flat_map(|(many, path)| std::iter::repeat_n(path.to_owned(), many)) {
        let (client, stop) = (client.another(), stop.clone());
        all.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                // One frame, and nothing more as long as the storm lasts.
                if let Ok(mut answer) = client.begin("GET", &path, Vec::new()).await
                    && answer.status() == 200
                {
                    let _ = answer.body_mut().frame().await;
                    until(&stop).await;
                }
            }
        }));
    }
    for _ in 0..HUGE_BODIES {
        let (client, stop, counts) = (client.another(), stop.clone(), counts.clone());
        all.push(tokio::spawn(async move {
            let huge = vec![b' '; 4 << 20];
            while !stop.load(Ordering::Relaxed) {
                counts.count(client.send("POST", MAPS, huge.clone()).await);
            }
        }));
    }
    for one in all {
        one.await.expect("a client");
    }
}

async fn until(stop: &AtomicBool) {
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
    }
}

/// Reads a list in small bites; how many items it had.
pub async fn slowly(client: Client, begun: Sender<()>) -> Result<usize, String> {
    let answer = client.begin("GET", MAPS, Vec::new()).await?;
    let mut body = answer.into_body();
    let mut all = Vec::new();
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    while let Some(frame) = body.frame().await {
        all.extend_from_slice(frame.map_err(|e| e.to_string())?.data_ref().map_or(&[][..], |b| b));
        let _ = begun.send(());
        // Ten megabytes take a few seconds so.
        ticks.tick().await;
    }
    let list: Value = serde_json::from_slice(&all).map_err(|e| e.to_string())?;
    Ok(list["items"].as_array().map_or(0, Vec::len))
}

/// Reads a watch to its end, which must not be in the middle of an event.
pub async fn watch(client: Client, begun: Sender<()>) -> Result<(), String> {
    let answer = client.begin("GET", &format!("{MAPS}?watch=1"), Vec::new()).await?;
    let _ = begun.send(());
    let (mut body, mut last) = (answer.into_body().into_data_stream(), b'\n');
    while let Some(data) = body.next().await {
        last = data.map_err(|e| e.to_string())?.last().copied().unwrap_or(last);
    }
    if last == b'\n' { Ok(()) } else { Err("half an event".into()) }
}

/// Writes on one server and reads on the other, by name and in the list, several at the same time, each its own object. What all
/// of it takes.
pub async fn agree(a: Client, b: Client, rounds: u64) -> Duration {
    let begun = now();
    let pairs = (0..PAIRS)
        .map(|pair| tokio::spawn(agree_on(a.clone(), b.clone(), format!("agree{pair}"), rounds / PAIRS)));
    for pair in pairs.collect::<Vec<_>>() {
        pair.await.expect("they agree");
    }
    now() - begun
}

async fn agree_on(a: Client, b: Client, name: String, rounds: u64) {
    let path = format!("{MAPS}/{name}");
    // Exists already in later parts.
    let _ = a.post(MAPS, &map(&name, 1)).await.expect("an answer");
    for n in 0..rounds {
        let mut object = map(&name, 0);
        object["data"] = json!({"n": n.to_string()});
        let written = a.send("PUT", &path, object.to_string().into_bytes()).await.expect("an answer");
        assert_eq!(written.code, 200, "{}", written.text());
        let written = written.json()["metadata"]["resourceVersion"].clone();
        let one = b.get(&path).await.expect("an answer").json();
        assert_eq!(
            (&one["data"]["n"], &one["metadata"]["resourceVersion"]),
            (&json!(n.to_string()), &written)
        );
        let list = b.get(MAPS).await.expect("an answer").json();
        let items = list["items"].as_array().expect("items");
        let listed = items.iter().find(|i| i["metadata"]["name"] == *name).expect("it is listed");
        assert_eq!(listed["metadata"]["resourceVersion"], written, "round {n}");
    }
}

/// A process that ends with the test.
pub struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// etcd on the cluster's machine, at its usual port.
pub fn etcd(cluster: &Cluster) -> Running {
    const URL: &str = "http://127.0.0.1:2379";
    let mut command = cluster.host.command(&tool("etcd/usr/bin/etcd"));
    command.arg("--data-dir").arg(cluster.dir().join("etcd"));
    command.args(["--listen-client-urls", URL, "--advertise-client-urls", URL]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Running(command.spawn().expect("start etcd"))
}

/// A second server with the certificates of the first.
pub struct Second {
    pub kubeconfig: PathBuf,
    _server: Running,
}

impl Second {
    pub fn start(cluster: &Cluster, flags: &[&str], etcd: &str) -> Second {
        run(cluster.host.command(Path::new("ip")).args(["addr", "add", "192.0.2.3/24", "dev", "up0"])).ok();
        let data = cluster.dir().join("second");
        fs::create_dir(&data).expect("make its directory");
        for part in ["pki", "token"] {
            run(Command::new("cp").arg("-r").arg(cluster.data_dir().join(part)).arg(&data)).ok();
        }
        let (log, kubeconfig) = (cluster.dir().join("second.log"), cluster.dir().join("second.kubeconfig"));
        let output = File::create(&log).expect("log");
        let mut command = cluster.host.command(&binary());
        command
            .args(["server", "--node-name", "node2", "--disable-agent", "--disable-dns"])
            .args(flags)
            .arg(etcd);
        command.arg("--data-dir").arg(&data).arg("--run-dir").arg(cluster.dir().join("second-run"));
        command.arg("--write-kubeconfig").arg(&kubeconfig).stdin(Stdio::null());
        let server =
            command.stdout(output.try_clone().expect("clone")).stderr(output).spawn().expect("start");
        let server = Running(server);
        eventually(Duration::from_secs(60), "the second server is up", || {
            fs::read_to_string(&log).unwrap_or_default().contains("Knarr is up")
        });
        Second { kubeconfig, _server: server }
    }
}

//! The order of things: set up, then each row in turns, ours and bare.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::connection::Target;
use crate::server::{self, Process, pss};
use crate::{commit, load, watch};

#[derive(clap::Args)]
pub struct Args {
    /// The server to measure
    #[arg(long, default_value = "target/release/knarr")]
    knarr: PathBuf,
    /// A directory on the disk that is meant
    #[arg(long, default_value = "target/bench")]
    dir: PathBuf,
    /// Only rows whose names contain this
    #[arg(long, default_value = "")]
    only: String,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// How often ours and bare take turns
    #[arg(long, default_value_t = 2)]
    turns: usize,
    /// Pods to list and read
    #[arg(long, default_value_t = 10_000)]
    pods: u64,
}

const USERS: usize = 4;

struct Bench<'a> {
    args: &'a Args,
    dir: &'a Path,
    knarr: Process,
    admin: Target,
    users: Target,
    next_id: u64,
}

pub fn run(args: &Args) -> Result<()> {
    std::fs::create_dir_all(&args.dir)?;
    let dir = tempfile::tempdir_in(&args.dir)?;
    let dir = dir.path().canonicalize()?;
    println!("commit {}, {} pods, {} s × {} turns", commit_id(), args.pods, args.seconds, args.turns);
    let start = Instant::now();
    let (knarr, admin) = server::knarr(&args.knarr, &dir)?;
    println!("{:<44} {:>10.0} ms", "start to the kubeconfig written", start.elapsed().as_secs_f64() * 1e3);
    let mut bench = Bench { args, dir: &dir, knarr, users: admin.clone(), admin, next_id: 0 };
    bench.set_up()?;
    bench.reads()?;
    bench.writes()?;
    bench.patches()?;
    bench.watches()?;
    bench.size()?;
    let restart = Instant::now();
    bench.knarr.stop()?;
    let stopped = restart.elapsed();
    let again = Instant::now();
    let (mut knarr, _) = server::knarr(&args.knarr, &dir)?;
    println!(
        "{:<44} {:>10.0} ms to stop, {:.0} ms to serve again, with {:.0} MB of data",
        "restart",
        stopped.as_secs_f64() * 1e3,
        again.elapsed().as_secs_f64() * 1e3,
        size_of(&dir.join("data"))? / 1e6
    );
    knarr.stop()
}

fn commit_id() -> String {
    let output = std::process::Command::new("git").args(["describe", "--always", "--dirty"]).output();
    output.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()).unwrap_or_default()
}

fn size_of(dir: &Path) -> Result<f64> {
    let mut bytes = 0.0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        bytes += match entry.metadata()? {
            meta if meta.is_dir() => size_of(&entry.path())?,
            meta => meta.len() as f64,
        };
    }
    Ok(bytes)
}

impl Bench<'_> {
    fn wants(&self, row: &str) -> bool {
        row.contains(&self.args.only)
    }

    fn spec(&self, method: &str, path: &str, connections: usize) -> load::Spec {
        load::Spec {
            target: self.users.clone(),
            connections,
            seconds: self.args.seconds,
            most: 0,
            first_id: self.next_id,
            range: self.args.pods,
            method: method.into(),
            path: path.into(),
            body: String::new(),
            headers: Vec::new(),
        }
    }

    fn load(&mut self, spec: &load::Spec) -> Result<load::Outcome> {
        let outcome: load::Outcome = server::client(self.dir, "load", spec)?;
        self.next_id = self.next_id.max(spec.first_id) + outcome.requests + 10_000;
        Ok(outcome)
    }

    fn admin(&mut self, method: &str, path: &str, body: &Value) -> Result<()> {
        let mut spec = self.spec(method, path, 1);
        spec.target = self.admin.clone();
        (spec.most, spec.seconds, spec.body) = (1, 30.0, body.to_string());
        spec.headers.push(("content-type".into(), "application/json".into()));
        let outcome = self.load(&spec)?;
        ensure!(outcome.requests == 1, "{method} {path}: {}", outcome.why);
        Ok(())
    }

    /// The body of one GET or POST as the administrator.
    fn fetch(&self, method: &str, path: &str, accept: &str, body: &Value) -> Result<Vec<u8>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            use http_body_util::BodyExt as _;
            let tls = self.admin.tls()?;
            let mut connection = crate::connection::Connection::open(self.admin.port, tls).await?;
            let request = http::Request::builder().method(method).uri(path).header("host", "localhost");
            let request = request.header("accept", accept).header("content-type", "application/json");
            let response = connection.send(request.body(body.to_string().into_bytes().into())?).await?;
            let (status, body) = (response.status(), response.into_body().collect().await?.to_bytes());
            ensure!(status.is_success(), "{method} {path}: {}", String::from_utf8_lossy(&body));
            Ok(body.to_vec())
        })
    }

    fn set_up(&mut self) -> Result<()> {
        let group = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
        for n in 0..USERS {
            let name = format!("bench-{n}");
            let account = json!({ "metadata": { "name": name } });
            self.admin("POST", "/api/v1/namespaces/default/serviceaccounts", &account)?;
            let binding = json!({
                "metadata": { "name": name },
                "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit" },
                "subjects": [{ "kind": "ServiceAccount", "name": name, "namespace": "default" }],
            });
            self.admin("POST", group, &binding)?;
            let path = format!("/api/v1/namespaces/default/serviceaccounts/{name}/token");
            let body =
                json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {} });
            let answer = self.fetch("POST", &path, "application/json", &body)?;
            let answer: Value = serde_json::from_slice(&answer)?;
            let token = answer["status"]["token"].as_str().context("a token")?;
            self.users.tokens.push(token.to_owned());
        }
        self.users.identity = None;
        for n in 0..100 {
            let node = json!({ "metadata": { "name": format!("n{n}") } });
            self.admin("POST", "/api/v1/nodes", &node)?;
            self.admin("POST", "/api/v1/namespaces", &json!({ "metadata": { "name": format!("ns-{n}") } }))?;
        }
        // Pods need the account that a controller makes.
        let account = "/api/v1/namespaces/ns-99/serviceaccounts/default";
        let start = Instant::now();
        while self.fetch("GET", account, "application/json", &Value::Null).is_err() {
            ensure!(start.elapsed() < Duration::from_secs(30), "no service accounts come");
            std::thread::sleep(Duration::from_millis(50));
        }
        let mut spec = self.spec("POST", "/api/v1/namespaces/ns-{hundred}/pods", 32);
        (spec.first_id, spec.most, spec.seconds) = (10_000, self.args.pods, 600.0);
        spec.body = pod("p{id}");
        let outcome = self.load(&spec)?;
        ensure!(outcome.requests == self.args.pods, "pods: {:?} {}", outcome.refused, outcome.why);
        println!("{:<44} {:>10.0} /s with 32 connections", "set up: pods created", outcome.per_second());
        Ok(())
    }

    /// One row: `ours` and, in turns, the bare server with what ours answers.
    fn row(&mut self, name: &str, ours: &load::Spec, bytes: bool) -> Result<()> {
        if !self.wants(name) {
            return Ok(());
        }
        let files = self.dir.join("files");
        drop(std::fs::remove_dir_all(&files));
        std::fs::create_dir_all(&files)?;
        let get = ours.method == "GET";
        if get {
            let path =
                ours.path.replace("{random}", "0").replace("{random_hundred}", "0").replace("{two}", "00");
            let accept =
                ours.headers.iter().find(|(n, _)| n == "accept").map_or("application/json", |(_, v)| v);
            std::fs::write(files.join("answer"), self.fetch("GET", &path, accept, &Value::Null)?)?;
        }
        let (_bare, target) = server::bare(self.dir, &files)?;
        let mut bare = ours.clone();
        bare.target = target;
        bare.path = "/answer".into();
        let (mut best, mut limit) = (Vec::new(), Vec::new());
        for _ in 0..self.args.turns {
            let mut spec = ours.clone();
            spec.first_id = self.next_id;
            best.push(self.load(&spec)?);
            limit.push(self.load(&bare)?);
        }
        if let Some(refused) = best.iter().chain(&limit).find(|o| !o.refused.is_empty()) {
            println!("{name}: refused {:?}: {}", refused.refused, refused.why);
        }
        let rate = |outcomes: &[load::Outcome]| match bytes {
            true => mean(outcomes, load::Outcome::bytes_per_second) / 1e6,
            false => mean(outcomes, load::Outcome::per_second),
        };
        let (ours, bare) = (rate(&best), rate(&limit));
        let unit = if bytes { "MB/s" } else { "/s" };
        let last = best.last().cloned().unwrap_or_default();
        println!(
            "{name:<44} {ours:>10.0} {unit:<4} bare {bare:>8.0}  {:>4.0} %   p50 {} µs p99 {} µs",
            ours / bare * 100.0,
            last.p50_us,
            last.p99_us
        );
        Ok(())
    }

    fn reads(&mut self) -> Result<()> {
        // p10000, p10100, … are those of ns-0.
        let one = match self.args.pods {
            ..10_000 => "/api/v1/namespaces/ns-0/pods/p10000",
            _ => "/api/v1/namespaces/ns-0/pods/p1{two}00",
        };
        for (name, accept) in [("JSON", "application/json"), ("protobuf", PROTOBUF)] {
            let mut spec = self.spec("GET", one, 64);
            spec.headers.push(("accept".into(), accept.into()));
            self.row(&format!("GET one pod, {name}, 64"), &spec, false)?;
        }
        let all = "/api/v1/pods";
        let lists = [
            ("LIST all, 2", all, "application/json", 2),
            ("LIST all, protobuf, 2", all, PROTOBUF, 2),
            ("LIST one namespace, 8", "/api/v1/namespaces/ns-{random_hundred}/pods", "application/json", 8),
            (
                "LIST a label of 1 %, 8",
                "/api/v1/pods?labelSelector=pick%3D{random_hundred}",
                "application/json",
                8,
            ),
            (
                "LIST spec.nodeName, 8",
                "/api/v1/pods?fieldSelector=spec.nodeName%3Dn{random_hundred}",
                "application/json",
                8,
            ),
        ];
        for (name, path, accept, connections) in lists {
            let mut spec = self.spec("GET", path, connections);
            spec.headers.push(("accept".into(), accept.into()));
            self.row(name, &spec, true)?;
        }
        if self.wants("LIST all, gzip") {
            let mut spec = self.spec("GET", all, 2);
            spec.headers.push(("accept-encoding".into(), "gzip".into()));
            let outcome = self.load(&spec)?;
            println!(
                "{:<44} {:>10.1} /s, {:.1} MB each",
                "LIST all, gzip, 2",
                outcome.per_second(),
                outcome.bytes as f64 / outcome.requests.max(1) as f64 / 1e6
            );
        }
        Ok(())
    }

    fn writes(&mut self) -> Result<()> {
        let kinds = [
            ("ConfigMap 1 KiB", "/api/v1/namespaces/ns-{hundred}/configmaps", config_map("c{id}", 900)),
            ("Pod 2 KiB", "/api/v1/namespaces/ns-{hundred}/pods", pod("w{id}")),
        ];
        for (kind, path, body) in kinds {
            for connections in [1, 8, 32, 64] {
                let name = format!("create {kind}, {connections}");
                if !self.wants(&name) {
                    continue;
                }
                let mut spec = self.spec("POST", path, connections);
                spec.body.clone_from(&body);
                spec.headers.push(("content-type".into(), "application/json".into()));
                let most = Duration::from_secs_f64(self.args.seconds);
                let raw = commit::group(self.dir, connections, body.len(), most)?;
                self.row(&name, &spec, false)?;
                let syncs = commit::syncs(self.dir, Duration::from_secs(1))?;
                println!("{:<44} {raw:>10.0} /s   {syncs:.0} syncs/s", "    raw group commit of as many");
            }
        }
        Ok(())
    }

    fn patches(&mut self) -> Result<()> {
        let path = "/api/v1/namespaces/ns-0/configmaps/fought-over";
        if self.wants("PATCH") {
            let body: Value = serde_json::from_str(&config_map("fought-over", 100))?;
            self.admin("POST", "/api/v1/namespaces/ns-0/configmaps", &body)?;
        }
        let patches = [
            ("merge", "application/merge-patch+json", r#"{"data":{"k{hundred}":"{id}"}}"#, ""),
            ("strategic", "application/strategic-merge-patch+json", r#"{"data":{"k{hundred}":"{id}"}}"#, ""),
            (
                "JSON",
                "application/json-patch+json",
                r#"[{"op":"add","path":"/data/k{hundred}","value":"{id}"}]"#,
                "",
            ),
            (
                "apply",
                "application/apply-patch+yaml",
                r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"fought-over"},"data":{"applied":"{id}"}}"#,
                "?fieldManager=bench&force=true",
            ),
        ];
        for (kind, content, body, query) in patches {
            let name = format!("PATCH {kind}, 32 fighting for one object");
            if !self.wants(&name) {
                continue;
            }
            let mut spec = self.spec("PATCH", &format!("{path}{query}"), 32);
            spec.body = body.into();
            spec.headers.push(("content-type".into(), content.into()));
            let outcome = self.load(&spec)?;
            println!(
                "{name:<44} {:>10.0} /s   p50 {} µs p99 {} µs {}",
                outcome.per_second(),
                outcome.p50_us,
                outcome.p99_us,
                outcome.why
            );
        }
        Ok(())
    }

    fn watches(&mut self) -> Result<()> {
        for watchers in [100, 1000] {
            let name = format!("watch 256 B ConfigMaps, {watchers} watchers");
            if !self.wants(&name) {
                continue;
            }
            let seconds = self.args.seconds * 2.0;
            // From now on: what is there already is not news.
            let path = "/api/v1/namespaces/ns-1/configmaps";
            let list = self.fetch("GET", &format!("{path}?limit=1"), "application/json", &Value::Null)?;
            let list: Value = serde_json::from_slice(&list)?;
            let revision = list["metadata"]["resourceVersion"].as_str().context("a revision")?;
            let path = format!("{path}?watch=true&resourceVersion={revision}");
            let spec = watch::Spec { target: self.users.clone(), watchers, path, seconds };
            let ours = self.watch(&spec, true)?;
            let files = self.dir.join("files");
            drop(std::fs::remove_dir_all(&files));
            std::fs::create_dir_all(&files)?;
            let event = vec![b'x'; (ours.bytes / ours.events.max(1)).max(1) as usize - 1];
            std::fs::write(files.join("event"), [event.as_slice(), b"\n"].concat())?;
            let (_bare, target) = server::bare(self.dir, &files)?;
            let bare = watch::Spec { target, path: "/stream/event".into(), ..spec };
            let limit = self.watch(&bare, false)?;
            let (rate, bytes) = (ours.events as f64 / ours.seconds, ours.bytes as f64 / ours.seconds / 1e6);
            let bare = limit.bytes as f64 / limit.seconds / 1e6;
            println!(
                "{name:<44} {rate:>10.0} events/s, {bytes:.0} MB/s; bare {bare:.0} MB/s {:.0} %; p50 {} µs p99 {} µs",
                bytes / bare * 100.0,
                ours.p50_us,
                ours.p99_us
            );
        }
        Ok(())
    }

    fn watch(&mut self, spec: &watch::Spec, write: bool) -> Result<watch::Outcome> {
        use std::io::{BufRead as _, BufReader, Read as _};
        let (mut child, _) = server::start_client(self.dir, "watch", spec)?;
        let mut errors = BufReader::new(child.stderr.take().context("its errors")?);
        let mut line = String::new();
        errors.read_line(&mut line)?;
        ensure!(line.starts_with("watching"), "the watchers failed: {line}");
        if write {
            let mut writes = self.spec("POST", "/api/v1/namespaces/ns-1/configmaps", 16);
            writes.seconds = spec.seconds - 0.5;
            writes.headers.push(("content-type".into(), "application/json".into()));
            let object = json!({ "metadata": { "name": "e{id}" }, "data": { "at": "sent-{now}" } });
            writes.body = object.to_string();
            self.load(&writes)?;
        }
        let mut out = String::new();
        child.stdout.take().context("its output")?.read_to_string(&mut out)?;
        child.wait()?;
        Ok(serde_json::from_str(&out)?)
    }

    fn size(&self) -> Result<()> {
        let bytes = self.fetch("GET", "/api/v1/pods", "application/json", &Value::Null)?.len() as f64;
        let size = pss(self.knarr.id()).unwrap_or_default();
        println!(
            "{:<44} {:>10.0} MiB PSS at the end; all pods are {:.0} MiB of JSON",
            "memory",
            size / f64::from(1 << 20),
            bytes / f64::from(1 << 20)
        );
        Ok(())
    }
}

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

fn mean(outcomes: &[load::Outcome], of: impl Fn(&load::Outcome) -> f64) -> f64 {
    outcomes.iter().map(of).sum::<f64>() / outcomes.len().max(1) as f64
}

fn config_map(name: &str, size: usize) -> String {
    json!({ "metadata": { "name": name }, "data": { "text": "x".repeat(size) } }).to_string()
}

/// About 2 KiB as it is sent, on a node of the hundred, as a controller would make it.
fn pod(name: &str) -> String {
    let labels = json!({ "app": "bench", "pick": "{hundred}", "pod-template-hash": "5d59d67564" });
    let variables: Vec<Value> = (0..8)
        .map(|n| json!({ "name": format!("VARIABLE_{n}"), "value": format!("a value of some length {n}") }))
        .collect();
    let container = json!({
        "name": "main",
        "image": "registry.example.com/team/application:v1.2.3",
        "command": ["/usr/bin/application", "--listen=0.0.0.0:8080", "--log-level=info"],
        "env": variables,
        "ports": [{ "name": "http", "containerPort": 8080 }, { "name": "metrics", "containerPort": 9090 }],
        "resources": { "requests": { "cpu": "100m", "memory": "128Mi" }, "limits": { "memory": "256Mi" } },
        "livenessProbe": { "httpGet": { "path": "/healthz", "port": "http" }, "periodSeconds": 10 },
        "readinessProbe": { "httpGet": { "path": "/readyz", "port": "http" }, "periodSeconds": 5 },
        "volumeMounts": [{ "name": "config", "mountPath": "/etc/application" }],
        "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
    });
    json!({
        "metadata": { "name": name, "labels": labels, "annotations": { "example.com/checksum": "0123456789abcdef" } },
        "spec": {
            "nodeName": "n{hundred}",
            "containers": [container],
            "volumes": [{ "name": "config", "configMap": { "name": "application" } }],
            "tolerations": [{ "operator": "Exists" }],
        },
    })
    .to_string()
}

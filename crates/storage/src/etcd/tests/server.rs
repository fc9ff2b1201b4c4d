//! A real etcd of a test's own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use stdx::{Clock, Random, SystemClock, Tasks};

use super::super::members;
use super::{EtcdConfig, EtcdEngine, config};

pub(super) struct Server {
    child: Child,
    dir: tempfile::TempDir,
    args: Vec<String>,
    pub url: String,
}

impl Server {
    /// Answers when this returns.
    pub async fn start(more: &[&str]) -> Self {
        let server = Self::start_at("http", more);
        server.answers().await;
        server
    }

    /// May not answer yet.
    pub fn start_at(scheme: &str, more: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("{scheme}://127.0.0.1:{}", free_port());
        let peer = format!("http://127.0.0.1:{}", free_port());
        let mut args = vec![
            format!("--data-dir={}", dir.path().display()),
            format!("--listen-client-urls={url}"),
            format!("--advertise-client-urls={url}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=default={peer}"),
        ];
        args.extend(more.iter().map(ToString::to_string));
        Server { child: spawn(&args), dir, args, url }
    }

    async fn answers(&self) {
        let clock = SystemClock;
        let until = clock.monotonic() + Duration::from_secs(60);
        loop {
            let tasks = Tasks::new();
            match EtcdEngine::open(config(&self.url, "/ready"), &tasks).await {
                Ok(_) => return tasks.stop().await,
                Err(error) => assert!(clock.monotonic() < until, "{error}"),
            }
            clock.sleep(Duration::from_millis(50)).await;
        }
    }

    /// As after a crash.
    pub fn restart(&mut self) {
        self.kill();
        self.child = spawn(&self.args);
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Three members that want certificates.
pub(super) struct Cluster {
    members: Vec<Option<Child>>,
    args: Vec<Vec<String>>,
    urls: Vec<String>,
    _dir: tempfile::TempDir,
}

/// How long a cluster may take for anything, on a machine that does other things, too.
pub(super) fn patience() -> Duration {
    Duration::from_secs(180)
}

impl Cluster {
    /// May not answer yet. `pki` has the files `ca.crt`, `member.crt` and `member.key`.
    pub fn start(pki: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut ports = Vec::new();
        while ports.len() < 6 {
            let port = free_port();
            if !ports.contains(&port) {
                ports.push(port);
            }
        }
        let url = |port: &u16| format!("https://127.0.0.1:{port}");
        let (urls, peers): (Vec<_>, Vec<_>) =
            (ports[..3].iter().map(url).collect(), ports[3..].iter().map(url).collect());
        let all: Vec<_> = peers.iter().enumerate().map(|(n, peer)| format!("m{n}={peer}")).collect();
        let file = |name: &str| pki.join(name).display().to_string();
        let args = |n: usize| {
            let mut args = vec![
                format!("--name=m{n}"),
                format!("--data-dir={}", dir.path().join(n.to_string()).display()),
                format!("--listen-client-urls={}", urls[n]),
                format!("--advertise-client-urls={}", urls[n]),
                format!("--listen-peer-urls={}", peers[n]),
                format!("--initial-advertise-peer-urls={}", peers[n]),
                format!("--initial-cluster={}", all.join(",")),
            ];
            for side in ["", "peer-"] {
                args.push(format!("--{side}cert-file={}", file("member.crt")));
                args.push(format!("--{side}key-file={}", file("member.key")));
                args.push(format!("--{side}trusted-ca-file={}", file("ca.crt")));
                args.push(format!("--{side}client-cert-auth"));
            }
            args
        };
        let args: Vec<_> = (0..3).map(args).collect();
        let members = args.iter().map(|args| Some(spawn(args))).collect();
        Cluster { members, args, urls, _dir: dir }
    }

    pub fn urls(&self) -> Vec<String> {
        self.urls.clone()
    }

    /// An engine, as soon as the cluster answers.
    pub async fn engine(&self, config: &EtcdConfig, tasks: &Tasks) -> Arc<EtcdEngine> {
        let until = SystemClock.monotonic() + patience();
        loop {
            match EtcdEngine::open(config.clone(), tasks).await {
                Ok(engine) => return Arc::new(engine),
                Err(error) => assert!(SystemClock.monotonic() < until, "{error}"),
            }
            SystemClock.sleep(Duration::from_millis(100)).await;
        }
    }

    /// Which member leads: the one that says that it is its own leader.
    pub async fn leader(&self, config: &EtcdConfig) -> usize {
        let until = SystemClock.monotonic() + patience();
        loop {
            for (n, url) in self.urls.iter().enumerate() {
                let config = EtcdConfig { servers: vec![url.clone()], ..config.clone() };
                if members::Members::new(&config).unwrap().leads().await {
                    return n;
                }
            }
            assert!(SystemClock.monotonic() < until, "nobody leads");
            SystemClock.sleep(Duration::from_millis(100)).await;
        }
    }

    pub fn kill(&mut self, member: usize) {
        let mut child = self.members[member].take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub fn restart(&mut self, member: usize) {
        self.members[member] = Some(spawn(&self.args[member]));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.members.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        assert!(self.dir.path().exists());
    }
}

fn spawn(args: &[String]) -> Child {
    let program = std::env::var_os("KNARR_ETCD").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/tools/etcd/usr/bin/etcd")),
        PathBuf::from,
    );
    assert!(program.exists(), "no etcd at {}: run `cargo xtask test --only tools`", program.display());
    Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Nobody listens there now. Outside of the range that the kernel gives to connections, so that none takes it meanwhile.
fn free_port() -> u16 {
    let random = Random::from_os();
    let ports = std::iter::repeat_with(|| 15_000 + random.below(15_000) as u16);
    ports.into_iter().find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

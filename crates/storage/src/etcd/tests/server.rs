//! A real etcd of a test's own.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use stdx::{Clock, Random, SystemClock, Tasks};

use super::{EtcdEngine, config};

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
        let until = clock.monotonic() + std::time::Duration::from_secs(60);
        loop {
            let tasks = Tasks::new();
            match EtcdEngine::open(config(&self.url, "/ready"), &tasks).await {
                Ok(_) => return tasks.stop().await,
                Err(error) => assert!(clock.monotonic() < until, "{error}"),
            }
            clock.sleep(std::time::Duration::from_millis(50)).await;
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

//! A runtime of its own for each test, in temporary directories and a cgroup of its own, removed at the end.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cri::{
    ContainerConfig, ContainerMetadata, ContainerState, ContainerStatus, PodSandboxConfig,
    PodSandboxMetadata, RuntimeService,
};
use runtime::{Config, LoopbackNetwork, Runtime};
use stdx::{Clock, SystemClock, Tasks};

pub const IMAGE: &str = "docker.io/library/busybox:test";

/// Nothing here takes longer unless it hangs; KNARR_PATIENCE times as long where the machine is emulated.
pub fn patience() -> Duration {
    let times = std::env::var("KNARR_PATIENCE").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    Duration::from_secs(60) * times
}

pub struct Fixture {
    pub runtime: Arc<Runtime>,
    pub config: Config,
    dir: PathBuf,
    /// Removed at the end, by whoever made it.
    _temporary: Option<tempfile::TempDir>,
}

impl Fixture {
    /// Runs `test` with a fixture and removes everything afterwards.
    #[track_caller]
    pub fn run<F: Future<Output = ()>>(test: impl FnOnce(Arc<Fixture>) -> F) {
        let tokio =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        tokio.block_on(async {
            let fixture = Arc::new(Fixture::open().await);
            let config = fixture.config.clone();
            let guard = Cleanup { config: config.clone(), done: false };
            let outcome = tokio::select! {
                () = test(fixture.clone()) => Ok(()),
                () = SystemClock.sleep(patience()) => Err("the test hangs"),
            };
            let dir = fixture.dir.clone();
            config.tasks.signal();
            Runtime::reset(&config).await.unwrap();
            let mut guard = guard;
            guard.done = true;
            assert_eq!(leftovers(&dir, &config), Vec::<String>::new());
            outcome.unwrap();
        });
    }

    async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let cgroup_root =
            format!("knarr-test-{}", dir.path().file_name().unwrap().to_string_lossy().replace('.', ""));
        let config = config(dir.path(), &cgroup_root);
        let runtime = Runtime::open(config.clone()).await.unwrap();
        let archive = dir.path().join("busybox.tar");
        runtime::testimage::busybox_archive(&archive, "busybox:test").unwrap();
        assert_eq!(runtime.load_archive(&archive).await.unwrap(), [IMAGE]);
        let path = dir.path().to_path_buf();
        Fixture { runtime, config, dir: path, _temporary: Some(dir) }
    }

    /// Helpers for a runtime that somebody else opened and loaded.
    pub fn around(runtime: Arc<Runtime>, dir: &Path) -> Self {
        Fixture { runtime, config: config(dir, ""), dir: dir.to_path_buf(), _temporary: None }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn pod(&self) -> PodSandboxConfig {
        PodSandboxConfig {
            metadata: PodSandboxMetadata {
                name: "pod".into(),
                uid: "uid-1".into(),
                namespace: "default".into(),
                attempt: 0,
            },
            hostname: "pod".into(),
            log_directory: self.dir.join("logs").to_string_lossy().into_owned(),
            cgroup_parent: "kubepods/poduid-1".into(),
            namespaces: cri::NamespaceOptions {
                pid: cri::NamespaceMode::Container,
                ..cri::NamespaceOptions::default()
            },
            ..PodSandboxConfig::default()
        }
    }

    /// A container that runs `script` in a shell.
    pub fn shell(&self, name: &str, script: &str) -> ContainerConfig {
        self.command(name, &["sh", "-c", script])
    }

    pub fn command(&self, name: &str, command: &[&str]) -> ContainerConfig {
        let mut config = ContainerConfig {
            metadata: ContainerMetadata { name: name.into(), attempt: 0 },
            image: IMAGE.into(),
            command: command.iter().map(|c| c.to_string()).collect(),
            log_path: format!("{name}/0.log"),
            ..ContainerConfig::default()
        };
        config.security_context.namespaces.pid = cri::NamespaceMode::Container;
        config.security_context.seccomp = cri::SecurityProfile::RuntimeDefault;
        config
    }

    pub async fn sandbox(&self) -> String {
        self.runtime.run_pod_sandbox(&self.pod()).await.unwrap()
    }

    /// Starts a container and returns its id.
    pub async fn start(&self, sandbox: &str, config: &ContainerConfig) -> String {
        let id = self.runtime.create_container(sandbox, config, &self.pod()).await.unwrap();
        self.runtime.start_container(&id).await.unwrap();
        id
    }

    /// Waits until it has ended.
    pub async fn ended(&self, id: &str) -> ContainerStatus {
        let ended = async || {
            let status = self.runtime.container_status(id).await.unwrap();
            (status.container.state == ContainerState::Exited).then_some(status)
        };
        eventually(ended).await
    }

    /// Runs a container in a sandbox of its own to its end; its status and what it wrote.
    pub async fn outcome(&self, config: &ContainerConfig) -> (ContainerStatus, String) {
        drop(std::fs::remove_file(self.dir.join("logs").join(&config.log_path)));
        let sandbox = self.sandbox().await;
        let id = self.start(&sandbox, config).await;
        let status = self.ended(&id).await;
        let output = self.output(&config.log_path);
        self.runtime.remove_pod_sandbox(&sandbox).await.unwrap();
        (status, output)
    }

    /// Runs a script to its end and returns what it wrote.
    pub async fn script(&self, script: &str) -> String {
        let (status, output) = self.outcome(&self.shell("script", script)).await;
        assert_eq!(status.exit_code, 0, "{output} {}", status.message);
        output
    }

    pub fn log(&self, path: &str) -> String {
        std::fs::read_to_string(self.dir.join("logs").join(path)).unwrap_or_default()
    }

    /// The lines of a log without times and tags.
    pub fn output(&self, path: &str) -> String {
        let log = self.log(path);
        log.lines().map(|line| line.splitn(4, ' ').nth(3).unwrap_or("?").to_string() + "\n").collect()
    }
}

/// A configuration over a temporary directory.
pub fn config(dir: &Path, cgroup_root: &str) -> Config {
    Config {
        state_dir: dir.join("state"),
        data_dir: dir.join("data"),
        cgroup_root: cgroup_root.to_string(),
        network: Arc::new(LoopbackNetwork),
        registries: Default::default(),
        program: PathBuf::from("/proc/self/exe"),
        clock: SystemClock::shared(),
        tasks: Tasks::new(),
    }
}

/// Asks again and again, for what comes from another process without telling.
pub async fn eventually<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    loop {
        match ask().await {
            Some(answer) => return answer,
            None => SystemClock.sleep(Duration::from_millis(5)).await,
        }
    }
}

/// What a reset should have removed. The pods' own cgroups stand for the kubelet's and go here.
fn leftovers(dir: &Path, config: &Config) -> Vec<String> {
    let mut left = Vec::new();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    left.extend(mounts.lines().filter(|m| m.contains(&*dir.to_string_lossy())).map(String::from));
    for hierarchy in std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
        let root = hierarchy.path().join(&config.cgroup_root);
        for pod in ["kubepods/poduid-1", "kubepods", ""] {
            let group = root.join(pod);
            if group.exists()
                && let Err(e) = std::fs::remove_dir(&group)
            {
                left.push(format!("{}: {e}", group.display()));
            }
        }
    }
    for name in ["state/sandboxes", "state/containers", "data/containers", "data/images"] {
        if dir.join(name).exists() {
            left.push(name.to_string());
        }
    }
    left
}

/// A test that panics leaves nothing either.
struct Cleanup {
    config: Config,
    done: bool,
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let config = self.config.clone();
        let cleaner = std::thread::spawn(move || {
            let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            tokio.block_on(async {
                drop(Runtime::reset(&config).await);
            });
            drop(leftovers(Path::new("/nowhere"), &config));
        });
        drop(cleaner.join());
    }
}

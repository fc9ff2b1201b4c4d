//! A runtime in memory, for tests of what speaks CRI. Containers "run" until the test ends them.
//!
//! Every mutating call is written into a journal; the next call of an operation can be made to fail.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt as _};
use stdx::Tasks;
use stdx::clock::SharedClock;
use tokio::sync::{broadcast, oneshot};

use crate::{
    AttachRequest, Attached, AuthConfig, Container, ContainerConfig, ContainerId, ContainerState,
    ContainerStats, ContainerStatus, Duplex, Error, Event, ExecRequest, ExecSyncResponse, FilesystemUsage,
    Image, ImageService, LinuxContainerResources, NamespaceMode, PodSandbox, PodSandboxConfig,
    PodSandboxStatus, Result, RuntimeCondition, RuntimeService, RuntimeStatus, SandboxId, SandboxState,
    VersionInfo,
};

const EVENTS_MAX: usize = 1024;

/// A runtime in memory. Clones share it.
#[derive(Clone)]
pub struct FakeRuntime {
    state: Arc<Mutex<State>>,
    events: broadcast::Sender<Event>,
    clock: SharedClock,
    tasks: Tasks,
}

#[derive(Default)]
struct State {
    next_id: u64,
    sandboxes: BTreeMap<SandboxId, Sandbox>,
    containers: BTreeMap<ContainerId, FakeContainer>,
    images: BTreeMap<String, Image>,
    journal: Vec<String>,
    failures: HashMap<String, Vec<Error>>,
    exec: HashMap<String, ExecSyncResponse>,
    conditions: Vec<RuntimeCondition>,
    /// Images whose containers ignore SIGTERM.
    stubborn: Vec<String>,
    /// Image → exit code of containers that end as soon as they have started.
    short_lived: HashMap<String, i32>,
    held_pulls: HashMap<String, tokio::sync::watch::Receiver<bool>>,
    /// By image.
    warnings: HashMap<String, Vec<String>>,
}

struct Sandbox {
    status: PodSandboxStatus,
    config: PodSandboxConfig,
}

struct FakeContainer {
    status: ContainerStatus,
    config: ContainerConfig,
    pod_uid: String,
    log: String,
}

impl FakeRuntime {
    /// An empty runtime that is ready, with no images.
    pub fn new(clock: SharedClock) -> Self {
        let ready = |kind: &str| RuntimeCondition { kind: kind.into(), status: true, ..Default::default() };
        let state =
            State { conditions: vec![ready("RuntimeReady"), ready("NetworkReady")], ..State::default() };
        FakeRuntime {
            state: Arc::new(Mutex::new(state)),
            events: broadcast::channel(EVENTS_MAX).0,
            clock,
            tasks: Tasks::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> i64 {
        i64::try_from(self.clock.now().as_nanosecond()).unwrap_or(i64::MAX)
    }

    fn emit(&self, event: Event) {
        // Nobody listening is fine.
        let _ = self.events.send(event);
    }

    /// Puts an image there, as if pulled; returns its id.
    pub fn add_image(&self, reference: &str) -> String {
        self.lock().add_image(reference)
    }

    /// Makes the next call of `operation` (a method's name) fail with `error`. Several queue up.
    pub fn fail_next(&self, operation: &str, error: Error) {
        self.lock().failures.entry(operation.into()).or_default().push(error);
    }

    /// Pulls of `image` wait until the returned sender says true.
    pub fn hold_pull(&self, image: &str) -> tokio::sync::watch::Sender<bool> {
        let (tx, rx) = tokio::sync::watch::channel(false);
        self.lock().held_pulls.insert(image.into(), rx);
        tx
    }

    /// Containers of `image` get less than they ask for.
    pub fn warn_of(&self, image: &str, warnings: &[&str]) {
        let warnings = warnings.iter().map(|w| (*w).to_owned()).collect();
        self.lock().warnings.insert(image.into(), warnings);
    }

    /// What `exec_sync` answers when the command is `command` (joined by spaces); else success without output.
    pub fn answer_exec(&self, command: &str, response: ExecSyncResponse) {
        self.lock().exec.insert(command.into(), response);
    }

    /// Sets a condition of `status`.
    pub fn set_condition(&self, kind: &str, status: bool, reason: &str, message: &str) {
        let mut state = self.lock();
        state.conditions.retain(|c| c.kind != kind);
        state.conditions.push(RuntimeCondition {
            kind: kind.into(),
            status,
            reason: reason.into(),
            message: message.into(),
        });
    }

    /// Containers of this image (as users write it) ignore SIGTERM and die by SIGKILL after the time-out.
    pub fn make_stubborn(&self, image: &str) {
        self.lock().stubborn.push(image.into());
    }

    /// Containers of this image end with `exit_code` as soon as they have started.
    pub fn make_short_lived(&self, image: &str, exit_code: i32) {
        self.lock().short_lived.insert(image.into(), exit_code);
    }

    /// Every mutating call so far, oldest first, and forgets them.
    pub fn take_journal(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().journal)
    }

    /// Ids of the containers of this name, newest last.
    pub fn containers_named(&self, name: &str) -> Vec<ContainerId> {
        let state = self.lock();
        let named = state.containers.iter().filter(|(_, c)| c.config.metadata.name == name);
        named.map(|(id, _)| id.clone()).collect()
    }

    /// The configuration a container was created with.
    pub fn container_config(&self, id: &str) -> Option<ContainerConfig> {
        self.lock().containers.get(id).map(|c| c.config.clone())
    }

    /// The configuration a sandbox was made with.
    pub fn sandbox_config(&self, id: &str) -> Option<PodSandboxConfig> {
        self.lock().sandboxes.get(id).map(|s| s.config.clone())
    }

    /// Ends a running container by itself. `false` when it does not run.
    pub fn exit(&self, id: &str, exit_code: i32) -> bool {
        let reason = if exit_code == 0 { "Completed" } else { "Error" };
        self.end(id, exit_code, 0, reason)
    }

    /// The kernel kills a container for memory.
    pub fn oom_kill(&self, id: &str) -> bool {
        self.end(id, 137, 9, "OOMKilled")
    }

    /// A sandbox dies without anybody having asked.
    pub fn lose_sandbox(&self, id: &str) {
        let running: Vec<_> = {
            let mut state = self.lock();
            let Some(sandbox) = state.sandboxes.get_mut(id) else { return };
            sandbox.status.sandbox.state = SandboxState::NotReady;
            state.running_in(id)
        };
        for container in running {
            self.end(&container, 137, 9, "Error");
        }
        self.sandbox_changed(id);
    }

    /// Tells readers that they missed events.
    pub fn resync(&self) {
        self.emit(Event::Resync);
    }

    /// Appends a line to a container's log as its process would.
    pub fn write_log(&self, id: &str, stream: &str, line: &str) {
        let path = self.lock().containers.get(id).map(|c| c.log.clone());
        let Some(path) = path else { return };
        let written = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .and_then(|mut file| writeln!(file, "{} {stream} F {line}", self.clock.now()));
        assert!(written.is_ok(), "write a fake log: {written:?}");
    }

    fn end(&self, id: &str, exit_code: i32, signal: i32, reason: &str) -> bool {
        let now = self.now();
        let event = {
            let mut state = self.lock();
            let Some(container) = state.containers.get_mut(id) else { return false };
            let status = &mut container.status;
            if status.container.state != ContainerState::Running {
                return false;
            }
            status.container.state = ContainerState::Exited;
            status.finished_at = now;
            status.exit_code = exit_code;
            status.signal = signal;
            status.reason = reason.into();
            status.pid = 0;
            Event::ContainerStopped {
                sandbox: status.container.sandbox.clone(),
                container: id.into(),
                pod_uid: container.pod_uid.clone(),
            }
        };
        self.emit(event);
        true
    }

    fn sandbox_changed(&self, id: &str) {
        let uid = self.lock().sandboxes.get(id).map(|s| s.config.metadata.uid.clone());
        if let Some(pod_uid) = uid {
            self.emit(Event::SandboxChanged { sandbox: id.into(), pod_uid });
        }
    }
}

impl State {
    fn fail(&mut self, operation: &str) -> Result<()> {
        match self.failures.get_mut(operation) {
            Some(queue) if !queue.is_empty() => Err(queue.remove(0)),
            _ => Ok(()),
        }
    }

    fn record(&mut self, line: String) {
        self.journal.push(line);
    }

    fn id(&mut self, prefix: &str) -> String {
        self.next_id += 1;
        format!("{prefix}{:04}", self.next_id)
    }

    fn add_image(&mut self, reference: &str) -> String {
        let tag = with_tag(reference);
        // Not a real digest: enough to be one name per reference.
        let id = format!("sha256:{:0>64}", tag.bytes().map(|b| format!("{b:02x}")).collect::<String>());
        let name = tag.rsplit_once(':').map_or(tag.as_str(), |(name, _)| name).to_owned();
        let image = Image {
            id: id.clone(),
            repo_tags: vec![tag.clone()],
            repo_digests: vec![format!("{name}@{id}")],
            size: 1024,
            ..Image::default()
        };
        self.images.insert(tag, image);
        id
    }

    fn image(&self, reference: &str) -> Option<&Image> {
        self.images.get(&with_tag(reference)).or_else(|| self.images.values().find(|i| i.id == reference))
    }

    fn running_in(&self, sandbox: &str) -> Vec<ContainerId> {
        let running = self.containers.iter().filter(|(_, c)| {
            c.status.container.sandbox == sandbox && c.status.container.state == ContainerState::Running
        });
        running.map(|(id, _)| id.clone()).collect()
    }
}

fn with_tag(reference: &str) -> String {
    let last = reference.rsplit('/').next().unwrap_or_default();
    if last.contains(':') || last.contains('@') { reference.into() } else { format!("{reference}:latest") }
}

fn not_found(id: &str) -> Error {
    Error::NotFound(id.into())
}

#[async_trait]
impl RuntimeService for FakeRuntime {
    async fn version(&self) -> Result<VersionInfo> {
        Ok(VersionInfo {
            runtime_name: "knarr".into(),
            runtime_version: "0.1.0".into(),
            runtime_api_version: "v1".into(),
        })
    }

    async fn status(&self) -> Result<RuntimeStatus> {
        let mut state = self.lock();
        state.fail("status")?;
        Ok(RuntimeStatus {
            conditions: state.conditions.clone(),
            cgroup_driver: "cgroupfs".into(),
            user_namespaces: false,
        })
    }

    async fn update_runtime_config(&self, pod_cidrs: &[String]) -> Result<()> {
        self.lock().record(format!("update_runtime_config {}", pod_cidrs.join(",")));
        Ok(())
    }

    async fn run_pod_sandbox(&self, config: &PodSandboxConfig) -> Result<SandboxId> {
        let now = self.now();
        let id = {
            let mut state = self.lock();
            state.record(format!("run_pod_sandbox {}/{}", config.metadata.namespace, config.metadata.name));
            state.fail("run_pod_sandbox")?;
            let id = state.id("s");
            let n = state.next_id;
            let host = config.namespaces.network == NamespaceMode::Node;
            let ips = if host {
                vec![]
            } else {
                vec![
                    format!("10.42.0.{}", n % 250 + 2)
                        .parse()
                        .unwrap_or(std::net::IpAddr::from([10, 42, 0, 2])),
                ]
            };
            let sandbox = PodSandbox {
                id: id.clone(),
                metadata: config.metadata.clone(),
                state: SandboxState::Ready,
                created_at: now,
                labels: config.labels.clone(),
                annotations: config.annotations.clone(),
            };
            let status = PodSandboxStatus { sandbox, ips, namespaces: config.namespaces.clone() };
            state.sandboxes.insert(id.clone(), Sandbox { status, config: config.clone() });
            id
        };
        self.sandbox_changed(&id);
        Ok(id)
    }

    async fn stop_pod_sandbox(&self, id: &str) -> Result<()> {
        let running = {
            let mut state = self.lock();
            state.record(format!("stop_pod_sandbox {id}"));
            state.fail("stop_pod_sandbox")?;
            let Some(sandbox) = state.sandboxes.get_mut(id) else { return Ok(()) };
            sandbox.status.sandbox.state = SandboxState::NotReady;
            sandbox.status.ips.clear();
            state.running_in(id)
        };
        for container in running {
            self.end(&container, 137, 9, "Error");
        }
        self.sandbox_changed(id);
        Ok(())
    }

    async fn remove_pod_sandbox(&self, id: &str) -> Result<()> {
        let removed = {
            let mut state = self.lock();
            state.record(format!("remove_pod_sandbox {id}"));
            state.fail("remove_pod_sandbox")?;
            state.containers.retain(|_, c| c.status.container.sandbox != id);
            state.sandboxes.remove(id)
        };
        if let Some(sandbox) = removed {
            self.emit(Event::SandboxChanged { sandbox: id.into(), pod_uid: sandbox.config.metadata.uid });
        }
        Ok(())
    }

    async fn pod_sandbox_status(&self, id: &str) -> Result<PodSandboxStatus> {
        self.lock().sandboxes.get(id).map(|s| s.status.clone()).ok_or_else(|| not_found(id))
    }

    async fn list_pod_sandboxes(&self) -> Result<Vec<PodSandbox>> {
        let mut state = self.lock();
        state.fail("list_pod_sandboxes")?;
        Ok(state.sandboxes.values().map(|s| s.status.sandbox.clone()).collect())
    }

    async fn create_container(
        &self,
        sandbox: &str,
        config: &ContainerConfig,
        sandbox_config: &PodSandboxConfig,
    ) -> Result<ContainerId> {
        let now = self.now();
        let (id, pod_uid) = {
            let mut state = self.lock();
            state.record(format!("create_container {} #{}", config.metadata.name, config.metadata.attempt));
            state.fail("create_container")?;
            let made = state.sandboxes.get(sandbox).ok_or_else(|| not_found(sandbox))?;
            let pod_uid = made.config.metadata.uid.clone();
            let image = state.image(&config.image).cloned().ok_or_else(|| not_found(&config.image))?;
            let id = state.id("c");
            let container = Container {
                id: id.clone(),
                sandbox: sandbox.into(),
                metadata: config.metadata.clone(),
                image: config.image.clone(),
                state: ContainerState::Created,
                created_at: now,
                labels: config.labels.clone(),
                annotations: config.annotations.clone(),
            };
            let log = Path::new(&sandbox_config.log_directory).join(&config.log_path);
            let log = log.to_string_lossy().into_owned();
            let status = ContainerStatus {
                container,
                image_ref: image.repo_digests.first().cloned().unwrap_or(image.id),
                image: config.user_specified_image.clone(),
                mounts: config.mounts.clone(),
                log_path: log.clone(),
                resources: config.resources.clone(),
                ..ContainerStatus::default()
            };
            let made = FakeContainer { status, config: config.clone(), pod_uid: pod_uid.clone(), log };
            state.containers.insert(id.clone(), made);
            (id, pod_uid)
        };
        self.emit(Event::ContainerCreated { sandbox: sandbox.into(), container: id.clone(), pod_uid });
        Ok(id)
    }

    async fn start_container(&self, id: &str) -> Result<()> {
        let now = self.now();
        let (event, log, ends) = {
            let mut state = self.lock();
            let name = state.containers.get(id).ok_or_else(|| not_found(id))?.config.metadata.name.clone();
            state.record(format!("start_container {name}"));
            let failed = state.fail("start_container");
            let State { containers, short_lived, .. } = &mut *state;
            let container = containers.get_mut(id).ok_or_else(|| not_found(id))?;
            if let Err(e) = failed {
                // As the real ones: a container that could not start has exited.
                container.status.container.state = ContainerState::Exited;
                container.status.finished_at = now;
                container.status.exit_code = 128;
                container.status.reason = "StartError".into();
                container.status.message = e.to_string();
                return Err(e);
            }
            container.status.container.state = ContainerState::Running;
            container.status.started_at = now;
            container.status.pid = 4242;
            let event = Event::ContainerStarted {
                sandbox: container.status.container.sandbox.clone(),
                container: id.into(),
                pod_uid: container.pod_uid.clone(),
            };
            let ends = short_lived.get(&container.config.user_specified_image).copied();
            (event, container.log.clone(), ends)
        };
        if let Some(parent) = Path::new(&log).parent().filter(|p| p.is_absolute()) {
            let made = std::fs::create_dir_all(parent)
                .and_then(|()| std::fs::OpenOptions::new().create(true).append(true).open(&log).map(drop));
            made.map_err(|e| Error::Unknown(format!("make {log}: {e}")))?;
        }
        self.emit(event);
        if let Some(code) = ends {
            self.exit(id, code);
        }
        Ok(())
    }

    async fn stop_container(&self, id: &str, timeout_seconds: i64) -> Result<()> {
        let stubborn = {
            let mut state = self.lock();
            let Some(container) = state.containers.get(id) else { return Ok(()) };
            let name = container.config.metadata.name.clone();
            let image = container.config.user_specified_image.clone();
            state.record(format!("stop_container {name} timeout={timeout_seconds}"));
            state.fail("stop_container")?;
            state.stubborn.contains(&image)
        };
        if stubborn {
            let patience = std::time::Duration::from_secs(timeout_seconds.max(0).unsigned_abs());
            self.clock.sleep(patience).await;
            self.end(id, 137, 9, "Error");
        } else {
            self.end(id, 0, 0, "Completed");
        }
        Ok(())
    }

    async fn remove_container(&self, id: &str) -> Result<()> {
        let removed = {
            let mut state = self.lock();
            state.record(format!("remove_container {id}"));
            state.containers.remove(id)
        };
        if let Some(gone) = removed {
            self.emit(Event::ContainerDeleted {
                sandbox: gone.status.container.sandbox,
                container: id.into(),
                pod_uid: gone.pod_uid,
            });
        }
        Ok(())
    }

    async fn list_containers(&self) -> Result<Vec<Container>> {
        let mut state = self.lock();
        state.fail("list_containers")?;
        Ok(state.containers.values().map(|c| c.status.container.clone()).collect())
    }

    async fn container_status(&self, id: &str) -> Result<ContainerStatus> {
        self.lock().containers.get(id).map(|c| c.status.clone()).ok_or_else(|| not_found(id))
    }

    async fn container_warnings(&self, id: &str) -> Result<Vec<String>> {
        let state = self.lock();
        let config = &state.containers.get(id).ok_or_else(|| not_found(id))?.config;
        Ok(state.warnings.get(&config.user_specified_image).cloned().unwrap_or_default())
    }

    async fn update_container_resources(&self, id: &str, resources: &LinuxContainerResources) -> Result<()> {
        let mut state = self.lock();
        let container = state.containers.get_mut(id).ok_or_else(|| not_found(id))?;
        container.status.resources = resources.clone();
        state.record(format!("update_container_resources {id}"));
        Ok(())
    }

    async fn reopen_container_log(&self, id: &str) -> Result<()> {
        let log = {
            let mut state = self.lock();
            state.record(format!("reopen_container_log {id}"));
            state.fail("reopen_container_log")?;
            state.containers.get(id).map(|c| c.log.clone()).ok_or_else(|| not_found(id))?
        };
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .map(drop)
            .map_err(|e| Error::Unknown(e.to_string()))
    }

    async fn container_stats(&self, id: &str) -> Result<ContainerStats> {
        self.lock().containers.get(id).map(|_| ContainerStats::default()).ok_or_else(|| not_found(id))
    }

    async fn exec_sync(
        &self,
        id: &str,
        command: &[String],
        _timeout_seconds: i64,
    ) -> Result<ExecSyncResponse> {
        let mut state = self.lock();
        let line = command.join(" ");
        let name = state.containers.get(id).ok_or_else(|| not_found(id))?.config.metadata.name.clone();
        state.record(format!("exec_sync {name}: {line}"));
        state.fail("exec_sync")?;
        Ok(state.exec.get(&line).cloned().unwrap_or_default())
    }

    async fn exec(&self, request: ExecRequest) -> Result<Attached> {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (reader, writer) = tokio::io::split(ours);
        let (echo_in, echo_out) = tokio::io::split(theirs);
        let (exit_tx, exit) = oneshot::channel();
        let known = self.lock().containers.contains_key(&request.container);
        if !known {
            return Err(not_found(&request.container));
        }
        // Behaves as `cat`: what comes in goes out, and it ends when stdin does.
        self.tasks.spawn_until_shutdown(async move {
            let (mut from, mut to) = (echo_in, echo_out);
            let _ = tokio::io::copy(&mut from, &mut to).await;
            let _ = exit_tx.send(Ok(0));
        });
        Ok(Attached {
            stdin: request.stdin.then(|| Box::pin(writer) as crate::Writer),
            stdout: request.stdout.then(|| Box::pin(reader) as crate::Reader),
            stderr: None,
            resize: None,
            exit,
        })
    }

    async fn attach(&self, request: AttachRequest) -> Result<Attached> {
        let AttachRequest { container, tty, stdin, stdout, stderr } = request;
        self.exec(ExecRequest { container, command: vec![], tty, stdin, stdout, stderr }).await
    }

    async fn port_forward(&self, sandbox: &str, port: u16) -> Result<Box<dyn Duplex>> {
        if !self.lock().sandboxes.contains_key(sandbox) {
            return Err(not_found(sandbox));
        }
        let connected = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
        connected.map(|s| Box::new(s) as Box<dyn Duplex>).map_err(|e| Error::Unknown(e.to_string()))
    }

    fn events(&self) -> BoxStream<'static, Event> {
        let receiver = self.events.subscribe();
        stream::unfold(receiver, |mut receiver| async move {
            match receiver.recv().await {
                Ok(event) => Some((event, receiver)),
                Err(broadcast::error::RecvError::Lagged(_)) => Some((Event::Resync, receiver)),
                Err(broadcast::error::RecvError::Closed) => None,
            }
        })
        .boxed()
    }
}

#[async_trait]
impl ImageService for FakeRuntime {
    async fn list_images(&self) -> Result<Vec<Image>> {
        Ok(self.lock().images.values().cloned().collect())
    }

    async fn image_status(&self, image: &str) -> Result<Option<Image>> {
        let mut state = self.lock();
        state.fail("image_status")?;
        Ok(state.image(image).cloned())
    }

    async fn pull_image(&self, image: &str, auth: Option<&AuthConfig>) -> Result<String> {
        let held = {
            let mut state = self.lock();
            let by = auth.map(|a| format!(" as {}", a.username)).unwrap_or_default();
            state.record(format!("pull_image {image}{by}"));
            state.fail("pull_image")?;
            state.held_pulls.get(image).cloned()
        };
        if let Some(mut held) = held {
            // A dropped sender releases too.
            let _ = held.wait_for(|released| *released).await;
        }
        Ok(self.lock().add_image(image))
    }

    async fn remove_image(&self, image: &str) -> Result<()> {
        let mut state = self.lock();
        state.record(format!("remove_image {image}"));
        let tags: Vec<_> = state
            .images
            .iter()
            .filter(|(tag, i)| i.id == image || **tag == with_tag(image))
            .map(|(tag, _)| tag.clone())
            .collect();
        for tag in tags {
            state.images.remove(&tag);
        }
        Ok(())
    }

    async fn image_fs_info(&self) -> Result<Vec<FilesystemUsage>> {
        Ok(vec![FilesystemUsage { mountpoint: "/".into(), used_bytes: 0, inodes_used: 0 }])
    }
}

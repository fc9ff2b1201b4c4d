//! The runtime as the server sees it: [`Runtime`] implements CRI's traits.
//!
//! Every sandbox and container is a directory of state; what runs is told by the shims. Start at [`Runtime::open`].

mod build;
mod container;
mod exec;
mod images;
mod link;
mod records;
mod recover;
mod reset;
mod sandbox;
mod streams;
mod traits;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use anyhow::{Context, Result};
use cri::Event;
use stdx::clock::SharedClock;
use stdx::{Random, Tasks};
use tokio::sync::{broadcast, oneshot};

use self::records::{Container, Sandbox};
use crate::cgroup::Hierarchy;
use crate::image::store::Store;
use crate::network::SandboxNetwork;
use crate::program::Program;

/// Where a runtime keeps things, and what it works with.
#[derive(Clone, Debug)]
pub struct Config {
    /// What a reboot may take: `/run/knarr`.
    pub state_dir: PathBuf,
    /// Images and containers' writable layers: `/var/lib/knarr`.
    pub data_dir: PathBuf,
    /// Put before every cgroup path; empty for the root.
    pub cgroup_root: String,
    pub network: Arc<dyn SandboxNetwork>,
    /// Mirrors and credentials, `/etc/knarr/registries.yaml`.
    pub registries: crate::registries::Registries,
    /// What children are executed from; its `main` must call [`crate::early_main`]. Usually `/proc/self/exe`.
    pub program: PathBuf,
    pub clock: SharedClock,
    pub tasks: Tasks,
}

/// The built-in container runtime.
#[derive(Debug)]
pub struct Runtime {
    state_dir: PathBuf,
    data_dir: PathBuf,
    cgroup_root: String,
    network: Arc<dyn SandboxNetwork>,
    program: Program,
    hierarchy: Hierarchy,
    images: Store,
    puller: crate::image::pull::Puller,
    clock: SharedClock,
    tasks: Tasks,
    state: Mutex<State>,
    events: broadcast::Sender<Event>,
    /// For tasks that must not keep us alive.
    this: Weak<Runtime>,
}

#[derive(Debug, Default)]
struct State {
    sandboxes: BTreeMap<String, Arc<Sandbox>>,
    containers: BTreeMap<String, Arc<Container>>,
    /// Who waits for the end of a command in a container.
    execs: BTreeMap<String, oneshot::Sender<i32>>,
}

/// Readers that fall further behind list everything again.
const EVENTS_KEPT: usize = 1024;

impl Runtime {
    /// Opens the directories, finds the sandboxes that are there and connects to their shims; what ended meanwhile is
    /// known when it returns.
    pub async fn open(config: Config) -> Result<Arc<Self>> {
        for dir in [config.state_dir.join("sandboxes"), config.state_dir.join("containers")] {
            private_dir(&dir)?;
        }
        private_dir(&config.data_dir.join("containers"))?;
        let program = Program::detach(&config.program)?;
        let hierarchy = Hierarchy::detect()?;
        let images = Store::open(&config.data_dir.join("images"))?;
        let runtime = Arc::new_cyclic(|this| Runtime {
            program,
            hierarchy,
            images,
            puller: crate::image::pull::Puller::new(config.registries),
            state_dir: config.state_dir,
            data_dir: config.data_dir,
            cgroup_root: config.cgroup_root.trim_matches('/').to_string(),
            network: config.network,
            clock: config.clock,
            tasks: config.tasks,
            state: Mutex::default(),
            events: broadcast::Sender::new(EVENTS_KEPT),
            this: this.clone(),
        });
        runtime.recover().await?;
        Ok(runtime)
    }

    /// Loads images from an archive (`docker save`, OCI layout) and returns their names.
    pub async fn load_archive(&self, path: &Path) -> Result<Vec<String>> {
        self.load(path).await
    }

    fn find_sandbox(&self, id: &str) -> Option<Arc<Sandbox>> {
        self.lock().sandboxes.get(id).cloned()
    }

    fn find_container(&self, id: &str) -> Option<Arc<Container>> {
        self.lock().containers.get(id).cloned()
    }

    fn containers_of(&self, sandbox: &str) -> Vec<Arc<Container>> {
        self.lock().containers.values().filter(|c| c.record.sandbox == sandbox).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody listening is fine.
    fn publish(&self, event: Event) {
        drop(self.events.send(event));
    }

    fn publish_sandbox(&self, sandbox: &Sandbox) {
        self.publish(Event::SandboxChanged { sandbox: sandbox.id.clone(), pod_uid: sandbox.pod_uid() });
    }

    fn pod_uid(&self, sandbox: &str) -> String {
        self.find_sandbox(sandbox).map(|s| s.pod_uid()).unwrap_or_default()
    }

    fn now_nanos(&self) -> i64 {
        i64::try_from(self.clock.now().as_nanosecond()).unwrap_or(i64::MAX)
    }

    fn sandbox_dir(&self, id: &str) -> PathBuf {
        self.state_dir.join("sandboxes").join(id)
    }

    fn container_dir(&self, id: &str) -> PathBuf {
        self.state_dir.join("containers").join(id)
    }

    /// Where a container's writable layer is.
    fn rootfs_dir(&self, id: &str) -> PathBuf {
        self.data_dir.join("containers").join(id)
    }

    /// A cgroup's path from the hierarchies' roots.
    fn cgroup_path(&self, parent: &str, name: &str) -> String {
        cgroup_path(&self.cgroup_root, parent, name)
    }
}

/// `root/parent/name`. Kubelets name parents from the hierarchies' roots: one that lies below `root` already is taken as it is.
fn cgroup_path(root: &str, parent: &str, name: &str) -> String {
    let (root, parent) = (root.trim_matches('/'), parent.trim_matches('/'));
    let below = !root.is_empty()
        && parent.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let parts = [if below { "" } else { root }, parent, name];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

/// A directory that only root looks into.
fn private_dir(path: &Path) -> Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("create {}", path.display()))
}

/// 64 hex digits, as other runtimes' ids are.
pub(crate) fn new_id() -> String {
    let mut bytes = [0; 32];
    Random::secret(&mut bytes);
    crate::child::unpack::hex(&bytes)
}

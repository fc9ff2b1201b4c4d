//! What the runtime knows of sandboxes and containers, in memory and on disk.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cri::{ContainerConfig, ContainerState, LinuxContainerResources, PodSandboxConfig};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::link::Link;
use crate::image::layers::LayerId;
use crate::shim::proto::Status;

/// `sandbox.json`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct SandboxRecord {
    pub config: PodSandboxConfig,
    /// Nanoseconds since 1970.
    pub created_at: i64,
    pub ips: Vec<IpAddr>,
    pub stopped: bool,
}

#[derive(Debug)]
pub(crate) struct Sandbox {
    pub id: String,
    pub dir: PathBuf,
    pub config: PodSandboxConfig,
    pub created_at: i64,
    pub ips: Vec<IpAddr>,
    /// To its shim; `None` once it is stopped or lost.
    link: Mutex<Option<Arc<Link>>>,
    /// One stop or removal at a time.
    pub operation: tokio::sync::Mutex<()>,
}

impl Sandbox {
    pub fn new(id: &str, dir: PathBuf, record: SandboxRecord, link: Option<Arc<Link>>) -> Self {
        Sandbox {
            id: id.to_string(),
            dir,
            config: record.config,
            created_at: record.created_at,
            ips: record.ips,
            link: Mutex::new(link),
            operation: tokio::sync::Mutex::new(()),
        }
    }

    pub fn record(&self, stopped: bool) -> SandboxRecord {
        let (config, ips) = (self.config.clone(), self.ips.clone());
        SandboxRecord { config, created_at: self.created_at, ips, stopped }
    }

    pub fn link(&self) -> Option<Arc<Link>> {
        self.lock().clone()
    }

    pub fn set_link(&self, link: Option<Arc<Link>>) {
        *self.lock() = link;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Link>>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn pod_uid(&self) -> String {
        self.config.metadata.uid.clone()
    }
}

/// `container.json`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ContainerRecord {
    pub sandbox: String,
    pub config: ContainerConfig,
    pub created_at: i64,
    pub image_ref: String,
    pub layers: Vec<LayerId>,
    /// Relative to the cgroup roots.
    pub cgroup: String,
    pub log: Option<PathBuf>,
    pub stop_signal: String,
    /// Entrypoint and arguments.
    #[serde(default)]
    pub command: Vec<String>,
    /// 0 while it has not been started.
    pub started_at: i64,
}

#[derive(Debug)]
pub(crate) struct Container {
    pub id: String,
    pub dir: PathBuf,
    pub record: ContainerRecord,
    pub live: watch::Sender<Live>,
    /// One start, stop or removal at a time.
    pub operation: tokio::sync::Mutex<()>,
}

/// The part of a container that changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live {
    pub state: ContainerState,
    pub status: Status,
    /// Set when it never ran: why.
    pub failure: Option<String>,
    pub resources: LinuxContainerResources,
}

/// The exit code of a container that could not be started.
pub(crate) const START_FAILED: i32 = 128;

impl Container {
    pub fn new(id: &str, dir: PathBuf, record: ContainerRecord) -> Self {
        let live = Live {
            state: ContainerState::Created,
            resources: record.config.resources.clone(),
            ..Live::default()
        };
        Container {
            id: id.to_string(),
            dir,
            record,
            live: watch::Sender::new(live),
            operation: tokio::sync::Mutex::new(()),
        }
    }

    pub fn live(&self) -> Live {
        self.live.borrow().clone()
    }

    pub fn state(&self) -> ContainerState {
        self.live.borrow().state
    }

    /// Takes over what the shim says. Returns whether it is news that it runs, and that it ended.
    pub fn update(&self, status: Status) -> (bool, bool) {
        let (mut started, mut ended) = (false, false);
        self.live.send_modify(|live| {
            let was = live.state;
            live.state = match (status.started_at, status.finished_at) {
                (0, 0) => ContainerState::Created,
                (_, 0) => ContainerState::Running,
                _ => ContainerState::Exited,
            };
            // Late news of a life that is known to be over change nothing.
            if was == ContainerState::Exited {
                live.state = was;
                return;
            }
            started = was == ContainerState::Created && live.state != was;
            ended = live.state == ContainerState::Exited;
            live.status = status;
        });
        (started, ended)
    }
}

impl Live {
    /// CRI's word for how it ended.
    pub fn reason(&self) -> &'static str {
        match self.state {
            ContainerState::Exited if self.failure.is_some() => "StartError",
            ContainerState::Exited if self.status.oom_killed => "OOMKilled",
            ContainerState::Exited if self.status.exit_code == 0 => "Completed",
            ContainerState::Exited => "Error",
            ContainerState::Created | ContainerState::Running | ContainerState::Unknown => "",
        }
    }
}

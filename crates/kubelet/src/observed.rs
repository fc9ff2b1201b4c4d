//! What is known about a pod on this machine: what the runtime says, and what its worker is doing.

use std::collections::{BTreeMap, BTreeSet};

use cri::{ContainerState, ContainerStatus, PodSandboxStatus, SandboxState};
use jiff::Timestamp;

use crate::allocation::{Actuated, Pending};
use crate::plan::Verdict;

/// Labels and annotations by which sandboxes and containers are found again after a restart.
pub mod label {
    pub const POD_NAME: &str = "io.kubernetes.pod.name";
    pub const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
    pub const POD_UID: &str = "io.kubernetes.pod.uid";
    pub const CONTAINER_NAME: &str = "io.kubernetes.container.name";
    pub const HASH: &str = "io.kubernetes.container.hash";
    pub const RESTART_COUNT: &str = "io.kubernetes.container.restartCount";
    pub const MESSAGE_PATH: &str = "io.kubernetes.container.terminationMessagePath";
    pub const MESSAGE_POLICY: &str = "io.kubernetes.container.terminationMessagePolicy";
    pub const PORTS: &str = "io.kubernetes.container.ports";
    pub const POD_GRACE: &str = "io.kubernetes.pod.terminationGracePeriod";
    /// Ours: the seconds of back-off that this start used up, so that the next one is known after a restart of the kubelet.
    pub const BACK_OFF: &str = "knarr.io/container.backOff";
}

/// Everything [`crate::plan`] and [`crate::status`] look at besides the pod.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Newest first.
    pub sandboxes: Vec<PodSandboxStatus>,
    /// Newest first.
    pub containers: Vec<ContainerStatus>,
    pub probes: BTreeMap<String, ProbeState>,
    pub work: Work,
    pub resize: Resize,
    /// What went wrong the last time, by container name.
    pub failures: BTreeMap<String, Failure>,
    /// When preparing (directories, cgroup, volumes) or making the sandbox may be tried again.
    pub retry_pod_at: Option<Timestamp>,
    /// It does not fit on this node and never begins.
    pub rejected: Option<Verdict>,
    /// The node cannot keep it.
    pub evicted: Option<Verdict>,
    /// The pod is no longer in the API.
    pub gone: bool,
}

/// How resizing in place goes.
#[derive(Clone, Debug, Default)]
pub struct Resize {
    /// What containers run with, by name.
    pub actuated: Actuated,
    /// Why the pod is not given what it wants.
    pub pending: Option<Pending>,
    /// The pod's own limits are not yet what they should be.
    pub stale: bool,
    /// Why the last try failed, and when the next one is due.
    pub failure: Option<String>,
    pub retry_at: Option<Timestamp>,
    /// Containers that are stopped to get other resources: they start again at once.
    pub restarting: BTreeSet<String>,
}

/// What the worker has done and is doing.
#[derive(Clone, Debug, Default)]
pub struct Work {
    /// Directories, cgroup and volumes are there.
    pub prepared: bool,
    /// Preparing, or making a sandbox, or tearing down: one at a time.
    pub pod_job: bool,
    /// The container whose image is pulled, that is created or whose postStart hook runs.
    pub starting: Option<String>,
    /// Limits are being written anew.
    pub resizing: bool,
    /// Containers that are being stopped, with the grace they were given.
    pub killing: BTreeMap<String, i64>,
    /// Sandbox, volumes and cgroup are gone.
    pub torn_down: bool,
    /// The last status is in the API.
    pub reported: bool,
}

/// A running container's probes, by container id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProbeState {
    pub started: bool,
    pub ready: bool,
    pub unhealthy: Option<Unhealthy>,
}

/// A probe that failed often enough to kill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unhealthy {
    /// `liveness` or `startup`
    pub probe: &'static str,
    /// The probe's own `terminationGracePeriodSeconds`.
    pub grace: Option<i64>,
}

/// Why a container is not there yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// `ErrImagePull`, `CreateContainerConfigError`, …
    pub reason: String,
    pub message: String,
    pub retry_at: Timestamp,
}

impl Observed {
    /// The sandbox that containers run in: the newest, when it is ready.
    pub fn sandbox(&self) -> Option<&PodSandboxStatus> {
        self.sandboxes.first().filter(|s| s.sandbox.state == SandboxState::Ready)
    }

    /// The newest container of this name.
    pub fn latest(&self, name: &str) -> Option<&ContainerStatus> {
        self.containers.iter().find(|c| c.container.metadata.name == name)
    }

    /// All of this name, newest first.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a ContainerStatus> {
        self.containers.iter().filter(move |c| c.container.metadata.name == name)
    }

    /// The newest container of this name in `sandbox`.
    pub fn latest_in(&self, name: &str, sandbox: &str) -> Option<&ContainerStatus> {
        self.containers.iter().find(|c| c.container.metadata.name == name && c.container.sandbox == sandbox)
    }

    /// Those whose process may live.
    pub fn alive(&self) -> impl Iterator<Item = &ContainerStatus> {
        self.containers.iter().filter(|c| is_alive(c))
    }

    /// Startup probe passed, or there is none.
    pub fn started(&self, container: &ContainerStatus) -> bool {
        self.probes.get(&container.container.id).is_some_and(|p| p.started)
    }

    /// How often a container of this name has been started again.
    pub fn restart_count(&self, name: &str) -> Option<u32> {
        self.latest(name).map(restart_count)
    }
}

/// Neither created only nor ended.
pub fn is_alive(container: &ContainerStatus) -> bool {
    matches!(container.container.state, ContainerState::Running | ContainerState::Unknown)
}

/// As noted when it was created.
pub fn restart_count(container: &ContainerStatus) -> u32 {
    let noted = container.container.annotations.get(label::RESTART_COUNT);
    noted.and_then(|n| n.parse().ok()).unwrap_or(container.container.metadata.attempt)
}

/// Nanoseconds since 1970 as a time; `None` for 0.
pub fn time(nanoseconds: i64) -> Option<Timestamp> {
    (nanoseconds != 0).then(|| Timestamp::from_nanosecond(i128::from(nanoseconds)).ok()).flatten()
}

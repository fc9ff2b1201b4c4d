//! CRI v1's messages, the fields that Kubernetes uses.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::pin::Pin;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};

pub type SandboxId = String;
pub type ContainerId = String;

#[derive(Clone, Debug, Default)]
pub struct VersionInfo {
    pub runtime_name: String,
    pub runtime_version: String,
    /// `v1`
    pub runtime_api_version: String,
}

/// One of `RuntimeReady`, `NetworkReady`.
#[derive(Clone, Debug, Default)]
pub struct RuntimeCondition {
    pub kind: String,
    pub status: bool,
    pub reason: String,
    pub message: String,
}

#[derive(Clone, Debug, Default)]
pub struct RuntimeStatus {
    pub conditions: Vec<RuntimeCondition>,
    /// `cgroupfs` or `systemd`, and whether user namespaces work.
    pub cgroup_driver: String,
    pub user_namespaces: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodSandboxMetadata {
    pub name: String,
    pub uid: String,
    pub namespace: String,
    pub attempt: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    #[default]
    Tcp,
    Udp,
    Sctp,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortMapping {
    pub protocol: Protocol,
    pub container_port: u16,
    pub host_port: u16,
    pub host_ip: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsConfig {
    pub servers: Vec<String>,
    pub searches: Vec<String>,
    pub options: Vec<String>,
}

/// Whose namespace is used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NamespaceMode {
    /// Shared by the pod's containers.
    #[default]
    Pod,
    /// Each container its own (PID).
    Container,
    /// The host's.
    Node,
    /// Another container's, by id (PID, for ephemeral containers).
    Target(String),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceOptions {
    pub network: NamespaceMode,
    pub pid: NamespaceMode,
    pub ipc: NamespaceMode,
    /// A user namespace with these mappings; none: the host's.
    pub userns: Option<UserNamespace>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserNamespace {
    pub uids: Vec<IdMapping>,
    pub gids: Vec<IdMapping>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMapping {
    pub host_id: u32,
    pub container_id: u32,
    pub length: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodSandboxConfig {
    pub metadata: PodSandboxMetadata,
    pub hostname: String,
    /// Container logs go below it: `<container name>/<attempt>.log`.
    pub log_directory: String,
    pub dns: Option<DnsConfig>,
    pub port_mappings: Vec<PortMapping>,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// The pod's cgroup, relative to the cgroup root: `kubepods/burstable/pod<uid>`. The kubelet made it and set its limits.
    pub cgroup_parent: String,
    pub namespaces: NamespaceOptions,
    pub sysctls: BTreeMap<String, String>,
    pub privileged: bool,
    /// Of the pause process.
    pub seccomp: SecurityProfile,
    pub supplemental_groups: Vec<i64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SandboxState {
    Ready,
    #[default]
    NotReady,
}

#[derive(Clone, Debug, Default)]
pub struct PodSandbox {
    pub id: SandboxId,
    pub metadata: PodSandboxMetadata,
    pub state: SandboxState,
    /// Nanoseconds since 1970.
    pub created_at: i64,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default)]
pub struct PodSandboxStatus {
    pub sandbox: PodSandbox,
    /// Empty with host network.
    pub ips: Vec<IpAddr>,
    pub namespaces: NamespaceOptions,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerMetadata {
    pub name: String,
    pub attempt: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountPropagation {
    #[default]
    Private,
    HostToContainer,
    Bidirectional,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    pub container_path: String,
    pub host_path: String,
    pub readonly: bool,
    pub recursive_readonly: bool,
    pub propagation: MountPropagation,
    /// An image's id, of which the files are shown, read-only, in place of a host path.
    #[serde(default)]
    pub image: String,
    /// What of the image; empty: all.
    #[serde(default)]
    pub image_sub_path: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    pub container_path: String,
    pub host_path: String,
    /// Of `r`, `w`, `m`.
    pub permissions: String,
}

/// cgroup limits; zero or none: unlimited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinuxContainerResources {
    pub cpu_period: i64,
    pub cpu_quota: i64,
    pub cpu_shares: i64,
    pub memory_limit_in_bytes: i64,
    pub oom_score_adj: i64,
    pub cpuset_cpus: String,
    pub cpuset_mems: String,
    pub pids_limit: i64,
    /// cgroup v2 files written as they are.
    pub unified: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SecurityProfile {
    #[default]
    Unconfined,
    RuntimeDefault,
    /// A profile file on the host, in the format of Docker and OCI.
    Localhost(String),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinuxContainerSecurityContext {
    /// As in PodSpec, `ALL` allowed, with or without `CAP_`.
    pub add_capabilities: Vec<String>,
    pub drop_capabilities: Vec<String>,
    pub privileged: bool,
    pub namespaces: NamespaceOptions,
    pub run_as_user: Option<i64>,
    pub run_as_group: Option<i64>,
    /// A name to look up in the image's /etc/passwd (image USER), when no number is given.
    pub run_as_username: String,
    pub readonly_rootfs: bool,
    pub supplemental_groups: Vec<i64>,
    /// `Merge` with the image's /etc/group (default), or `Strict`
    pub supplemental_groups_strict: bool,
    pub no_new_privs: bool,
    /// Empty: the runtime's default list.
    pub masked_paths: Vec<String>,
    pub readonly_paths: Vec<String>,
    /// procMount: Unmasked
    pub unmasked_proc: bool,
    pub seccomp: SecurityProfile,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerConfig {
    pub metadata: ContainerMetadata,
    /// The image id that `pull_image` or `image_status` returned.
    pub image: String,
    /// The reference as the user wrote it.
    pub user_specified_image: String,
    /// Replaces the image's entrypoint when not empty.
    pub command: Vec<String>,
    /// Replaces the image's cmd when not empty.
    pub args: Vec<String>,
    pub working_dir: String,
    pub envs: Vec<(String, String)>,
    pub mounts: Vec<Mount>,
    pub devices: Vec<Device>,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// Relative to the sandbox's log directory.
    pub log_path: String,
    pub stdin: bool,
    pub stdin_once: bool,
    pub tty: bool,
    pub resources: LinuxContainerResources,
    pub security_context: LinuxContainerSecurityContext,
    /// A signal name that replaces the image's.
    pub stop_signal: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContainerState {
    Created,
    Running,
    Exited,
    #[default]
    Unknown,
}

#[derive(Clone, Debug, Default)]
pub struct Container {
    pub id: ContainerId,
    pub sandbox: SandboxId,
    pub metadata: ContainerMetadata,
    pub image: String,
    pub state: ContainerState,
    pub created_at: i64,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default)]
pub struct ContainerStatus {
    pub container: Container,
    /// Nanoseconds since 1970; 0 while it has not happened.
    pub started_at: i64,
    pub finished_at: i64,
    pub exit_code: i32,
    /// The signal that ended it, 0 if none.
    pub signal: i32,
    /// `Completed`, `Error`, `OOMKilled`, `ContainerCannotRun`, `StartError`
    pub reason: String,
    pub message: String,
    /// The reference with digest, as pod status shows it in `imageID`.
    pub image_ref: String,
    /// As the user wrote it.
    pub image: String,
    pub mounts: Vec<Mount>,
    pub log_path: String,
    pub resources: LinuxContainerResources,
    pub user: Option<ContainerUser>,
    /// The init process on the host, 0 when it does not run.
    pub pid: u32,
    /// What runs: entrypoint and arguments, for people who look.
    pub command: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub struct ContainerUser {
    pub uid: i64,
    pub gid: i64,
    pub supplemental_groups: Vec<i64>,
}

#[derive(Clone, Debug, Default)]
pub struct ContainerStats {
    pub cpu_usage_core_nano_seconds: u64,
    pub memory_working_set_bytes: u64,
    pub memory_usage_bytes: u64,
    pub memory_rss_bytes: u64,
    /// Of the writable layer.
    pub rootfs_used_bytes: u64,
    pub rootfs_inodes_used: u64,
}

#[derive(Clone, Debug, Default)]
pub struct ExecSyncResponse {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub exit_code: i32,
}

#[derive(Clone, Debug, Default)]
pub struct ExecRequest {
    pub container: ContainerId,
    pub command: Vec<String>,
    pub tty: bool,
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
}

#[derive(Clone, Debug, Default)]
pub struct AttachRequest {
    pub container: ContainerId,
    pub tty: bool,
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    pub width: u16,
    pub height: u16,
}

pub type Reader = Pin<Box<dyn AsyncRead + Send>>;
pub type Writer = Pin<Box<dyn AsyncWrite + Send>>;

/// A process with its streams. Dropping it closes them and, for exec, kills the process.
pub struct Attached {
    pub stdin: Option<Writer>,
    pub stdout: Option<Reader>,
    pub stderr: Option<Reader>,
    pub resize: Option<mpsc::Sender<TerminalSize>>,
    /// The exit code, once; for attach when the container ends.
    pub exit: oneshot::Receiver<Result<i32, String>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Image {
    /// `sha256:…` of its configuration
    pub id: String,
    pub repo_tags: Vec<String>,
    pub repo_digests: Vec<String>,
    /// Bytes on disk.
    pub size: u64,
    /// The USER of its configuration.
    pub uid: Option<i64>,
    pub username: String,
    pub pinned: bool,
}

#[derive(Clone, Debug, Default)]
pub struct AuthConfig {
    pub username: String,
    pub password: String,
    pub server_address: String,
    pub identity_token: String,
    pub registry_token: String,
}

#[derive(Clone, Debug, Default)]
pub struct FilesystemUsage {
    pub mountpoint: String,
    pub used_bytes: u64,
    pub inodes_used: u64,
}

/// A change, pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    ContainerCreated {
        sandbox: SandboxId,
        container: ContainerId,
        pod_uid: String,
    },
    ContainerStarted {
        sandbox: SandboxId,
        container: ContainerId,
        pod_uid: String,
    },
    ContainerStopped {
        sandbox: SandboxId,
        container: ContainerId,
        pod_uid: String,
    },
    ContainerDeleted {
        sandbox: SandboxId,
        container: ContainerId,
        pod_uid: String,
    },
    SandboxChanged {
        sandbox: SandboxId,
        pod_uid: String,
    },
    /// Events were lost: list everything again.
    Resync,
}

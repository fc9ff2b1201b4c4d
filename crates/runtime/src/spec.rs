//! What the server tells its children, as JSON files and memfds: [`ShimSpec`] to a shim, [`InitSpec`] to the first
//! process of a container, [`ProcessSpec`] to whatever is executed in it.
//!
//! Written by one binary and perhaps read by an older one (a shim outlives upgrades): fields are only added, with
//! `#[serde(default)]`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cri::UserNamespace;
use serde::{Deserialize, Serialize};

/// A sandbox, as its shim makes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ShimSpec {
    pub sandbox: String,
    /// The sandbox's state directory: `shim.sock`, `netns` and the shim's log are in it.
    pub dir: PathBuf,
    /// Directories whose `cgroup.procs` the shim joins before anything else.
    pub cgroups: Vec<PathBuf>,
    /// Directories whose `cgroup.procs` the pause process joins.
    pub pause_cgroups: Vec<PathBuf>,
    pub new_network: bool,
    pub new_ipc: bool,
    /// A UTS namespace of its own, with this host name.
    pub hostname: Option<String>,
    /// A PID namespace for all containers, held by a pause process.
    pub shared_pid: bool,
    pub sysctls: BTreeMap<String, String>,
    /// A user namespace that owns the others.
    #[serde(default)]
    pub userns: Option<UserNamespace>,
    /// The pause process's filters.
    pub seccomp: Vec<Bpf>,
}

/// A seccomp program, one instruction per number: code, jt, jf, k from high to low bits.
pub type Bpf = Vec<u64>;

/// Which PID namespace a container lives in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum PidNamespace {
    #[default]
    New,
    Host,
    /// The one of this process (on the host): the pause process, or another container.
    Of(u32),
    /// The sandbox's pause process, whose id only the shim knows.
    Sandbox,
}

/// A container, as its first process builds it around itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InitSpec {
    pub rootfs: Rootfs,
    pub pid: PidNamespace,
    /// Directories whose `cgroup.procs` the process joins.
    pub cgroups: Vec<PathBuf>,
    pub mounts: Vec<Bind>,
    pub devices: Vec<Node>,
    /// Every device of the host, a writable /sys and cgroup tree.
    pub privileged: bool,
    /// The pod's /dev/shm on the host; none with the host's IPC namespace.
    pub shm: Option<PathBuf>,
    pub masked_paths: Vec<String>,
    pub readonly_paths: Vec<String>,
    pub oom_score_adj: i64,
    pub process: ProcessSpec,
}

/// The root file system: an overlay of layers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rootfs {
    /// Where `lowers` are relative to; short names keep the mount options below one page.
    pub layers: PathBuf,
    /// Topmost first.
    pub lowers: Vec<String>,
    pub upper: PathBuf,
    pub work: PathBuf,
    /// An empty directory to mount on, in the container's own mount namespace.
    pub target: PathBuf,
    pub readonly: bool,
}

/// A host path inside the container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bind {
    pub source: PathBuf,
    pub target: String,
    pub readonly: bool,
    /// Read-only with every mount below it.
    pub recursive_readonly: bool,
    pub propagation: cri::MountPropagation,
    /// `source` is the layer directory, and these are mounted.
    #[serde(default)]
    pub image: Option<ImageFiles>,
}

/// An image's files, read-only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageFiles {
    /// Topmost first.
    pub lowers: Vec<String>,
    /// Below their root; empty: all of them.
    pub sub_path: String,
}

/// A device node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Node {
    pub path: String,
    pub block: bool,
    pub major: u64,
    pub minor: u64,
    /// Permission bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Of `r`, `w`, `m`, what the cgroup allows; empty: all.
    #[serde(default)]
    pub access: String,
}

/// A process in a container, the first or a later one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessSpec {
    pub args: Vec<String>,
    /// `NAME=value`
    pub env: Vec<String>,
    pub cwd: String,
    pub user: User,
    pub capabilities: Capabilities,
    pub no_new_privs: bool,
    pub seccomp: Vec<Bpf>,
    pub tty: bool,
    /// Which signal-free limits it gets; values above the hard limit are clamped when we may not raise it.
    pub rlimits: Vec<Rlimit>,
    /// The sandbox's user namespace: ids in here are its own.
    #[serde(default)]
    pub userns: Option<UserNamespace>,
}

/// A command for a running container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExecSpec {
    /// The container's first process on the host.
    pub target: u32,
    pub cgroups: Vec<PathBuf>,
    pub oom_score_adj: i64,
    pub process: ProcessSpec,
}

/// Who runs it, resolved in the container's own /etc/passwd and /etc/group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct User {
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    /// `user`, `user:group`, either by name or number, as in an image's USER; used when `uid` is none.
    pub name: String,
    pub groups: Vec<u32>,
    /// Only `groups`, nothing from /etc/group.
    pub strict_groups: bool,
}

/// Capability sets as bit masks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    pub bounding: u64,
    pub effective: u64,
    pub inheritable: u64,
    pub ambient: u64,
}

/// A resource limit, `setrlimit`'s numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimit {
    pub resource: u32,
    pub soft: u64,
    pub hard: u64,
}

/// What a child tells its parent over its control socket, one JSON packet each. The end of the socket without an
/// `Error` means that the command runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// The process, as the host sees it.
    Pid(u32),
    /// The terminal's master comes with this packet.
    Terminal,
    /// Who it runs as.
    User {
        uid: u32,
        gid: u32,
        groups: Vec<u32>,
    },
    /// Something asked for could not be done in full; the container runs all the same.
    Warning(String),
    /// The namespaces asked for are there.
    Namespaces,
    Error(String),
}

/// The host's number of a user (or group) of a container; the number itself without a user namespace.
pub fn host_id(mappings: Option<&[cri::IdMapping]>, id: u32) -> u32 {
    let Some(mappings) = mappings else { return id };
    let fits = |m: &&cri::IdMapping| id >= m.container_id && id - m.container_id < m.length;
    // What is not mapped belongs to nobody.
    mappings.iter().find(fits).map_or(OVERFLOW, |m| m.host_id + (id - m.container_id))
}

/// The kernel's id for those that a user namespace does not have.
const OVERFLOW: u32 = 65534;

impl ProcessSpec {
    /// The host's number of one of the container's users.
    pub fn host_uid(&self, uid: u32) -> u32 {
        host_id(self.userns.as_ref().map(|u| &u.uids[..]), uid)
    }

    /// The same for groups.
    pub fn host_gid(&self, gid: u32) -> u32 {
        host_id(self.userns.as_ref().map(|u| &u.gids[..]), gid)
    }
}

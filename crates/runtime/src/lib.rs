//! The built-in container runtime. Start at [`Runtime`]; [`early_main`] is what the re-executed binary does.
//!
//! Three kinds of processes, all the same binary:
//! - the *server* ([`service`], [`image`]): decides, keeps records, never forks containers itself;
//! - a *shim* per sandbox ([`shim`]): small, single-threaded, outlives the server; parent of the containers, owns their
//!   stdio, logs and exit codes, lives in the sandbox's namespaces;
//! - short-lived *children* ([`child`]): `init` and `exec` build a container around themselves and become its command.
//!
//! The OCI work (namespaces, root file system, capabilities, seccomp) is our own rather than `libcontainer`'s: that one
//! filters system calls only through libseccomp (C, LGPL), runs its executor when the capabilities that a filter without
//! no_new_privs needs are gone, and writes a state of its own beside ours. Ours is small because everything a container
//! has is mounted in its own mount namespace, so that nothing is left to clean up on the host.
//!
//! A user namespace changes little: everything is mounted by the host's root, layers and volumes id-mapped, and the
//! command enters the namespace last.
//!
//! Seccomp programs are assembled here too: profiles have several actions, and calls of another architecture or newer
//! than the profile must fail with an errno rather than kill.
//!
//! Never knows a Kubernetes object and never names the pod network: that is a [`SandboxNetwork`]. Raw system calls are in
//! [`sys`] only.

mod caps;
mod cgroup;
mod child;
mod early;
mod files;
mod image;
mod network;
mod program;
pub mod registries;
mod seccomp;
mod service;
mod shim;
mod spec;
mod sys;
#[doc(hidden)]
pub mod testimage;

pub use early::early_main;
pub use network::{LoopbackNetwork, SandboxNetwork};
pub use service::{Config, Runtime};

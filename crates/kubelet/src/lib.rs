//! The kubelet of Kubernetes 1.37: makes this machine a node and runs its pods. Start at [`Kubelet::start`], then
//! [`worker`]: one worker per pod, each turn *observe, plan, do, report, wait*.
//!
//! - Deciding is pure: [`plan`] (what to do next), [`status`] (what the API shows), [`podconfig`] (what the runtime is
//!   told), [`amounts`] (resources and quality of service).
//! - Doing: [`worker`], [`images`], [`volumes`], [`cgroups`], [`hooks`], [`probes`], [`logs`], [`gc`].
//! - Being a node: [`node`], [`server`].
//!
//! Everything that must survive a restart is in the API or in what the runtime keeps (labels and annotations of
//! [`observed::label`]). Never names a runtime, never touches a container except through CRI, never when it stops.

mod admit;
mod allocation;
pub mod amounts;
pub mod cgroups;
pub mod config;
mod context;
pub mod eviction;
mod gc;
mod hooks;
mod images;
mod kubelet;
pub mod logs;
pub mod mounts;
mod node;
mod objects;
mod observed;
mod paths;
mod plan;
mod podconfig;
mod probes;
pub mod server;
mod spec;
mod statics;
mod status;
#[cfg(test)]
mod testing;
mod usage;
mod userns;
mod volumes;
mod worker;
mod workers;

pub use config::{Config, Plain, ServerConfig};
pub use kubelet::Kubelet;

//! The controllers: one file or folder each, one table of them. Start at [`table::CONTROLLERS`], then [`replicas`] for what a
//! controller looks like.
//!
//! Each reads shared views ([`context::Component::informer`]), is woken by keys in a work queue, decides in a pure function, and
//! acts in one place with an identity of its own. All are written for stale reads: acting twice on yesterday's state does no
//! harm.
//!
//! Never talks to a component but through the API; never depends on authorization.

mod bootstrap;
pub mod certificates;
mod claim;
pub mod context;
pub mod cron_job;
pub mod daemon_set;
pub mod deployment;
pub mod disruption;
pub mod endpoints;
pub mod ephemeral_volume;
mod expectations;
mod expiry;
mod failures;
pub mod flow_control;
pub mod garbage;
mod history;
pub mod horizontal_pod_autoscaler;
pub mod job;
pub mod kubernetes_service;
pub mod namespace;
pub mod node;
pub mod persistent_volume;
pub mod pod_gc;
pub mod replicas;
pub mod resource_claim;
pub mod resource_quota;
pub mod root_ca;
pub mod service_account;
pub mod service_account_tokens;
pub mod service_cidr;
pub mod service_ip_repair;
pub mod stateful_set;
mod status;
pub mod storage_migration;
pub mod table;
#[cfg(test)]
mod tests;
pub mod ttl_after_finished;
mod wake;

pub use context::{Config, Context, Served};
pub use table::{CONTROLLERS, Spec, start_all};

//! What may be written beyond what a kind's own rules say: plugins between validation of the request and the store.
//! Start at [`Chain`] and the table [`plugins::PLUGINS`]; each plugin is a file named like it.
//!
//! Never writes to the store. What is left out so far is in [`plugins::MISSING`].

mod ask;
mod certificates;
mod chain;
mod configuration;
mod default_ingress_class;
mod default_toleration_seconds;
mod limit_ranger;
mod namespace_lifecycle;
mod node_restriction;
pub mod plugins;
mod pod_security;
pub mod priority;
mod rbac_escalation;
mod resource_quota;
mod runtime_class;
mod service_account;
mod storage;
mod taint_nodes_by_condition;

#[cfg(test)]
mod tests;

pub use chain::{Chain, Context, Plugin};
pub use configuration::Configuration;

//! Replica sets and replication controllers: as many pods of a template as are wanted. Start at [`plan::plan`] (what to do), then
//! [`engine::Engine`] (who does it, when).
//!
//! One engine for both kinds; [`Replicated`] says where a kind keeps what the engine needs.

mod engine;
pub(crate) mod pods;
pub(crate) use pods::is_namespace_terminating;
pub mod plan;
pub mod rc;
pub mod rs;
mod status;
pub(crate) use status::next_available;
#[cfg(test)]
mod tests;

use apimachinery::Selector;
use codec::Kind;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// A kind that keeps a number of pods.
pub trait Replicated: Kind {
    /// As the event source names the controller.
    const COMPONENT: &'static str;

    /// The error is a text for people.
    fn pod_selector(&self) -> Result<Selector, String>;
    fn wanted(&self) -> i32;
    /// `None`: it has none, which the API allows and nobody can act on.
    fn template(&self) -> Option<&PodTemplateSpec>;
    fn min_ready_seconds(&self) -> i32;
    fn observed(&self) -> Observed;
    fn set_observed(&mut self, status: Observed);
}

/// The status, the same for both kinds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    pub generation: i64,
    pub replicas: i32,
    pub fully_labeled: i32,
    pub ready: i32,
    pub available: i32,
    /// Being deleted; not among `replicas`. Replication controllers do not show it.
    pub terminating: i32,
    pub conditions: Vec<Condition>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    pub kind: String,
    pub status: String,
    pub reason: Option<String>,
    pub message: Option<String>,
    pub since: Option<Time>,
}

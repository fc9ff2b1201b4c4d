//! Jobs: pods that run to their end, as many as have to succeed. Start at [`observe::observe`] (what the view says),
//! [`plan::plan`] (which pods to make or give up) and [`account`] (how what has ended is counted), all pure; then
//! [`engine::Engine`], who does it.
//!
//! No pod is lost or counted twice: a pod carries a finalizer until the Job's status says that its end is seen
//! (`uncountedTerminatedPods`), then loses it, and only then moves from that list to a count.

mod account;
mod backoff;
mod engine;
mod observe;
mod orphans;
mod plan;
mod pods;
mod policy;
mod released;
#[cfg(test)]
mod tests;

pub use engine::start;

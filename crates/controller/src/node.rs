//! Nodes: who answers, what their conditions mean for pods, and which addresses they give out.
//!
//! [`lifecycle`]: heartbeats, conditions and taints. [`eviction`]: pods that do not tolerate a NoExecute taint leave. [`ipam`]: each node
//! gets a range for its pods.

pub mod eviction;
pub mod ipam;
pub mod lifecycle;
pub mod taints;
#[cfg(test)]
mod tests;

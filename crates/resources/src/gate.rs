//! Kinds whose enforcer is not there yet: complete, tested, and served only where a server opens their gate.

/// What has to run before some kinds mean anything; a row of the table is behind at most one (`Resource::behind`).
///
/// A server that opens a gate says that it enforces what is behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gate {
    /// Admission that calls webhooks.
    AdmissionWebhooks,
    /// Admission by policies written in CEL.
    AdmissionPolicies,
    /// Further API servers behind this one.
    Aggregation,
    /// Serving the kinds that custom resource definitions define.
    CustomResources,
}

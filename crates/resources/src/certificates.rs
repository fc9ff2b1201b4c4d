//! The certificates.k8s.io group.

pub mod certificate_signing_request;

use crate::strategy::{Resource, Scope};

/// The group's table.
pub(crate) fn resources() -> Vec<Resource> {
    vec![
        Resource::new(Scope::Cluster, "certificatesigningrequest", certificate_signing_request::Strategy)
            .short(&["csr"])
            .with(&["approval", "status"]),
    ]
}

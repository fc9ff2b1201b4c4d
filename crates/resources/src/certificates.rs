//! The certificates.k8s.io group.

pub mod certificate_signing_request;
pub mod cluster_trust_bundle;
pub mod pod_certificate_request;
mod x509;

use crate::strategy::{Resource, Scope};

/// The group's table.
pub(crate) fn resources() -> Vec<Resource> {
    vec![
        Resource::new(Scope::Cluster, "certificatesigningrequest", certificate_signing_request::Strategy)
            .short(&["csr"])
            .with(&["approval", "status"]),
        Resource::new(Scope::Cluster, "clustertrustbundle", cluster_trust_bundle::Strategy),
        Resource::new(Scope::Namespaced, "podcertificaterequest", pod_certificate_request::Strategy)
            .with(&["status"]),
    ]
}

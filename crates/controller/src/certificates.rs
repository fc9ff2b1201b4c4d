//! Certificate signing requests: kubelets' are approved by themselves, approved ones are signed, old ones go.
//!
//! What may be signed for whom is in `judge`, as values.

mod approve;
mod clean;
mod clean_pods;
mod judge;
mod serving;
mod sign;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::certificates::v1::{
    CertificateSigningRequest, CertificateSigningRequestCondition, CertificateSigningRequestStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

pub use approve::start as start_approver;
pub use clean::start as start_cleaner;
pub use clean_pods::start as start_pods_cleaner;
pub use serving::start as start_serving_approver;
pub use sign::start as start_signer;

const CLIENT: &str = "kubernetes.io/kube-apiserver-client";
const KUBELET_CLIENT: &str = "kubernetes.io/kube-apiserver-client-kubelet";
const KUBELET_SERVING: &str = "kubernetes.io/kubelet-serving";

type Sign = dyn Fn(&str, pki::Usage, Duration, Timestamp) -> anyhow::Result<String> + Send + Sync;

/// The cluster's CA, as far as signing requests goes.
#[derive(Clone)]
pub struct Signer(Arc<Sign>);

impl Signer {
    /// `sign` makes a PEM certificate of a PEM request, as [`pki::Ca::sign_request`] does.
    pub fn new(
        sign: impl Fn(&str, pki::Usage, Duration, Timestamp) -> anyhow::Result<String> + Send + Sync + 'static,
    ) -> Self {
        Signer(Arc::new(sign))
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer")
    }
}

/// Adds a condition that holds.
fn add_condition(
    request: &mut CertificateSigningRequest,
    kind: &str,
    reason: &str,
    message: &str,
    now: Timestamp,
) {
    let status: &mut CertificateSigningRequestStatus = request.status.get_or_insert_default();
    status.conditions.get_or_insert_default().push(CertificateSigningRequestCondition {
        type_: kind.into(),
        status: "True".into(),
        reason: Some(reason.into()),
        message: Some(message.into()),
        last_transition_time: Some(Time(now)),
        last_update_time: Some(Time(now)),
    });
}

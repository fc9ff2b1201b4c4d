//! Requests for certificates of pods. The kubelet of a pod's node makes them; signers answer in the status.

use apimachinery::field::ErrorList;
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::certificates::v1::{PodCertificateRequest, PodCertificateRequestStatus};
use serde_json::{Value, json};

use crate::columns::{NAME, text};
use crate::strategy::{Column, Part};

mod validation;

pub(crate) use validation::{annotation_errors, lifetime_errors};

#[cfg(test)]
mod tests;

/// Signed: the certificate is in the status.
pub const ISSUED: &str = "Issued";
/// The signer will not.
pub const DENIED: &str = "Denied";
/// The signer could not.
pub const FAILED: &str = "Failed";

/// What requests are asked.
pub trait PodCertificateRequestExt {
    /// The condition is there and true.
    fn is(&self, condition: &str) -> bool;
    /// Nothing more will come.
    fn is_finished(&self) -> bool {
        [ISSUED, DENIED, FAILED].iter().any(|c| self.is(c))
    }
}

impl PodCertificateRequestExt for PodCertificateRequest {
    fn is(&self, condition: &str) -> bool {
        let mut conditions = self.status.iter().flat_map(|s| s.conditions.iter().flatten());
        conditions.any(|c| c.type_ == condition && c.status == "True")
    }
}

/// The rules of pods' certificate requests.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = PodCertificateRequest;

    fn default(&self, request: &mut PodCertificateRequest) {
        request.spec.max_expiration_seconds.get_or_insert(24 * 3600);
    }

    fn prepare_create(&self, request: &mut PodCertificateRequest) {
        request.status = Some(PodCertificateRequestStatus::default());
    }

    fn prepare_update(&self, new: &mut PodCertificateRequest, old: &PodCertificateRequest, part: Part) {
        match part {
            Part::Status => new.spec.clone_from(&old.spec),
            _ => new.status.clone_from(&old.status),
        }
    }

    fn validate(&self, request: &PodCertificateRequest) -> ErrorList {
        validation::create(request)
    }

    fn validate_update(
        &self,
        new: &PodCertificateRequest,
        old: &PodCertificateRequest,
        part: Part,
    ) -> ErrorList {
        match part {
            Part::Status => validation::status(new, old),
            _ => validation::update(new, old),
        }
    }

    fn validate_time(
        &self,
        new: &PodCertificateRequest,
        old: &PodCertificateRequest,
        part: Part,
        now: Timestamp,
    ) -> ErrorList {
        match part {
            Part::Status if !old.is_finished() => validation::begins_now(new, now),
            _ => ErrorList::new(),
        }
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }

    fn fields(&self, request: &PodCertificateRequest) -> Vec<(&'static str, String)> {
        vec![
            ("spec.signerName", request.spec.signer_name.clone()),
            ("spec.podName", request.spec.pod_name.clone()),
            ("spec.nodeName", request.spec.node_name.clone()),
        ]
    }

    fn field_names(&self) -> &'static [&'static str] {
        &["spec.signerName", "spec.podName", "spec.nodeName"]
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            text("PodName", "Whose certificate it is to be."),
            text("ServiceAccountName", "The account that the pod runs as."),
            text("NodeName", "Where the pod runs."),
            text("SignerName", "Who is to sign."),
            text("State", "What has become of it."),
        ];
        COLUMNS
    }

    fn row(&self, request: &PodCertificateRequest, _: Timestamp) -> Vec<Value> {
        let spec = &request.spec;
        let state = [ISSUED, DENIED, FAILED].into_iter().find(|c| request.is(c));
        vec![
            json!(request.name()),
            json!(spec.pod_name),
            json!(spec.service_account_name),
            json!(spec.node_name),
            json!(spec.signer_name),
            json!(state.unwrap_or("Pending")),
        ]
    }
}

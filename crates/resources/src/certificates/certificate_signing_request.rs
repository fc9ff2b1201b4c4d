//! Requests for certificates. Who asks is written into the object by admission; who approves, who signs and what they may
//! is theirs, too.

use apimachinery::field::ErrorList;
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::certificates::v1::{
    CertificateSigningRequest, CertificateSigningRequestCondition, CertificateSigningRequestStatus,
};
use serde_json::{Value, json};

use crate::columns::{AGE, NAME, text};
use crate::strategy::{Column, Part, age, human_duration};

pub(crate) mod validation;

#[cfg(test)]
mod tests;

/// What requests are asked.
pub trait CertificateSigningRequestExt {
    fn has_condition(&self, kind: &str) -> bool;
    /// Approved, and neither denied nor failed.
    fn is_approved(&self) -> bool;
    /// There is a certificate.
    fn is_issued(&self) -> bool;
}

impl CertificateSigningRequestExt for CertificateSigningRequest {
    fn has_condition(&self, kind: &str) -> bool {
        conditions(self).iter().any(|c| c.type_ == kind)
    }

    fn is_approved(&self) -> bool {
        self.has_condition("Approved") && !self.has_condition("Denied")
    }

    fn is_issued(&self) -> bool {
        self.status.as_ref().and_then(|s| s.certificate.as_ref()).is_some_and(|c| !c.0.is_empty())
    }
}

/// The rules of certificate signing requests.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = CertificateSigningRequest;

    fn prepare_create(&self, request: &mut CertificateSigningRequest) {
        request.status = Some(CertificateSigningRequestStatus::default());
    }

    fn prepare_update(
        &self,
        new: &mut CertificateSigningRequest,
        old: &CertificateSigningRequest,
        part: Part,
    ) {
        new.spec.clone_from(&old.spec);
        let before = old.status.clone().unwrap_or_default();
        let status = new.status.get_or_insert_default();
        match part {
            Part::Status => {
                // Approval is for whoever may approve.
                let mut kept: Vec<_> = conditions(old).iter().filter(|c| is_verdict(c)).cloned().collect();
                kept.extend(status.conditions.iter().flatten().filter(|c| !is_verdict(c)).cloned());
                status.conditions = (!kept.is_empty()).then_some(kept);
            }
            Part::Approval => status.certificate = before.certificate,
            _ => new.status = Some(before),
        }
    }

    fn reset_fields(&self, part: Part) -> &'static [&'static str] {
        match part {
            Part::Main => &["spec", "status"],
            Part::Approval => &["spec", "status.certificate"],
            _ => &["spec"],
        }
    }

    fn validate(&self, request: &CertificateSigningRequest) -> ErrorList {
        validation::create(request)
    }

    fn validate_update(
        &self,
        new: &CertificateSigningRequest,
        old: &CertificateSigningRequest,
        part: Part,
    ) -> ErrorList {
        validation::update(new, old, part)
    }

    fn fields(&self, request: &CertificateSigningRequest) -> Vec<(&'static str, String)> {
        vec![("spec.signerName", request.spec.signer_name.clone())]
    }

    fn field_names(&self) -> &'static [&'static str] {
        &["spec.signerName"]
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            AGE,
            text("SignerName", "Who is to sign."),
            text("Requestor", "Who asks."),
            text("RequestedDuration", "How long the certificate is to be good."),
            text("Condition", "What has become of it."),
        ];
        COLUMNS
    }

    fn row(&self, request: &CertificateSigningRequest, now: Timestamp) -> Vec<Value> {
        let spec = &request.spec;
        let duration = spec.expiration_seconds.map(|s| human_duration(i64::from(s)));
        vec![
            json!(request.name()),
            json!(age(&request.metadata, now)),
            json!(if spec.signer_name.is_empty() { "<none>" } else { &spec.signer_name }),
            json!(spec.username.as_deref().unwrap_or_default()),
            json!(duration.unwrap_or_else(|| "<none>".into())),
            json!(state(request)),
        ]
    }
}

fn conditions(request: &CertificateSigningRequest) -> &[CertificateSigningRequestCondition] {
    request.status.as_ref().and_then(|s| s.conditions.as_deref()).unwrap_or_default()
}

fn is_verdict(condition: &CertificateSigningRequestCondition) -> bool {
    matches!(&*condition.type_, "Approved" | "Denied")
}

fn state(request: &CertificateSigningRequest) -> String {
    let has = |kind| request.has_condition(kind);
    let mut states = match (has("Denied"), has("Approved")) {
        (true, _) => vec!["Denied"],
        (_, true) => vec!["Approved"],
        _ => vec!["Pending"],
    };
    if has("Failed") {
        states.push("Failed");
    }
    if request.is_issued() {
        states.push("Issued");
    }
    states.join(",")
}

//! Certificate signing requests: who asks, what may be asked for, who may approve and sign.

use std::sync::Arc;

use apimachinery::Status;
use apimachinery::field::{Error, ErrorList, Path};
use async_trait::async_trait;
use auth::UserInfo;
use auth::authz::{Attributes as Question, Authorization, Authorizer, Decision};
use codec::Kind;
use k8s_openapi::api::certificates::v1::{
    CertificateSigningRequest, ClusterTrustBundle, PodCertificateRequest,
};
use registry::admit::{Attributes, Operation};

use crate::ask;
use crate::chain::{Context, Plugin};

const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client";

/// Whether the user may `verb` at the signer: by its name, or by all of its domain.
async fn may(authorization: &Authorization, a: &Attributes<'_>, verb: &str, signer: &str) -> bool {
    let domain = signer.split('/').next().unwrap_or_default();
    for name in [signer.to_owned(), format!("{domain}/*")] {
        let question = Question {
            user: UserInfo {
                name: a.user.name.clone(),
                uid: a.user.uid.clone(),
                groups: a.user.groups.clone(),
                extra: a.user.extra.clone(),
            },
            verb: verb.into(),
            group: CertificateSigningRequest::GROUP.into(),
            version: "*".into(),
            resource: "signers".into(),
            name,
            ..Question::default()
        };
        if let Decision::Allow(_) = authorization.authorize(&question).await {
            return true;
        }
    }
    false
}

/// Only whoever may approve for a signer does.
pub(crate) struct CertificateApproval {
    authorization: Arc<Authorization>,
}

impl CertificateApproval {
    pub(crate) fn new(context: &Context) -> Self {
        CertificateApproval { authorization: context.authorization.clone() }
    }
}

#[async_trait]
impl Plugin for CertificateApproval {
    async fn validate(&self, a: &Attributes<'_>) -> Result<(), Status> {
        if !ask::is::<CertificateSigningRequest>(a) || a.subresource != "approval" {
            return Ok(());
        }
        let Some(request) = ask::object::<CertificateSigningRequest>(a) else { return Ok(()) };
        let signer = &request.spec.signer_name;
        match may(&self.authorization, a, "approve", signer).await {
            true => Ok(()),
            false => {
                let why = format!("user not permitted to approve requests with signerName {signer:?}");
                Err(ask::forbidden(a, why))
            }
        }
    }
}

/// Only whoever may sign for a signer gives out certificates, or says that there will be none.
pub(crate) struct CertificateSigning {
    authorization: Arc<Authorization>,
}

impl CertificateSigning {
    pub(crate) fn new(context: &Context) -> Self {
        CertificateSigning { authorization: context.authorization.clone() }
    }
}

impl CertificateSigning {
    /// Whatever the status of a pod's request says, a signer has said it.
    async fn of_pod(&self, a: &Attributes<'_>) -> Result<(), Status> {
        let new = ask::object::<PodCertificateRequest>(a);
        let (Some(new), Some(old)) = (new, ask::old::<PodCertificateRequest>(a)) else { return Ok(()) };
        if new.status == old.status {
            return Ok(());
        }
        self.signs(a, &old.spec.signer_name).await
    }

    async fn signs(&self, a: &Attributes<'_>, signer: &str) -> Result<(), Status> {
        match may(&self.authorization, a, "sign", signer).await {
            true => Ok(()),
            false => {
                let why = format!("user not permitted to sign requests with signerName {signer:?}");
                Err(ask::forbidden(a, why))
            }
        }
    }
}

#[async_trait]
impl Plugin for CertificateSigning {
    async fn validate(&self, a: &Attributes<'_>) -> Result<(), Status> {
        if a.subresource != "status" {
            return Ok(());
        }
        if ask::is::<PodCertificateRequest>(a) {
            return self.of_pod(a).await;
        }
        if !ask::is::<CertificateSigningRequest>(a) {
            return Ok(());
        }
        let new = ask::object::<CertificateSigningRequest>(a);
        let (Some(new), Some(old)) = (new, ask::old::<CertificateSigningRequest>(a)) else { return Ok(()) };
        let certificate =
            |r: &CertificateSigningRequest| r.status.as_ref().and_then(|s| s.certificate.clone());
        let conditions = |r: &CertificateSigningRequest| r.status.as_ref().and_then(|s| s.conditions.clone());
        if certificate(new) == certificate(old) && conditions(new) == conditions(old) {
            return Ok(());
        }
        self.signs(a, &old.spec.signer_name).await
    }
}

/// Only whoever may vouch for a signer says which authorities it has.
pub(crate) struct ClusterTrustBundleAttest {
    authorization: Arc<Authorization>,
}

impl ClusterTrustBundleAttest {
    pub(crate) fn new(context: &Context) -> Self {
        ClusterTrustBundleAttest { authorization: context.authorization.clone() }
    }
}

#[async_trait]
impl Plugin for ClusterTrustBundleAttest {
    async fn validate(&self, a: &Attributes<'_>) -> Result<(), Status> {
        let writes = matches!(a.operation, Operation::Create | Operation::Update);
        if !ask::is_main::<ClusterTrustBundle>(a) || !writes {
            return Ok(());
        }
        let Some(new) = ask::object::<ClusterTrustBundle>(a) else { return Ok(()) };
        // What changes nothing of what is vouched for, such as a finalizer taken off, needs nobody's word.
        if ask::old::<ClusterTrustBundle>(a).is_some_and(|old| old.spec == new.spec) {
            return Ok(());
        }
        let signer = new.spec.signer_name.as_deref().unwrap_or_default();
        if signer.is_empty() || may(&self.authorization, a, "attest", signer).await {
            return Ok(());
        }
        Err(ask::forbidden(a, format!("user not permitted to attest for signerName {signer:?}")))
    }
}

/// Nobody becomes the master of everything by a certificate.
pub(crate) struct CertificateSubjectRestriction;

#[async_trait]
impl Plugin for CertificateSubjectRestriction {
    async fn validate(&self, a: &Attributes<'_>) -> Result<(), Status> {
        if !ask::is_main::<CertificateSigningRequest>(a) || a.operation != Operation::Create {
            return Ok(());
        }
        let Some(request) = ask::object::<CertificateSigningRequest>(a) else { return Ok(()) };
        if request.spec.signer_name != CLIENT_SIGNER {
            return Ok(());
        }
        let subject = auth::certificates::request_subject(&request.spec.request.0);
        let subject = subject.map_err(|why| ask::forbidden(a, why.to_string()))?;
        if subject.groups.iter().any(|g| g == auth::authz::SYSTEM_MASTERS) {
            let why = format!(
                "use of {CLIENT_SIGNER} signer with {} group is not allowed",
                auth::authz::SYSTEM_MASTERS
            );
            return Err(ask::forbidden(a, why));
        }
        Ok(())
    }
}

/// Writes into a request who asks, and sees to it that it is a request. Upstream has both in the storage of requests, where
/// they cannot be turned off.
pub(crate) struct CertificateRequester;

#[async_trait]
impl Plugin for CertificateRequester {
    async fn mutate(&self, a: &mut Attributes<'_>) -> Result<(), Status> {
        if !ask::is_main::<CertificateSigningRequest>(a) || a.operation != Operation::Create {
            return Ok(());
        }
        let user = a.user.clone();
        if let Some(request) = ask::object_mut::<CertificateSigningRequest>(a) {
            let some = |text: String| (!text.is_empty()).then_some(text);
            request.spec.username = some(user.name);
            request.spec.uid = some(user.uid);
            request.spec.groups = (!user.groups.is_empty()).then_some(user.groups);
            request.spec.extra = (!user.extra.is_empty()).then_some(user.extra);
        }
        Ok(())
    }

    async fn validate(&self, a: &Attributes<'_>) -> Result<(), Status> {
        if !ask::is_main::<CertificateSigningRequest>(a) || a.operation != Operation::Create {
            return Ok(());
        }
        let Some(request) = ask::object::<CertificateSigningRequest>(a) else { return Ok(()) };
        let Err(why) = auth::certificates::request_subject(&request.spec.request.0) else { return Ok(()) };
        let path = Path::new("spec").child("request");
        let error = Error::invalid(&path, "<certificate request>", why.to_string());
        let errors: ErrorList = [error].into_iter().collect();
        Err(Status::invalid(a.gvk, request.name(), &errors))
    }
}

//! `serviceaccounts/token`: a TokenRequest in, the same with a token out.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::{GroupResource, Status};
use client::Api;
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestStatus};
use k8s_openapi::api::core::v1::{Node, Pod, Secret, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::ServiceAccountTokens;
use crate::authn::claims::{Claims, Kubernetes, Ref, username};
use crate::authn::jws;

const DEFAULT_SECONDS: i64 = 3600;
const MIN_SECONDS: i64 = 600;
/// What kubelets ask for on behalf of projected volumes made by admission: such tokens may be extended.
const EXTENDABLE_SECONDS: i64 = 3607;
const EXTENDED_SECONDS: i64 = 365 * 24 * 60 * 60;

impl ServiceAccountTokens {
    /// Issues a token for `namespace/name`. Whoever calls this has authorized it.
    pub async fn issue(
        &self,
        namespace: &str,
        name: &str,
        mut request: TokenRequest,
    ) -> Result<TokenRequest, Status> {
        check_address(&request, namespace, name)?;
        let api = Api::<ServiceAccount>::new(self.subjects.transport().clone());
        let account = api.get(namespace, name).await?;
        let spec = request.spec.get_or_insert_default();
        let audiences = spec.audiences.get_or_insert_default();
        if audiences.is_empty() {
            audiences.clone_from(&self.config.audiences);
        }
        let mut seconds = *spec.expiration_seconds.get_or_insert(DEFAULT_SECONDS);
        check_lifetime(seconds)?;
        if let Some(max) = self.config.max_lifetime {
            seconds = seconds.min(i64::try_from(max.as_secs()).unwrap_or(i64::MAX));
            spec.expiration_seconds = Some(seconds);
        }
        let mut kubernetes = Kubernetes {
            namespace: namespace.into(),
            serviceaccount: reference(&account),
            ..Kubernetes::default()
        };
        if let Some(bound) = &spec.bound_object_ref {
            self.bind(&mut kubernetes, bound).await?;
        }
        let now = self.clock.now().as_second();
        let extended = self.config.extend
            && seconds == EXTENDABLE_SECONDS
            && audiences.iter().any(|a| self.config.audiences.contains(a));
        kubernetes.warnafter = extended.then_some(now + seconds);
        let claims = Claims {
            aud: audiences.clone(),
            exp: now + if extended { EXTENDED_SECONDS } else { seconds },
            iat: now,
            iss: self.config.issuers.first().cloned().unwrap_or_default(),
            jti: self.random.uuid(),
            kubernetes,
            nbf: now,
            sub: username(namespace, name),
        };
        let payload = serde_json::to_vec(&claims).map_err(Status::internal)?;
        request.metadata.name = Some(name.into());
        request.metadata.namespace = Some(namespace.into());
        request.metadata.creation_timestamp = Timestamp::from_second(now).ok().map(Time);
        request.status = Some(TokenRequestStatus {
            token: Some(jws::sign(&self.signing, &payload).map_err(Status::internal)?),
            // What was asked for, also of an extended token, so that its user renews it in time.
            expiration_timestamp: Timestamp::from_second(now + seconds).ok().map(Time),
        });
        Ok(request)
    }

    /// Fills in the object that the token is to die with.
    async fn bind(&self, claim: &mut Kubernetes, bound: &BoundObjectReference) -> Result<(), Status> {
        let transport = self.subjects.transport();
        let name = bound.name.as_deref().unwrap_or_default();
        let kind = bound.kind.as_deref().unwrap_or_default();
        let api_version = bound.api_version.as_deref().unwrap_or_default();
        let found = match (api_version, kind) {
            ("v1", "Pod") => {
                let pod = Api::<Pod>::new(transport.clone()).get(&claim.namespace, name).await?;
                let spec = pod.spec.as_ref();
                let runs_as = spec.and_then(|s| s.service_account_name.as_deref()).unwrap_or_default();
                if runs_as != claim.serviceaccount.name {
                    return Err(Status::bad_request(format!(
                        "cannot bind token for serviceaccount {:?} to pod running with different serviceaccount name.",
                        claim.serviceaccount.name
                    )));
                }
                if let Some(node) = spec.and_then(|s| s.node_name.as_deref()).filter(|n| !n.is_empty()) {
                    claim.node = Some(self.node_of_pod(node).await?);
                }
                claim.pod.insert(reference(&pod))
            }
            ("v1", "Node") => {
                let node = Api::<Node>::new(transport.clone()).get("", name).await?;
                claim.node.insert(reference(&node))
            }
            ("v1", "Secret") => {
                let secret = Api::<Secret>::new(transport.clone()).get(&claim.namespace, name).await?;
                claim.secret.insert(reference(&secret))
            }
            (api_version, kind) => {
                let what = match api_version.split_once('/') {
                    Some((group, version)) => format!("{group}/{version}, Kind={kind}"),
                    None => format!("/{api_version}, Kind={kind}"),
                };
                return Err(Status::bad_request(format!("cannot bind token to object of type {what}")));
            }
        };
        match bound.uid.as_deref() {
            Some(uid) if !uid.is_empty() && uid != found.uid => {
                let why = format!(
                    "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted and then recreated"
                );
                let resource = GroupResource { group: "".into(), resource: kind.into() };
                Err(Status::conflict(&resource, name, &why))
            }
            _ => Ok(()),
        }
    }

    /// A node that is gone, or not yet there, is named all the same.
    async fn node_of_pod(&self, name: &str) -> Result<Ref, Status> {
        match Api::<Node>::new(self.subjects.transport().clone()).get("", name).await {
            Ok(node) => Ok(reference(&node)),
            Err(e) if e.is_not_found() => Ok(Ref { name: name.into(), uid: String::new() }),
            Err(e) => Err(e),
        }
    }
}

fn reference<K: Kind>(object: &K) -> Ref {
    Ref { name: object.name().into(), uid: object.uid().into() }
}

fn check_address(request: &TokenRequest, namespace: &str, name: &str) -> Result<(), Status> {
    let differs = |field: &Option<String>, url: &str| {
        field.as_deref().is_some_and(|value| !value.is_empty() && value != url)
    };
    for (what, field, url) in
        [("name", &request.metadata.name, name), ("namespace", &request.metadata.namespace, namespace)]
    {
        if differs(field, url) {
            return Err(Status::bad_request(format!(
                "the {what} of the provided object does not match the {what} sent on the request"
            )));
        }
    }
    Ok(())
}

fn check_lifetime(seconds: i64) -> Result<(), Status> {
    let why = match seconds {
        ..MIN_SECONDS => "may not specify a duration less than 10 minutes",
        0x1_0000_0001.. => "may not specify a duration larger than 2^32 seconds",
        _ => return Ok(()),
    };
    let field = Path::new("spec").child("expirationSeconds");
    let errors = ErrorList::from_iter([Error::invalid(&field, seconds, why)]);
    Err(Status::invalid(&TokenRequest::gvk(), "", &errors))
}

//! Approves client certificates of kubelets, when whoever asks may have them.

use std::sync::Arc;

use anyhow::Context as _;
use apimachinery::ObjectKey;
use client::{Api, Informer, Requeue};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use resources::prelude::*;
use stdx::clock::SharedClock;

use super::{KUBELET_CLIENT, add_condition, judge};
use crate::context::{Component, object, synced};

struct State {
    requests: Informer<CertificateSigningRequest>,
    api: Api<CertificateSigningRequest>,
    reviews: Api<SubjectAccessReview>,
    clock: SharedClock,
}

/// `certificatesigningrequest-approving-controller`
pub fn start(component: Component) {
    let state = Arc::new(State {
        requests: component.informer(),
        api: component.api(),
        reviews: component.api(),
        clock: component.clock.clone(),
    });
    let queue = component.queue::<ObjectKey>();
    let woken = queue.clone();
    component.on(&state.requests, move |change| {
        if let Some(request) = object(change) {
            woken.add(request.key.clone());
        }
    });
    component.run(vec![synced(&state.requests)], &queue, 1, move |key| {
        let state = state.clone();
        async move { state.reconcile(&key).await }
    });
}

impl State {
    async fn reconcile(&self, key: &ObjectKey) -> anyhow::Result<Requeue> {
        let Some(mut request) = self.requests.get(key) else { return Ok(Requeue::Never) };
        let judged = request.has_condition("Approved") || request.has_condition("Denied");
        if judged || request.is_issued() || request.spec.signer_name != KUBELET_CLIENT {
            return Ok(Requeue::Never);
        }
        let Ok(asked) = pki::request::request_subject(&request.spec.request.0) else {
            return Ok(Requeue::Never);
        };
        let usages = request.spec.usages.as_deref().unwrap_or_default();
        if judge::kubelet_client(usages, &asked).is_err() {
            return Ok(Requeue::Never);
        }
        let itself = request.spec.username.as_deref() == Some(&asked.common_name);
        // A kubelet that renews its own certificate may be allowed less than one that joins.
        let ways = [
            (
                "selfnodeclient",
                itself,
                "Auto approving self kubelet client certificate after SubjectAccessReview.",
            ),
            ("nodeclient", true, "Auto approving kubelet client certificate after SubjectAccessReview."),
        ];
        for (subresource, applies, message) in ways {
            if !applies || !self.may(&request, subresource).await? {
                continue;
            }
            add_condition(&mut request, "Approved", "AutoApproved", message, self.clock.now());
            return match self.api.update_part(&request, "approval").await {
                Ok(_) => Ok(Requeue::Never),
                Err(e) if e.is_conflict() || e.is_not_found() => Ok(Requeue::RateLimited),
                Err(e) => Err(e).context("approve a certificate request"),
            };
        }
        Ok(Requeue::Never)
    }

    async fn may(&self, request: &CertificateSigningRequest, subresource: &str) -> anyhow::Result<bool> {
        let spec = &request.spec;
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: spec.username.clone(),
                uid: spec.uid.clone(),
                groups: spec.groups.clone(),
                extra: spec.extra.clone(),
                resource_attributes: Some(ResourceAttributes {
                    group: Some("certificates.k8s.io".into()),
                    resource: Some("certificatesigningrequests".into()),
                    verb: Some("create".into()),
                    subresource: Some(subresource.into()),
                    version: Some("*".into()),
                    ..ResourceAttributes::default()
                }),
                non_resource_attributes: None,
            },
            ..SubjectAccessReview::default()
        };
        let answer =
            self.reviews.create(&review).await.context("ask whether a kubelet may have a certificate")?;
        Ok(answer.status.is_some_and(|s| s.allowed))
    }
}

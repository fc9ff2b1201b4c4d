//! Authorization by asking an API server, for components that serve requests on their own: the kubelet.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use client::Api;
use client::transport::Transport;
use codec::Kind;
use k8s_openapi::api::authorization::v1::{
    FieldSelectorAttributes, NonResourceAttributes, ResourceAttributes, SubjectAccessReview,
    SubjectAccessReviewSpec,
};
use ring::digest::{SHA256, digest};
use stdx::clock::SharedClock;

use crate::authn::cache::Cache;
use crate::authz::{Attributes, Authorizer, Decision};

/// As the kubelet's `authorization.webhook.cacheAuthorizedTTL` and `…cacheUnauthorizedTTL`.
const REMEMBER_YES: Duration = Duration::from_secs(5 * 60);
const REMEMBER_NO: Duration = Duration::from_secs(30);

/// Decides by SubjectAccessReviews, which it remembers: a yes for five minutes, a no for half of one.
pub struct DelegatedAuthorization {
    api: Api<SubjectAccessReview>,
    clock: SharedClock,
    /// By the review's SHA-256, until when (monotonic).
    known: Cache<[u8; 32], (Decision, Duration), 1024>,
}

impl DelegatedAuthorization {
    /// `transport` must be allowed to create SubjectAccessReviews.
    pub fn new(transport: Arc<dyn Transport>, clock: SharedClock) -> Self {
        DelegatedAuthorization { api: Api::new(transport), clock, known: Cache::default() }
    }
}

#[async_trait]
impl Authorizer for DelegatedAuthorization {
    /// An API server that does not answer means no; that is not remembered.
    async fn authorize(&self, attributes: &Attributes) -> Decision {
        let review = review(attributes);
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, &review.to_json()).as_ref());
        let now = self.clock.monotonic();
        if let Some((decision, until)) = self.known.get(&key)
            && now < until
        {
            return decision;
        }
        let status = match self.api.create(&review).await {
            Ok(answer) => answer.status.unwrap_or_default(),
            Err(e) => return Decision::NoOpinion(format!("cannot review access: {e}")),
        };
        let reason = status.reason.unwrap_or_default();
        let (decision, remember) = match (status.allowed, status.denied) {
            (true, _) => (Decision::Allow(reason), REMEMBER_YES),
            (false, Some(true)) => (Decision::Deny(reason), REMEMBER_NO),
            (false, _) => (Decision::NoOpinion(reason), REMEMBER_NO),
        };
        self.known.insert(key, (decision.clone(), now + remember));
        decision
    }
}

fn review(a: &Attributes) -> SubjectAccessReview {
    let text = |value: &str| (!value.is_empty()).then(|| value.to_owned());
    let mut spec = SubjectAccessReviewSpec {
        user: text(&a.user.name),
        uid: text(&a.user.uid),
        groups: (!a.user.groups.is_empty()).then(|| a.user.groups.clone()),
        extra: (!a.user.extra.is_empty()).then(|| a.user.extra.clone()),
        ..SubjectAccessReviewSpec::default()
    };
    if a.is_resource() {
        spec.resource_attributes = Some(ResourceAttributes {
            verb: text(&a.verb),
            group: text(&a.group),
            version: text(&a.version),
            resource: text(&a.resource),
            subresource: text(&a.subresource),
            namespace: text(&a.namespace),
            name: text(&a.name),
            field_selector: text(&a.field_selector)
                .map(|raw| FieldSelectorAttributes { raw_selector: Some(raw), requirements: None }),
            label_selector: None,
        });
    } else {
        spec.non_resource_attributes =
            Some(NonResourceAttributes { verb: text(&a.verb), path: text(&a.path) });
    }
    SubjectAccessReview { spec, ..SubjectAccessReview::default() }
}

//! The kinds that are answered and never stored, in one table: reviews and token requests, bytes in and bytes out.

mod node_tokens;

use std::sync::Arc;

use apimachinery::{Gvk, Status};
use bytes::Bytes;
use client::Informer;
use client::api::decode;
use client::transport::Transport;
use codec::Kind;
use k8s_openapi::api::authentication::v1::{SelfSubjectReview, TokenRequest, TokenReview};
use k8s_openapi::api::authorization::v1::{
    LocalSubjectAccessReview, SelfSubjectAccessReview, SelfSubjectRulesReview, SubjectAccessReview,
};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};

use crate::authn::{Authentication, ServiceAccountTokens, UserInfo, review as authn_review};
use crate::authz::{Authorization, review as authz_review};

/// A row: the create that is answered.
#[derive(Clone, Debug)]
pub struct Answered {
    pub group: &'static str,
    pub resource: &'static str,
    /// Empty for kinds of their own.
    pub subresource: &'static str,
    /// Of kinds of their own: asked within a namespace, or not.
    pub namespaced: bool,
    /// Of the body.
    pub kind: Gvk,
    which: Which,
}

#[derive(Clone, Copy, Debug)]
enum Which {
    TokenReview,
    SelfSubjectReview,
    SubjectAccessReview,
    LocalSubjectAccessReview,
    SelfSubjectAccessReview,
    SelfSubjectRulesReview,
    TokenRequest,
}

/// Every kind that [`Answers`] answers.
pub fn answered() -> Vec<Answered> {
    fn row<K: Kind>(which: Which) -> Answered {
        let namespaced = matches!(which, Which::LocalSubjectAccessReview);
        Answered {
            group: K::GROUP,
            resource: K::RESOURCE,
            subresource: "",
            namespaced,
            kind: K::gvk(),
            which,
        }
    }
    vec![
        row::<TokenReview>(Which::TokenReview),
        row::<SelfSubjectReview>(Which::SelfSubjectReview),
        row::<SubjectAccessReview>(Which::SubjectAccessReview),
        row::<LocalSubjectAccessReview>(Which::LocalSubjectAccessReview),
        row::<SelfSubjectAccessReview>(Which::SelfSubjectAccessReview),
        row::<SelfSubjectRulesReview>(Which::SelfSubjectRulesReview),
        Answered {
            group: ServiceAccount::GROUP,
            resource: ServiceAccount::RESOURCE,
            subresource: "token",
            namespaced: true,
            kind: TokenRequest::gvk(),
            which: Which::TokenRequest,
        },
    ]
}

/// What the answers are taken from.
pub struct Answers {
    pub authentication: Arc<Authentication>,
    pub authorization: Arc<Authorization>,
    pub tokens: Arc<ServiceAccountTokens>,
    transport: Arc<dyn Transport>,
    pods: Informer<Pod>,
}

impl Answers {
    /// `transport` acts as a member of system:masters.
    pub fn new(
        authentication: Arc<Authentication>,
        authorization: Arc<Authorization>,
        tokens: Arc<ServiceAccountTokens>,
        transport: Arc<dyn Transport>,
    ) -> Self {
        let pods = Informer::all(&*transport);
        Answers { authentication, authorization, tokens, transport, pods }
    }

    /// Answers `user`'s create. `namespace` and `name` are of the request's path; `body` is JSON of the row's kind.
    pub async fn answer(
        &self,
        row: &Answered,
        user: &UserInfo,
        namespace: &str,
        name: &str,
        body: &[u8],
    ) -> Result<Bytes, Status> {
        let authorizer = &*self.authorization;
        Ok(match row.which {
            Which::TokenReview => {
                json(authn_review::token_review(&self.authentication, decode(body)?).await?)
            }
            Which::SelfSubjectReview => json(authn_review::self_subject_review(user, decode(body)?)),
            Which::SubjectAccessReview => {
                json(authz_review::subject_access_review(authorizer, decode(body)?).await?)
            }
            Which::LocalSubjectAccessReview => {
                let review = decode(body)?;
                json(authz_review::local_subject_access_review(authorizer, namespace, review).await?)
            }
            Which::SelfSubjectAccessReview => {
                json(authz_review::self_subject_access_review(authorizer, user, decode(body)?).await?)
            }
            Which::SelfSubjectRulesReview => {
                json(authz_review::self_subject_rules_review(authorizer, user, decode(body)?)?)
            }
            Which::TokenRequest => {
                let request = decode(body)?;
                self.restrict_node(user, namespace, name, &request).await?;
                json(self.tokens.issue(namespace, name, request).await?)
            }
        })
    }
}

fn json<K: Kind>(object: K) -> Bytes {
    object.to_json().into()
}

#[cfg(test)]
mod tests;

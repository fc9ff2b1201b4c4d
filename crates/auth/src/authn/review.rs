//! TokenReview and SelfSubjectReview: values in, values out.

use apimachinery::Status;
use k8s_openapi::api::authentication::v1 as api;

use crate::authn::{Authentication, UserInfo};

/// Answers a TokenReview.
pub async fn token_review(
    authentication: &Authentication,
    mut review: api::TokenReview,
) -> Result<api::TokenReview, Status> {
    if review.spec.token.is_empty() {
        return Err(Status::bad_request("token is required for TokenReview in authentication"));
    }
    let audiences = match review.spec.audiences.as_deref() {
        None | Some([]) => authentication.audiences(),
        Some(asked) => asked,
    };
    let status = match authentication.authenticate_token(&review.spec.token, audiences).await {
        Ok(found) => api::TokenReviewStatus {
            authenticated: Some(true),
            user: Some(user_info(&found.user)),
            audiences: (!found.audiences.is_empty()).then_some(found.audiences),
            error: None,
        },
        Err(error) => api::TokenReviewStatus { error: Some(error), ..Default::default() },
    };
    review.status = Some(status);
    Ok(review)
}

/// Answers a SelfSubjectReview: who am I?
pub fn self_subject_review(user: &UserInfo, mut review: api::SelfSubjectReview) -> api::SelfSubjectReview {
    review.status = Some(api::SelfSubjectReviewStatus { user_info: Some(user_info(user)) });
    review
}

/// The user as the API shows it.
pub fn user_info(user: &UserInfo) -> api::UserInfo {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    api::UserInfo {
        username: some(&user.name),
        uid: some(&user.uid),
        groups: (!user.groups.is_empty()).then(|| user.groups.clone()),
        extra: (!user.extra.is_empty()).then(|| user.extra.clone()),
    }
}

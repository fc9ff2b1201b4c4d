//! Kinds that are answered and never stored: reviews, token requests.

use std::sync::Arc;

use apimachinery::Status;
use auth::UserInfo;
use bytes::Bytes;
use futures::future::BoxFuture;

use super::body;
use super::call::{Answer, Call, Outcome, Shown, Verb};
use super::dispatch::{strictness, write_options};

/// A request for a virtual kind: who asks, where, and the decoded body.
pub struct VirtualRequest {
    pub user: UserInfo,
    pub namespace: String,
    /// Of the main resource, for subresources such as `serviceaccounts/token`.
    pub name: String,
    pub dry_run: bool,
    /// JSON of the kind.
    pub body: Bytes,
}

/// Answers a virtual kind's create with the object to show.
pub type VirtualHandler = Arc<dyn Fn(VirtualRequest) -> BoxFuture<'static, Result<Bytes, Status>> + Send + Sync>;

/// One virtual kind.
#[derive(Clone)]
pub struct Virtual {
    pub group: &'static str,
    pub resource: &'static str,
    /// Empty for kinds of their own.
    pub subresource: &'static str,
    /// Kind of the body, for strict decoding.
    pub kind: apimachinery::Gvk,
    pub handler: VirtualHandler,
}

/// The answer, when the call is for a virtual kind.
pub async fn answer(virtuals: &[Virtual], call: &Call) -> Option<Result<Outcome, Status>> {
    let path = &call.path;
    let wanted = |v: &&Virtual| {
        v.group == path.group && v.resource == path.resource && v.subresource == path.subresource
    };
    let found = virtuals.iter().find(wanted)?;
    Some(run(found, call).await)
}

async fn run(found: &Virtual, call: &Call) -> Result<Outcome, Status> {
    if call.verb != Verb::Create {
        return Err(crate::http::service::method_not_allowed());
    }
    let options = write_options(call)?;
    let decoded = body::check(&found.kind, &call.payload, strictness(call)?)?;
    let request = VirtualRequest {
        user: call.user.clone(),
        namespace: call.path.namespace.clone(),
        name: call.path.name.clone(),
        dry_run: options.dry_run,
        body: decoded.json.into(),
    };
    let json = (found.handler)(request).await?;
    let answer = Answer::Object { code: 201, object: Shown { resource: None, json } };
    Ok(Outcome { answer, warnings: decoded.warnings })
}

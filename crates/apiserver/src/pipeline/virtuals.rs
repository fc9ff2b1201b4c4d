//! Kinds that are answered and never stored: reviews, token requests.

use std::sync::Arc;

use apimachinery::Status;
use auth::UserInfo;
use bytes::Bytes;
use futures::future::BoxFuture;
use registry::options::WriteOptions;

use super::body;
use super::call::{Answer, Call, Outcome, Shown, Verb};
use super::options;
use super::path::ResourcePath;

/// A request for a virtual kind: who asks, where, and the decoded body.
pub struct VirtualRequest {
    pub user: UserInfo,
    pub namespace: String,
    /// Of the main resource, for subresources such as `serviceaccounts/token`.
    pub name: String,
    pub options: WriteOptions,
    /// JSON of the kind.
    pub body: Bytes,
}

/// Answers a virtual kind's create with the object to show.
pub type VirtualHandler =
    Arc<dyn Fn(VirtualRequest) -> BoxFuture<'static, Result<Bytes, Status>> + Send + Sync>;

/// One virtual kind.
#[derive(Clone)]
pub struct Virtual {
    pub group: &'static str,
    pub resource: &'static str,
    /// Empty for kinds of their own.
    pub subresource: &'static str,
    /// Of kinds of their own: within a namespace's path, or not.
    pub namespaced: bool,
    /// Kind of the body, for strict decoding and discovery.
    pub kind: apimachinery::Gvk,
    pub handler: VirtualHandler,
}

impl Virtual {
    /// One with a path of its own, not below another resource.
    pub fn is_own(&self) -> bool {
        self.subresource.is_empty()
    }

    fn is_for(&self, path: &ResourcePath) -> bool {
        let place = (self.group, self.resource, self.subresource);
        place == (&*path.group, &*path.resource, &*path.subresource)
            && (!self.is_own()
                || *path.version == *self.kind.version && self.namespaced != path.namespace.is_empty())
    }
}

/// Whether the path is a virtual kind's: one that has no metadata, so no table and no metadata-only form.
pub fn is_virtual(virtuals: &[Virtual], path: &ResourcePath) -> bool {
    virtuals.iter().any(|v| v.is_for(path))
}

/// True when a virtual kind is served under this group and version.
pub fn serves_version(virtuals: &[Virtual], group: &str, version: &str) -> bool {
    virtuals.iter().any(|v| v.is_own() && v.group == group && *v.kind.version == *version)
}

/// The answer, when the call is for a virtual kind.
pub async fn answer(virtuals: &[Virtual], call: &Call) -> Option<Result<Outcome, Status>> {
    let found = virtuals.iter().find(|v| v.is_for(&call.path))?;
    Some(run(found, call).await)
}

async fn run(found: &Virtual, call: &Call) -> Result<Outcome, Status> {
    if call.verb != Verb::Create {
        return Err(crate::http::service::method_not_allowed());
    }
    let options = options::write(call)?;
    let decoded = body::check(&found.kind, &call.payload, options::strictness(call))?;
    let request = VirtualRequest {
        user: call.user.clone(),
        namespace: call.path.namespace.clone(),
        name: call.path.name.clone(),
        options,
        body: decoded.json.into(),
    };
    let json = (found.handler)(request).await?;
    let answer = Answer::Object { code: 201, object: Shown { resource: None, json } };
    Ok(Outcome { answer, warnings: decoded.warnings })
}

#[cfg(test)]
mod tests;

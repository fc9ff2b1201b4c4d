//! A request to the API as values. The API server implements [`Transport`] in process; `https` does over the wire.

use std::sync::Arc;

use apimachinery::{Gvr, Status};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

/// What to do, in the API's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    Get,
    List,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

/// The `Content-Type` of a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PatchType {
    Json,
    Merge,
    Strategic,
    Apply,
}

impl PatchType {
    pub fn content_type(self) -> &'static str {
        match self {
            PatchType::Json => "application/json-patch+json",
            PatchType::Merge => "application/merge-patch+json",
            PatchType::Strategic => "application/strategic-merge-patch+json",
            PatchType::Apply => "application/apply-patch+yaml",
        }
    }
}

/// One request about a resource. Bodies are JSON of the resource's own version.
#[derive(Clone, Debug)]
pub struct Request {
    pub verb: Verb,
    pub gvr: Gvr,
    /// Empty: cluster-scoped, or all namespaces for list.
    pub namespace: String,
    pub name: String,
    pub subresource: String,
    pub body: Bytes,
    pub options: Options,
}

/// The query parameters that components use.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub patch_type: Option<PatchType>,
    pub label_selector: String,
    pub field_selector: String,
    pub resource_version: String,
    pub resource_version_match: String,
    pub limit: u64,
    pub continue_token: String,
    pub dry_run: bool,
    pub field_manager: String,
    pub force: bool,
    /// Of the custom metrics API alone: which metrics, by their own labels.
    pub metric_label_selector: String,
}

/// One event of a watch.
#[derive(Clone, Debug)]
pub enum WatchEvent {
    Added(Bytes),
    Modified(Bytes),
    Deleted(Bytes),
    /// Carries only a resourceVersion.
    Bookmark(Bytes),
    Error(Status),
}

/// A way to the API, with an identity.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Sends one request; the answer's body is JSON.
    async fn send(&self, request: Request) -> Result<Bytes, Status>;

    /// Watches a resource from `options.resource_version`. The stream ends when the server ends it; after an `Error` event nothing follows.
    async fn watch(
        &self,
        gvr: &Gvr,
        namespace: &str,
        options: &Options,
    ) -> Result<BoxStream<'static, WatchEvent>, Status>;

    /// A live view of a resource: the API server's own cache in process, a mirror kept by list and watch over HTTPS.
    /// Returns at once; `View::synced` says when it is complete.
    fn reflect(&self, gvr: &Gvr, scope: &ViewScope) -> Arc<dyn View>;
}

/// What part of a resource a view shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ViewScope {
    /// Empty: all.
    pub namespace: String,
    pub label_selector: String,
    /// e.g. `spec.nodeName=node1`
    pub field_selector: String,
}

/// A live view of a resource. Reads never block and never copy more than they return.
#[async_trait]
pub trait View: Send + Sync + 'static {
    /// Completes when the view has been complete once.
    async fn synced(&self);
    fn is_synced(&self) -> bool;
    fn get(&self, key: &apimachinery::ObjectKey) -> Option<Arc<cache::Object>>;
    /// In key order. `namespace` empty: all.
    fn list(&self, namespace: &str) -> Vec<Arc<cache::Object>>;
    /// Objects by an index: `owner` (controller or other owner's uid), or a selectable field such as `spec.nodeName`.
    fn by_index(&self, index: &str, value: &str) -> Vec<Arc<cache::Object>>;
    /// Every object as Added first, then changes, in order, none lost. A slow reader is never dropped: changes of one object that it
    /// has not read yet may be merged into one.
    fn subscribe(&self) -> BoxStream<'static, Change>;
}

/// One change of a view. Both absent never; `old` absent: added; `new` absent: deleted.
#[derive(Clone, Debug)]
pub struct Change {
    pub old: Option<Arc<cache::Object>>,
    pub new: Option<Arc<cache::Object>>,
}

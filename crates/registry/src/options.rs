//! What a request asks besides its object: options of writes, deletes, lists and watches, as values.

use std::time::Duration;

use crate::admit::Requester;

/// Of a create, update or patch.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    pub user: Requester,
    pub dry_run: bool,
    /// Who writes, for managedFields.
    pub field_manager: String,
    /// A write to a name that is not there may create, where the kind or the write allows it.
    pub may_create: bool,
    /// The object's managed fields are as server-side apply made them.
    pub applied: bool,
}

/// What becomes of the dependents of a deleted object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    Orphan,
    Background,
    Foreground,
}

/// `meta/v1.DeleteOptions`.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    pub user: Requester,
    pub dry_run: bool,
    pub grace_period_seconds: Option<i64>,
    pub propagation: Option<Propagation>,
    /// Delete only when the object still has this uid.
    pub uid: Option<String>,
    /// Delete only when the object still has this resourceVersion.
    pub resource_version: Option<String>,
}

/// Which objects.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    pub label_selector: String,
    pub field_selector: String,
}

/// Of a list.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    pub selection: Selection,
    pub resource_version: String,
    pub resource_version_match: String,
    /// 0: no limit.
    pub limit: u64,
    pub continue_token: String,
    /// Only watches may ask for it.
    pub send_initial_events: Option<bool>,
}

/// Of a watch.
#[derive(Clone, Debug, Default)]
pub struct WatchOptions {
    pub selection: Selection,
    pub resource_version: String,
    pub resource_version_match: String,
    /// A continue token came along, which means nothing here.
    pub continued: bool,
    pub bookmarks: bool,
    pub send_initial_events: Option<bool>,
    /// The stream ends then.
    pub timeout: Option<Duration>,
}

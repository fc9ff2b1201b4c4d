//! Whether a dependent stays.

use client::Propagation;
use serde_json::Value;

use super::{FOREGROUND, ORPHAN, has_finalizer};

/// A dependent's owners by uid.
#[derive(Debug, Default)]
pub(super) struct Owners {
    pub keep: Vec<String>,
    /// Being deleted in the foreground.
    pub wait: Vec<String>,
    pub gone: Vec<String>,
}

#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    Keep,
    /// It stays, without these owners.
    Forget(Vec<String>),
    Delete(Propagation),
}

/// `meta` is the dependent's own metadata.
pub(super) fn judge(owners: &Owners, has_dependents: bool, meta: &Value) -> Verdict {
    let nobody = owners.wait.is_empty() && owners.gone.is_empty();
    if nobody {
        return Verdict::Keep;
    }
    if !owners.keep.is_empty() {
        return Verdict::Forget(owners.gone.iter().chain(&owners.wait).cloned().collect());
    }
    // What an owner waits for must wait for its own dependents in turn.
    if !owners.wait.is_empty() && has_dependents {
        return Verdict::Delete(Propagation::Foreground);
    }
    Verdict::Delete(match () {
        () if has_finalizer(meta, ORPHAN) => Propagation::Orphan,
        () if has_finalizer(meta, FOREGROUND) => Propagation::Foreground,
        () => Propagation::Background,
    })
}

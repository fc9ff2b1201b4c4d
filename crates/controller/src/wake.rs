//! Whom a changed pod (or revision) wakes: who controls it, or who might adopt it.

use apimachinery::{ObjectKey, Selector};
use client::transport::Change;
use client::{Informer, WorkQueue};
use codec::Kind;
use resources::owner::ObjectMetaExt;

use crate::expectations::Expectations;

/// The owner that controls the object, when it is of kind `K` and the one we know by that name.
pub(crate) fn owner_of<K: Kind>(owners: &Informer<K>, object: &cache::Object) -> Option<ObjectKey> {
    let controller = object.meta.controller()?;
    if *controller.kind != *K::KIND || *controller.api_version != *K::API_VERSION {
        return None;
    }
    let key = ObjectKey { namespace: object.key.namespace.clone(), name: controller.name.clone() };
    // While the owners' view is behind the objects', an unknown owner may be a new one.
    let other = owners.object(&key).is_some_and(|owner| owner.meta.uid != controller.uid);
    (!other).then_some(key)
}

/// Wakes the owners before and after the change, and whoever selects a new orphan. `expectations` hear of creations and deletions.
pub(crate) fn owned_changed<K: Kind>(
    owners: &Informer<K>,
    queue: &WorkQueue<ObjectKey>,
    expectations: Option<&Expectations>,
    selector: impl Fn(&K) -> Result<Selector, String>,
    change: &Change,
) {
    let Change { old, new } = change;
    let owner = |object: &Option<_>| object.as_ref().and_then(|o: &std::sync::Arc<_>| owner_of(owners, o));
    let (old_owner, new_owner) = (owner(old), owner(new));
    if let (Some(owner), None, Some(expectations)) = (&new_owner, old, expectations) {
        expectations.created(owner);
    }
    for (owner, object) in [(&old_owner, old), (&new_owner, new)] {
        let (Some(owner), Some(object)) = (owner, object) else { continue };
        if let Some(expectations) = expectations
            && new.as_ref().is_none_or(|new| new.meta.deleting)
        {
            expectations.deleted(owner, &object.meta.uid);
        }
        queue.add(owner.clone());
    }
    let Some(orphan) = new.as_ref().filter(|n| n.meta.controller().is_none() && !n.meta.deleting) else {
        return;
    };
    let relabelled =
        old.as_ref().is_none_or(|o| o.meta.labels != orphan.meta.labels || o.meta.controller().is_some());
    if relabelled {
        for owner in owners.list(&orphan.key.namespace) {
            if !owner.meta().is_deleting()
                && selector(&owner).is_ok_and(|s| !s.is_empty() && s.matches(&orphan.meta))
            {
                queue.add(ObjectKey::new(owner.namespace(), owner.name()));
            }
        }
    }
}

/// As [`owned_changed`] for revisions, which only owners themselves write: what they know needs no waking.
pub(crate) fn revision_changed<K: Kind>(
    owners: &Informer<K>,
    queue: &WorkQueue<ObjectKey>,
    selector: impl Fn(&K) -> Result<Selector, String>,
    change: &Change,
) {
    if change.new.as_ref().is_none_or(|new| new.meta.controller().is_none()) {
        owned_changed(owners, queue, None, selector, change);
    }
}

/// The object behind a key is gone or another one: what was expected of it will not come.
pub(crate) fn is_replaced(change: &Change) -> bool {
    let other = |old: &cache::Object| change.new.as_ref().is_none_or(|new| new.meta.uid != old.meta.uid);
    change.old.as_ref().is_some_and(|old| other(old))
}

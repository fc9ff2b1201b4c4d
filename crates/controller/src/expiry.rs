//! Objects whose time runs out: the loop that the cleaners of tokens and of certificate requests share.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use apimachinery::ObjectKey;
use client::{DeleteOptions, Informer, Requeue};
use codec::Kind;
use jiff::Timestamp;

use crate::context::{Component, object, synced};

/// Which objects go, and when.
pub(crate) struct Expiry<K> {
    /// Objects that may go at all, by their keys.
    pub concerns: fn(&ObjectKey) -> bool,
    /// How long the object still stays; zero: it goes; `None`: it stays.
    pub left: fn(&K, Timestamp) -> Option<Duration>,
    /// For the log: `delete an expired token`.
    pub what: &'static str,
}

/// Deletes each object when its time is over, not before, unless it has become another one.
pub(crate) fn start<K: Kind + Send + Sync + 'static>(component: Component, expiry: Expiry<K>) {
    let objects: Informer<K> = component.informer();
    let queue = component.queue::<ObjectKey>();
    let woken = queue.clone();
    component.on(&objects, move |change| {
        if let Some(object) = object(change).filter(|o| (expiry.concerns)(&o.key)) {
            woken.add(object.key.clone());
        }
    });
    let wait = vec![synced(&objects)];
    let state = Arc::new((objects, component.api::<K>(), component.clock.clone()));
    component.run(wait, &queue, 1, move |key| {
        let state = state.clone();
        async move {
            let (objects, api, clock) = &*state;
            let Some(object) = objects.get(&key) else { return Ok(Requeue::Never) };
            let Some(left) = (expiry.left)(&object, clock.now()) else { return Ok(Requeue::Never) };
            if !left.is_zero() {
                return Ok(Requeue::After(left));
            }
            match api.delete(&key.namespace, &key.name, &DeleteOptions::uid(object.uid())).await {
                Err(e) if e.is_not_found() || e.is_conflict() => Ok(Requeue::Never),
                gone => gone.map(|()| Requeue::Never).context(expiry.what),
            }
        }
    });
}

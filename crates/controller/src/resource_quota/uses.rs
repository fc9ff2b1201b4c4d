//! What each pod, service and claim uses, by namespace, as of its last event.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use apimachinery::{Gvr, ObjectKey};
use client::Informer;
use client::transport::Change;
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, ResourceQuota, Service};
use resources::core::resource_quota::usage::{self, Use};
use resources::quantity::Amounts;
use stdx::clock::SharedClock;

use super::Wake;
use crate::context::{Component, object};

type ByNamespace = HashMap<Arc<str>, HashMap<(&'static str, Arc<str>), Entry>>;

struct Entry {
    used: Use,
    /// A pod on its way out stops counting by itself, at a time.
    leaving: bool,
}

pub(super) struct Uses {
    all: Arc<Mutex<ByNamespace>>,
    pods: Informer<Pod>,
}

impl Uses {
    /// Follows the three kinds; `wake` hears of each namespace whose usage changed.
    pub fn start(
        component: &Component,
        pods: Informer<Pod>,
        services: &Informer<Service>,
        claims: &Informer<PersistentVolumeClaim>,
        wake: &Wake,
    ) -> Self {
        let all = Arc::new(Mutex::new(ByNamespace::new()));
        follow(component, &pods, &all, wake);
        follow(component, services, &all, wake);
        follow(component, claims, &all, wake);
        Uses { all, pods }
    }

    /// The sum over the objects that the quota counts, of what it bounds.
    pub fn bounded(&self, namespace: &str, quota: &ResourceQuota, now: Timestamp) -> Amounts {
        let mut total = Amounts::default();
        let all = lock(&self.all);
        for ((resource, name), entry) in all.get(namespace).into_iter().flatten() {
            let fresh = (entry.leaving && *resource == Pod::RESOURCE)
                .then(|| self.pods.get(&ObjectKey::new(namespace, name)))
                .flatten()
                .map(|pod| usage::of(&Pod::gvr(), &pod, now));
            total.add(&usage::bounded(quota, fresh.as_ref().unwrap_or(&entry.used)));
        }
        total
    }
}

fn lock(all: &Mutex<ByNamespace>) -> MutexGuard<'_, ByNamespace> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

fn follow<K: Kind>(
    component: &Component,
    informer: &Informer<K>,
    all: &Arc<Mutex<ByNamespace>>,
    wake: &Wake,
) {
    let (all, wake, clock, gvr) = (all.clone(), wake.clone(), component.clock.clone(), K::gvr());
    component.on(informer, move |change| {
        if note::<K>(&mut lock(&all), change, &gvr, &clock)
            && let Some(object) = object(change)
        {
            wake(&object.key.namespace);
        }
    });
}

/// Takes a change up. True when any quota may care.
fn note<K: Kind>(all: &mut ByNamespace, change: &Change, gvr: &Gvr, clock: &SharedClock) -> bool {
    let Some(object) = object(change) else { return false };
    let own = all.entry(object.key.namespace.clone()).or_default();
    let at = (K::RESOURCE, object.key.name.clone());
    let decoded = change.new.as_ref().and_then(|new| client::informer::decode::<K>(new));
    match decoded {
        Some(kind) => {
            let entry = Entry { used: usage::of(gvr, &kind, clock.now()), leaving: object.meta.deleting };
            let same = own.get(&at).is_some_and(|e| e.used == entry.used && e.leaving == entry.leaving);
            own.insert(at, entry);
            !same
        }
        None => {
            let gone = own.remove(&at).is_some();
            if own.is_empty() {
                all.remove(&object.key.namespace);
            }
            gone
        }
    }
}

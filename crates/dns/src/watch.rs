//! The API's changes, into the index.

use client::transport::{Change, Transport};
use client::{Informer, informer};
use codec::Kind;
use futures::{FutureExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::{Namespace, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use stdx::Tasks;

use crate::PodNames;
use crate::records::{Index, Records, pod_addresses};

/// Keeps the index until `tasks` are stopped.
pub fn start(transport: &dyn Transport, index: &Index, pods: PodNames, tasks: &Tasks) {
    keep::<Namespace>(transport, index, tasks, namespace);
    keep::<Service>(transport, index, tasks, service);
    keep::<EndpointSlice>(transport, index, tasks, slice);
    match pods {
        PodNames::Verified => keep::<Pod>(transport, index, tasks, pod),
        PodNames::Believed => index.write().believe_pod_names(),
    }
}

fn keep<K: Kind>(transport: &dyn Transport, index: &Index, tasks: &Tasks, apply: fn(&Index, &Change)) {
    let informer = Informer::<K>::all(transport);
    let index = index.clone();
    tasks.spawn_until_shutdown(async move {
        informer.synced().await;
        let mut changes = informer.subscribe();
        // What there was is at hand without waiting; then the kind is complete. (Unconstrained: the scheduler's budget must
        // not look like the end.)
        while let Some(Some(change)) = tokio::task::unconstrained(changes.next()).now_or_never() {
            apply(&index, &change);
        }
        index.write().kind_is_loaded();
        while let Some(change) = changes.next().await {
            apply(&index, &change);
        }
    });
}

fn namespace(index: &Index, change: &Change) {
    if let Some(object) = change.new.as_ref().or(change.old.as_ref()) {
        index.write().set_namespace(&object.key.name, change.new.is_some());
    }
}

fn service(index: &Index, change: &Change) {
    decoded::<Service>(index, change, |records, key, service| records.set_service(key, service));
}

fn slice(index: &Index, change: &Change) {
    decoded::<EndpointSlice>(index, change, |records, key, slice| records.set_slice(key, slice));
}

fn decoded<K: Kind>(
    index: &Index,
    change: &Change,
    set: impl FnOnce(&mut Records, &apimachinery::ObjectKey, Option<&K>),
) {
    let Some(object) = change.new.as_ref().or(change.old.as_ref()) else { return };
    let new = change.new.as_ref().and_then(|o| informer::decode::<K>(o));
    set(&mut index.write(), &object.key, new.as_ref());
}

/// Most changes of a pod change nothing here: they are not even decoded.
fn pod(index: &Index, change: &Change) {
    let Some(object) = change.new.as_ref().or(change.old.as_ref()) else { return };
    let seen = |o: &cache::Object| ["status.podIP", "status.phase"].map(|f| o.field(f).map(str::to_owned));
    let (old, new) = (change.old.as_deref().map(seen), change.new.as_deref().map(seen));
    // Without an address, as far as fields tell: nothing to decode.
    let without = |s: &[Option<String>; 2]| s[0].as_deref().is_some_and(str::is_empty);
    if old == new || (old.as_ref().is_none_or(without) && new.as_ref().is_none_or(without)) {
        return;
    }
    let pod = change.new.as_ref().and_then(|o| informer::decode::<Pod>(o));
    index.write().set_pod(&object.key, pod.as_ref().map(pod_addresses).unwrap_or_default());
}

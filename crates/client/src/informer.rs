//! Typed reads from a live view, decoded on demand: the view holds bytes, an informer holds nothing.

use std::marker::PhantomData;
use std::sync::Arc;

use apimachinery::ObjectKey;
use codec::Kind;
use futures::StreamExt;
use futures::stream::BoxStream;
use stdx::Tasks;

use crate::transport::{Change, Transport, View, ViewScope};

/// The objects of one kind, as this component last heard of them. Cheap to clone.
///
/// Reads may be stale (over HTTPS always a little): decide so that acting twice, or on yesterday's state, does no harm.
pub struct Informer<K> {
    view: Arc<dyn View>,
    kind: PhantomData<fn() -> K>,
}

impl<K> Clone for Informer<K> {
    fn clone(&self) -> Self {
        Informer { view: self.view.clone(), kind: PhantomData }
    }
}

impl<K: Kind> Informer<K> {
    /// Over a view of this kind's resource.
    pub fn new(view: Arc<dyn View>) -> Self {
        Informer { view, kind: PhantomData }
    }

    /// Over all objects of the kind. Returns at once; wait with [`Informer::synced`].
    pub fn all(transport: &dyn Transport) -> Self {
        Self::scoped(transport, &ViewScope::default())
    }

    /// Over the part that `scope` shows.
    pub fn scoped(transport: &dyn Transport, scope: &ViewScope) -> Self {
        Self::new(transport.reflect(&K::gvr(), scope))
    }

    pub fn view(&self) -> &Arc<dyn View> {
        &self.view
    }

    /// Completes when the view has been complete once.
    pub async fn synced(&self) {
        self.view.synced().await;
    }

    pub fn is_synced(&self) -> bool {
        self.view.is_synced()
    }

    pub fn get(&self, key: &ObjectKey) -> Option<K> {
        decode(&*self.view.get(key)?)
    }

    /// Bytes and metadata alone; cheaper than [`Informer::get`].
    pub fn object(&self, key: &ObjectKey) -> Option<Arc<cache::Object>> {
        self.view.get(key)
    }

    /// In key order. `namespace` empty: all.
    pub fn list(&self, namespace: &str) -> Vec<K> {
        decode_all(&self.view.list(namespace))
    }

    /// As [`Informer::list`], undecoded.
    pub fn objects(&self, namespace: &str) -> Vec<Arc<cache::Object>> {
        self.view.list(namespace)
    }

    /// Decodes only those whose metadata `wanted` accepts.
    pub fn list_where(&self, namespace: &str, wanted: impl Fn(&apimachinery::Meta) -> bool) -> Vec<K> {
        self.view.list(namespace).iter().filter(|o| wanted(&o.meta)).filter_map(|o| decode(o)).collect()
    }

    /// By an index of the view: a selectable field such as `spec.nodeName`, or `owner`.
    pub fn by_index(&self, index: &str, value: &str) -> Vec<K> {
        decode_all(&self.view.by_index(index, value))
    }

    /// Objects with an owner reference (controlling or not) to this uid.
    pub fn owned_by(&self, uid: &str) -> Vec<K> {
        self.by_index("owner", uid)
    }

    /// Every object as added first, then every change.
    pub fn subscribe(&self) -> BoxStream<'static, Change> {
        self.view.subscribe()
    }

    /// Calls `handler` for every object and then for every change, in a task of `tasks`. The handler only hands keys on: it
    /// must not block.
    pub fn on_change(&self, tasks: &Tasks, mut handler: impl FnMut(&Change) + Send + 'static) {
        let mut changes = self.subscribe();
        tasks.spawn_until_shutdown(async move {
            while let Some(change) = changes.next().await {
                handler(&change);
            }
        });
    }
}

/// An object's bytes as its kind. One that does not decode is logged and left out: it must not stop the others.
pub fn decode<K: Kind>(object: &cache::Object) -> Option<K> {
    match K::from_json(object.json()) {
        Ok(kind) => Some(kind),
        Err(error) => {
            tracing::error!(kind = K::KIND, key = %object.key, %error, "cannot decode an object");
            None
        }
    }
}

fn decode_all<K: Kind>(objects: &[Arc<cache::Object>]) -> Vec<K> {
    objects.iter().filter_map(|o| decode(o)).collect()
}

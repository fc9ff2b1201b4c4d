//! A copy of a resource, kept by [`super::reflect`], as a [`View`].

use std::sync::Arc;
use std::time::Duration;

use apimachinery::{Gvr, ObjectKey};
use async_trait::async_trait;
use cache::{Cache, CacheConfig, Filter};
use futures::StreamExt;
use futures::stream::BoxStream;
use stdx::clock::SharedClock;
use tokio::sync::watch;

use crate::partial;
use crate::transport::{Change, View};

/// Readers that are slower than this get differences instead of events.
const WINDOW_BYTES: usize = 1 << 20;
const WINDOW_AGE: Duration = Duration::from_secs(60);

pub(super) struct Mirror {
    pub cache: Arc<Cache>,
    /// Extracted from each object.
    pub fields: &'static [&'static str],
    synced: watch::Sender<bool>,
}

impl Mirror {
    pub(super) fn new(gvr: &Gvr, clock: SharedClock) -> Self {
        let fields = partial::indexed_fields(&gvr.resource);
        let indexes = ["owner", "uid"].into_iter().chain(fields.iter().copied()).collect();
        let config = CacheConfig {
            indexes,
            window_age: WINDOW_AGE,
            window_bytes: WINDOW_BYTES,
            ..CacheConfig::new(clock)
        };
        Mirror { cache: Arc::new(Cache::new(config)), fields, synced: watch::Sender::new(false) }
    }

    pub(super) fn set_synced(&self) {
        self.synced.send_replace(true);
    }
}

#[async_trait]
impl View for Mirror {
    async fn synced(&self) {
        // Fails only without a sender, and that is ours.
        let _ = self.synced.subscribe().wait_for(|synced| *synced).await;
    }

    fn is_synced(&self) -> bool {
        *self.synced.borrow()
    }

    fn get(&self, key: &ObjectKey) -> Option<Arc<cache::Object>> {
        self.cache.get(key)
    }

    fn list(&self, namespace: &str) -> Vec<Arc<cache::Object>> {
        let namespace = (!namespace.is_empty()).then_some(namespace);
        self.cache.snapshot().iter(namespace, None).cloned().collect()
    }

    fn by_index(&self, index: &str, value: &str) -> Vec<Arc<cache::Object>> {
        self.cache.snapshot().by_index(index, value)
    }

    fn subscribe(&self) -> BoxStream<'static, Change> {
        let subscription = self.cache.subscribe(Filter::all());
        futures::stream::unfold(subscription, |mut subscription| async move {
            let change = subscription.next().await;
            Some((Change { old: change.old, new: change.new }, subscription))
        })
        .boxed()
    }
}

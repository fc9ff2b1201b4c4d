//! All collections over one engine: one task follows the engine's events and publishes them.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use apimachinery::{ObjectKey, Revision};
use cache::{Cache, CacheConfig, Progress, Update};
use futures::StreamExt;
use stdx::Tasks;
use stdx::clock::SharedClock;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::collection::{Collection, CollectionSpec, Parse};
use crate::engine::{Engine, EventBatch, EventStream, Key, KeyChange, KeyEvent, ListRequest, ReadError};
use crate::expire;
use crate::retention::Retention;

/// How many collections may wait for being loaded.
const OPENING_MAX: usize = 256;

/// What all collections have in common.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    pub clock: SharedClock,
    /// History older than this is forgotten.
    pub window_age: Duration,
    /// History in memory of each collection, roughly, in bytes.
    pub window_bytes: usize,
    /// History in the engine of all collections, in bytes.
    pub log_bytes: usize,
    /// Have the engine forget what is older or more. False for an engine that several stores share: it does so itself.
    pub compact: bool,
}

impl StoreConfig {
    /// Ten minutes, 16 MiB for each collection, 64 MiB in the engine.
    pub fn new(clock: SharedClock) -> Self {
        StoreConfig {
            clock,
            window_age: Duration::from_secs(600),
            window_bytes: 16 << 20,
            log_bytes: 64 << 20,
            compact: true,
        }
    }
}

/// Why a collection cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A stored value cannot be read.
    #[error("{key}: {why}")]
    Corrupt { key: Key, why: String },
    #[error("the store is closing")]
    Closing,
    #[error("a collection with prefix {0} is open already")]
    Twice(String),
}

/// All collections over one engine.
pub struct Store {
    engine: Arc<dyn Engine>,
    opening: mpsc::Sender<Opening>,
}

struct Opening {
    spec: CollectionSpec,
    reply: oneshot::Sender<Result<Arc<Collection>, OpenError>>,
}

impl Store {
    /// Follows `engine` from now on, in a task of `tasks`. Only one store may use an engine.
    pub async fn open(
        engine: Arc<dyn Engine>,
        config: StoreConfig,
        tasks: &Tasks,
    ) -> Result<Arc<Store>, ReadError> {
        let position = engine.delivered().await?;
        let events = engine.watch("", position).await?;
        let progress = Arc::new(Progress::default());
        progress.advance(position);
        let (opening, openings) = mpsc::channel(OPENING_MAX);
        let publisher = Publisher {
            engine: engine.clone(),
            retention: Retention::new(&config, position),
            config,
            progress,
            position,
            routes: BTreeMap::new(),
            closed: CancellationToken::new(),
            tasks: tasks.clone(),
        };
        tasks.spawn(publisher.run(events, openings));
        Ok(Arc::new(Store { engine, opening }))
    }

    /// Loads a collection with its history. It is complete when this returns.
    pub async fn collection(&self, spec: CollectionSpec) -> Result<Arc<Collection>, OpenError> {
        let (reply, loaded) = oneshot::channel();
        self.opening.send(Opening { spec, reply }).await.map_err(|_| OpenError::Closing)?;
        loaded.await.map_err(|_| OpenError::Closing)?
    }

    pub fn engine(&self) -> &Arc<dyn Engine> {
        &self.engine
    }
}

/// The task that makes the engine's events those of the caches.
struct Publisher {
    engine: Arc<dyn Engine>,
    config: StoreConfig,
    /// Of all caches: `position` as the world sees it.
    progress: Arc<Progress>,
    /// All events up to here have been published.
    position: Revision,
    /// By prefix.
    routes: BTreeMap<String, Arc<Collection>>,
    retention: Retention,
    closed: CancellationToken,
    tasks: Tasks,
}

impl Publisher {
    async fn run(mut self, mut events: EventStream, mut openings: mpsc::Receiver<Opening>) {
        let shutdown = self.tasks.shutdown();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                batch = events.next() => match batch {
                    Some(Ok(batch)) => self.publish(batch),
                    // Other engines forget only what this task has seen.
                    Some(Err(ReadError::Compacted { .. })) => events = self.list_anew().await,
                    Some(Err(error)) => {
                        tracing::error!(%error, "cannot follow the store; nothing is published any more");
                        break;
                    }
                    None => break,
                },
                Some(opening) = openings.recv() => {
                    let collection = self.open(opening.spec).await;
                    // Who asked may have gone.
                    let _ = opening.reply.send(collection);
                }
            }
        }
        self.closed.cancel();
    }

    fn publish(&mut self, batch: EventBatch) {
        let bytes = batch.events.iter().map(|e| e.key.len() + value_len(e)).sum();
        for (collection, events) in by_route(&self.routes, batch.events) {
            collection
                .cache
                .apply(events.into_iter().filter_map(|event| update(&collection.spec, event).ok()));
        }
        self.position = batch.revision;
        self.progress.advance(batch.revision);
        if self.config.compact
            && let Some(revision) =
                self.retention.advance(self.config.clock.monotonic(), batch.revision, bytes)
        {
            self.forget(revision);
        }
    }

    /// Has the engine forget history, beside the publishing.
    fn forget(&self, revision: Revision) {
        self.routes.values().for_each(|c| c.cache.trim());
        let engine = self.engine.clone();
        self.tasks.spawn_until_shutdown(async move {
            if let Err(error) = engine.compact(revision).await {
                tracing::warn!(%error, %revision, "cannot compact the store; will be tried again");
            }
        });
    }

    /// Makes the caches what the engine has now, after it has forgotten what would have come next: watchers see the
    /// differences, and who asks for something from before is told that it is gone. Tried until it works.
    async fn list_anew(&mut self) -> EventStream {
        loop {
            match self.try_list_anew().await {
                Ok(events) => return events,
                Err(error) => {
                    tracing::warn!(%error, "cannot list the store anew; will be tried again");
                    self.config.clock.sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    async fn try_list_anew(&mut self) -> Result<EventStream, ReadError> {
        let at = self.engine.current_revision().await?;
        let mut listed = Vec::new();
        for collection in self.routes.values() {
            let prefix = collection.spec.prefix.clone();
            let page =
                self.engine.list(ListRequest { prefix, at: Some(at), ..ListRequest::default() }).await?;
            let objects = page.items.into_iter().filter_map(|kv| {
                let key = object_key(&collection.spec.prefix, &kv.key);
                let parsed = (collection.spec.parse)(&key, kv.revision, &kv.value);
                parsed
                    .inspect_err(
                        |error| tracing::error!(key = %kv.key, %error, "stored value cannot be read"),
                    )
                    .ok()
            });
            listed.push((collection.cache.clone(), objects.collect::<Vec<_>>()));
        }
        let events = self.engine.watch("", at).await?;
        // All before the position moves, which is the same for all.
        for (cache, objects) in listed {
            cache.reset(objects, at);
        }
        self.position = at;
        self.progress.advance(at);
        Ok(events)
    }

    async fn open(&mut self, spec: CollectionSpec) -> Result<Arc<Collection>, OpenError> {
        if self.routes.contains_key(&spec.prefix) {
            return Err(OpenError::Twice(spec.prefix));
        }
        let cache = loop {
            match self.load(&spec).await {
                // A compaction came between.
                Err(OpenError::Read(ReadError::Compacted { .. })) => {}
                loaded => break Arc::new(loaded?),
            }
        };
        let prefix = spec.prefix.clone();
        let collection = Arc::new(Collection {
            spec,
            cache,
            engine: self.engine.clone(),
            closed: self.closed.clone(),
            clock: self.config.clock.clone(),
            stalled: AtomicU64::new(0),
        });
        self.routes.insert(prefix, collection.clone());
        if let Some(ttl) = collection.spec.ttl.filter(|_| !self.engine.expires()) {
            let clock = self.config.clock.clone();
            self.tasks.spawn_until_shutdown(expire::run(collection.clone(), ttl, clock));
        }
        Ok(collection)
    }

    /// The state at the engine's oldest revision, then all changes up to the position of this task.
    async fn load(&self, spec: &CollectionSpec) -> Result<Cache, OpenError> {
        let cache = Cache::new(CacheConfig {
            indexes: spec.indexes.clone(),
            window_age: self.config.window_age,
            window_bytes: self.config.window_bytes,
            clock: self.config.clock.clone(),
            progress: self.progress.clone(),
            lost: self.engine.lost_revisions(),
        });
        let oldest = self.engine.history_start();
        let request = ListRequest { prefix: spec.prefix.clone(), at: Some(oldest), ..ListRequest::default() };
        let listed = self.engine.list(request).await?.items.into_iter().map(|kv| {
            let key = object_key(&spec.prefix, &kv.key);
            (spec.parse)(&key, kv.revision, &kv.value)
                .map_err(|e| OpenError::Corrupt { key: kv.key, why: e.to_string() })
        });
        cache.replace(listed.collect::<Result<_, _>>()?, oldest);

        let mut reached = oldest;
        let mut events = self.engine.watch(&spec.prefix, oldest).await?;
        while reached < self.position {
            let batch = events.next().await.ok_or(OpenError::Closing)??;
            reached = batch.revision;
            let known = batch.events.into_iter().filter(|e| e.revision <= self.position);
            let updates: Vec<_> = known.map(|event| update(spec, event)).collect::<Result<_, _>>()?;
            cache.apply(updates);
        }
        Ok(cache)
    }
}

/// Events by the collection they belong to, in order. Those of prefixes that nobody opened are dropped: they are read
/// when somebody does.
fn by_route(
    routes: &BTreeMap<String, Arc<Collection>>,
    events: Vec<KeyEvent>,
) -> Vec<(Arc<Collection>, Vec<KeyEvent>)> {
    let mut groups: Vec<(Arc<Collection>, Vec<KeyEvent>)> = Vec::new();
    for event in events {
        let before = routes.range::<str, _>((Bound::Unbounded, Bound::Included(&*event.key))).next_back();
        let Some((_, collection)) = before.filter(|(prefix, _)| event.key.starts_with(prefix.as_str()))
        else {
            continue;
        };
        match groups.iter_mut().find(|(c, _)| Arc::ptr_eq(c, collection)) {
            Some((_, group)) => group.push(event),
            None => groups.push((collection.clone(), vec![event])),
        }
    }
    groups
}

/// The cache's form of an event.
fn update(spec: &CollectionSpec, event: KeyEvent) -> Result<Update, OpenError> {
    let KeyEvent { key: path, revision, change } = event;
    let key = object_key(&spec.prefix, &path);
    let parse = |parse: &Parse, value: &[u8]| {
        parse(&key, revision, value).map_err(|e| {
            // The writer is told, too: nothing is published at this revision.
            tracing::error!(key = %path, %revision, error = %e, "stored value cannot be read");
            OpenError::Corrupt { key: path.clone(), why: e.to_string() }
        })
    };
    Ok(match change {
        KeyChange::Put(value) => Update::Put(parse(&spec.parse, &value)?),
        KeyChange::Deleted(last) => {
            let last = last.map(|value| parse(&spec.parse, &value)).transpose()?;
            Update::Delete { key: key.clone(), revision, last }
        }
    })
}

/// The inverse of [`Collection::path`].
pub(crate) fn object_key(prefix: &str, path: &str) -> ObjectKey {
    let rest = path.strip_prefix(prefix).unwrap_or(path);
    match rest.split_once('/') {
        Some((namespace, name)) => ObjectKey::new(namespace, name),
        None => ObjectKey::cluster(rest),
    }
}

fn value_len(event: &KeyEvent) -> usize {
    match &event.change {
        KeyChange::Put(value) | KeyChange::Deleted(Some(value)) => value.len(),
        KeyChange::Deleted(None) => 0,
    }
}

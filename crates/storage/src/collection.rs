//! The objects of one resource: reads from the cache, writes through the engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use apimachinery::{ObjectKey, Revision};
use bytes::Bytes;
use cache::{Cache, Object, Snapshot};
use stdx::clock::SharedClock;
use tokio_util::sync::CancellationToken;

use crate::engine::{
    CommitError, Durability, Engine, Freshness, Guard, Key, ListRequest, Op, ReadError, Txn,
};

/// How long what only the cache can answer waits for it.
const FRESH_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a write waits to be published before it returns unpublished, where streams may stall.
const PUBLISHED_TIMEOUT: Duration = Duration::from_secs(1);

/// Between two questions how far the engine is, and before the first.
const NUDGE: Duration = Duration::from_millis(100);
const NUDGE_FIRST: Duration = Duration::from_millis(20);

/// Makes the published object of a stored value. The value carries no resourceVersion; the object's JSON does.
pub type Parse = Arc<dyn Fn(&ObjectKey, Revision, &[u8]) -> Result<Object, ParseError> + Send + Sync>;

/// A stored value is not what it should be. The text says why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(pub String);

/// What a collection is like.
#[derive(Clone)]
pub struct CollectionSpec {
    /// Upstream's layout, with the last slash: `/registry/pods/`.
    pub prefix: String,
    pub parse: Parse,
    /// See [`cache::CacheConfig::indexes`].
    pub indexes: Vec<&'static str>,
    /// Of writes that do not say otherwise.
    pub durability: Durability,
    /// How long an object lives after its last write.
    pub ttl: Option<Duration>,
}

/// What a write asks for besides its own change. The default: nothing.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// Must hold in the same transaction, e.g. that the namespace is still what it was.
    pub guards: Vec<Guard>,
    /// None: as the collection does.
    pub durability: Option<Durability>,
}

/// Why a write did not happen. Nothing has changed then, except after `Lost`.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError {
    #[error("exists already")]
    Exists,
    /// The object is at another revision than expected; none when it is gone.
    #[error("is at another revision")]
    Conflict { current: Option<Arc<Object>> },
    /// One of [`Terms::guards`].
    #[error("{key} is not as expected")]
    GuardFailed { key: Key },
    #[error("value of {len} bytes is larger than {limit}")]
    TooLarge { len: usize, limit: usize },
    /// May work later.
    #[error("{0}")]
    Unavailable(String),
    /// Written, but it cannot be read back or the store is closing: what became of it is not known here.
    #[error("written, but not published: {0}")]
    Lost(String),
    /// The engine did not answer in time: it may have happened.
    #[error("{0}")]
    Unknown(String),
}

/// The objects of one resource.
pub struct Collection {
    pub(crate) spec: CollectionSpec,
    pub(crate) cache: Arc<Cache>,
    pub(crate) engine: Arc<dyn Engine>,
    /// Fires when nothing is published any more.
    pub(crate) closed: CancellationToken,
    pub(crate) clock: SharedClock,
    /// Where the cache was when it was last waited for in vain: as long as it is there, nobody waits again.
    pub(crate) stalled: AtomicU64,
}

/// How waiting for the cache ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    There,
    Late,
    Closing,
}

impl Collection {
    /// What is read from. It follows the engine; see [`Collection::fresh`].
    pub fn cache(&self) -> &Arc<Cache> {
        &self.cache
    }

    /// Waits until the cache shows everything that was committed before the call. For what only the cache can answer;
    /// [`Collection::snapshot`] and [`Collection::latest`] need not wait for it.
    pub async fn fresh(&self) -> Result<(), ReadError> {
        let revision = self.engine.current_revision().await?;
        if self.cache.revision() >= revision {
            return Ok(());
        }
        match self.reach(revision, FRESH_TIMEOUT).await {
            Reach::There => Ok(()),
            Reach::Late => Err(ReadError::Unavailable("what is written is not seen yet".into())),
            Reach::Closing => Err(closing()),
        }
    }

    /// Waits until the cache shows `revision`, for as long as the caller likes.
    pub async fn wait_for(&self, revision: Revision) {
        self.reach(revision, Duration::MAX).await;
    }

    /// All objects, with everything that was committed before the call.
    pub async fn snapshot(&self) -> Result<Snapshot, ReadError> {
        let Freshness::Remote { patience } = self.engine.freshness() else {
            self.fresh().await?;
            return Ok(self.cache.snapshot());
        };
        let revision = self.engine.current_revision().await?;
        match self.reach_if_moving(revision, patience).await {
            Reach::There => Ok(self.cache.snapshot()),
            Reach::Late => self.snapshot_of_engine().await,
            Reach::Closing => Err(closing()),
        }
    }

    /// An object, with everything that was committed before the call.
    pub async fn latest(&self, key: &ObjectKey) -> Result<Option<Arc<Object>>, ReadError> {
        if self.engine.freshness() == Freshness::Prompt {
            self.fresh().await?;
            return Ok(self.cache.get(key));
        }
        let path = self.path(key);
        let Some(stored) = self.engine.get(&path).await? else { return Ok(None) };
        match self.cache.get(key).filter(|o| o.revision == stored.revision) {
            Some(same) => Ok(Some(same)),
            None => self.parse(key, &path, stored.revision, &stored.value).map(|o| Some(Arc::new(o))),
        }
    }

    /// What the engine has, read without the cache.
    async fn snapshot_of_engine(&self) -> Result<Snapshot, ReadError> {
        let request = ListRequest { prefix: self.spec.prefix.clone(), ..ListRequest::default() };
        let page = self.engine.list(request).await?;
        let now = self.cache.snapshot();
        let objects = page.items.into_iter().map(|kv| {
            let key = crate::store::object_key(&self.spec.prefix, &kv.key);
            match now.get(&key).filter(|o| o.revision == kv.revision) {
                Some(same) => Ok(same.clone()),
                None => self.parse(&key, &kv.key, kv.revision, &kv.value).map(Arc::new),
            }
        });
        Ok(Snapshot::of(objects.collect::<Result<_, _>>()?, page.revision))
    }

    fn parse(&self, key: &ObjectKey, path: &Key, at: Revision, value: &[u8]) -> Result<Object, ReadError> {
        (self.spec.parse)(key, at, value)
            .map_err(|e| ReadError::Corrupt { key: path.clone(), why: e.to_string() })
    }

    /// Where the object is stored.
    pub fn path(&self, key: &ObjectKey) -> Key {
        match &*key.namespace {
            "" => format!("{}{}", self.spec.prefix, key.name).into(),
            namespace => format!("{}{namespace}/{}", self.spec.prefix, key.name).into(),
        }
    }

    /// For [`Terms::guards`] of other collections: the object exists.
    pub fn exists(&self, key: &ObjectKey) -> Guard {
        Guard::Exists(self.path(key))
    }

    /// For [`Terms::guards`] of other collections: the object is still what it was at `revision`.
    pub fn unchanged(&self, key: &ObjectKey, revision: Revision) -> Guard {
        Guard::Unchanged(self.path(key), revision)
    }

    /// Stores a new object. Returns it as published; reads that follow see it.
    pub async fn create(
        &self,
        key: &ObjectKey,
        value: Bytes,
        terms: Terms,
    ) -> Result<Arc<Object>, WriteError> {
        let path = self.path(key);
        let op = Op::Put { key: path.clone(), value };
        match self.commit(key, Guard::Absent(path), op, terms).await {
            Err(WriteError::Conflict { .. }) => Err(WriteError::Exists),
            other => other,
        }
    }

    /// Replaces the object that is at `expected`.
    pub async fn update(
        &self,
        key: &ObjectKey,
        value: Bytes,
        expected: Revision,
        terms: Terms,
    ) -> Result<Arc<Object>, WriteError> {
        let path = self.path(key);
        let op = Op::Put { key: path.clone(), value };
        self.commit(key, Guard::Unchanged(path, expected), op, terms).await
    }

    /// Deletes the object that is at `expected`. Returns its last state at the deletion's revision: the stored one, or
    /// `final_value` when watchers should see that instead and the engine can keep it.
    pub async fn delete(
        &self,
        key: &ObjectKey,
        expected: Revision,
        final_value: Option<Bytes>,
        terms: Terms,
    ) -> Result<Arc<Object>, WriteError> {
        let path = self.path(key);
        let op = Op::Delete { key: path.clone(), last: final_value.filter(|_| self.engine.keeps_last()) };
        self.commit(key, Guard::Unchanged(path, expected), op, terms).await
    }

    async fn commit(
        &self,
        key: &ObjectKey,
        own: Guard,
        op: Op,
        terms: Terms,
    ) -> Result<Arc<Object>, WriteError> {
        let durability = terms.durability.unwrap_or(self.spec.durability);
        let others: Vec<Key> = terms.guards.iter().map(|g| g.key().clone()).collect();
        let guards = std::iter::once(own).chain(terms.guards).collect();
        let before = self.cache.get(key);
        let ttl = self.spec.ttl;
        match self.engine.commit(Txn { guards, ops: vec![op.clone()], durability, ttl }).await {
            Ok(revision) => self.published(revision, || self.outcome(key, revision, op, before)).await,
            Err(CommitError::GuardFailed { guard: 0, revision }) => {
                let current = match self.engine.freshness() {
                    Freshness::Prompt => {
                        self.reach(revision, Duration::MAX).await;
                        self.cache.get(key)
                    }
                    Freshness::Remote { .. } => {
                        self.latest(key).await.map_err(|e| WriteError::Unavailable(e.to_string()))?
                    }
                };
                Err(WriteError::Conflict { current })
            }
            Err(CommitError::GuardFailed { guard, .. }) => {
                Err(WriteError::GuardFailed { key: others[guard - 1].clone() })
            }
            Err(CommitError::TooLarge { len, limit }) => Err(WriteError::TooLarge { len, limit }),
            Err(CommitError::Unavailable(why)) => Err(WriteError::Unavailable(why)),
            Err(CommitError::Unknown(why)) => Err(WriteError::Unknown(why)),
        }
    }

    /// The object that the change at `revision` published; `otherwise` makes it when it has left the window already.
    async fn published(
        &self,
        revision: Revision,
        otherwise: impl FnOnce() -> Result<Object, ParseError>,
    ) -> Result<Arc<Object>, WriteError> {
        let reached = match self.engine.freshness() {
            Freshness::Prompt => self.reach(revision, Duration::MAX).await,
            Freshness::Remote { .. } => self.reach_if_moving(revision, PUBLISHED_TIMEOUT).await,
        };
        if reached == Reach::Closing {
            return Err(WriteError::Lost("the store is closing".into()));
        }
        match self.cache.event(revision) {
            Some(event) => Ok(event.object.clone()),
            None => otherwise().map(Arc::new).map_err(|e| WriteError::Lost(e.to_string())),
        }
    }

    /// The object that a committed `op` leaves. `before` is what it was as far as is known.
    fn outcome(
        &self,
        key: &ObjectKey,
        revision: Revision,
        op: Op,
        before: Option<Arc<Object>>,
    ) -> Result<Object, ParseError> {
        match (op, before) {
            (Op::Put { value, .. } | Op::Delete { last: Some(value), .. }, _) => {
                (self.spec.parse)(key, revision, &value)
            }
            (Op::Delete { last: None, .. }, Some(before)) => Ok(before.at_revision(revision)),
            (Op::Delete { last: None, .. }, None) => Err(ParseError("what was deleted is not known".into())),
        }
    }

    /// As [`Collection::reach`], but not if the cache has not moved since somebody waited in vain.
    async fn reach_if_moving(&self, revision: Revision, limit: Duration) -> Reach {
        let now = self.cache.revision();
        if now < revision && self.stalled.load(Ordering::Relaxed) == now.0 {
            return Reach::Late;
        }
        let reached = self.reach(revision, limit).await;
        if reached == Reach::Late {
            self.stalled.store(self.cache.revision().0, Ordering::Relaxed);
        }
        reached
    }

    /// Waits until everything up to `revision` is published, no longer than `limit`. An engine whose streams may stall is
    /// asked how far it is meanwhile.
    async fn reach(&self, revision: Revision, limit: Duration) -> Reach {
        let there = self.cache.wait_for(revision);
        let late = async {
            if self.engine.freshness() == Freshness::Prompt {
                return std::future::pending().await;
            }
            let until = self.clock.monotonic().saturating_add(limit);
            let mut pause = NUDGE_FIRST;
            loop {
                let left = until.saturating_sub(self.clock.monotonic());
                if left.is_zero() {
                    return;
                }
                self.clock.sleep(pause.min(left)).await;
                if limit > pause {
                    self.engine.nudge().await;
                }
                pause = NUDGE;
            }
        };
        tokio::select! {
            biased;
            () = there => Reach::There,
            () = self.closed.cancelled() => Reach::Closing,
            () = late => Reach::Late,
        }
    }
}

fn closing() -> ReadError {
    ReadError::Unavailable("the store is closing".into())
}

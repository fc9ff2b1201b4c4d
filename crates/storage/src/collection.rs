//! The objects of one resource: reads from the cache, writes through the engine.

use std::sync::Arc;

use apimachinery::{ObjectKey, Revision};
use bytes::Bytes;
use cache::{Cache, Object};
use tokio_util::sync::CancellationToken;

use crate::engine::{CommitError, Durability, Engine, Guard, Key, Op, ReadError, Txn};

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
}

/// The objects of one resource.
pub struct Collection {
    pub(crate) spec: CollectionSpec,
    pub(crate) cache: Arc<Cache>,
    pub(crate) engine: Arc<dyn Engine>,
    /// Fires when nothing is published any more.
    pub(crate) closed: CancellationToken,
}

impl Collection {
    /// What is read from. It follows the engine; see [`Collection::fresh`].
    pub fn cache(&self) -> &Arc<Cache> {
        &self.cache
    }

    /// Waits until the cache shows everything that was committed before the call: for consistent reads.
    pub async fn fresh(&self) -> Result<(), ReadError> {
        let revision = self.engine.current_revision().await?;
        match self.reached(revision).await {
            true => Ok(()),
            false => Err(ReadError::Unavailable("the store is closing".into())),
        }
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
    /// `final_value` when watchers should see that instead.
    pub async fn delete(
        &self,
        key: &ObjectKey,
        expected: Revision,
        final_value: Option<Bytes>,
        terms: Terms,
    ) -> Result<Arc<Object>, WriteError> {
        let path = self.path(key);
        let op = Op::Delete { key: path.clone(), last: final_value };
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
        match self.engine.commit(Txn { guards, ops: vec![op.clone()], durability }).await {
            Ok(revision) => self.published(revision, || self.outcome(key, revision, op, before)).await,
            Err(CommitError::GuardFailed { guard: 0, revision }) => {
                self.reached(revision).await;
                Err(WriteError::Conflict { current: self.cache.get(key) })
            }
            Err(CommitError::GuardFailed { guard, .. }) => {
                Err(WriteError::GuardFailed { key: others[guard - 1].clone() })
            }
            Err(CommitError::TooLarge { len, limit }) => Err(WriteError::TooLarge { len, limit }),
            Err(CommitError::Unavailable(why)) => Err(WriteError::Unavailable(why)),
        }
    }

    /// The object that the change at `revision` published; `otherwise` makes it when it has left the window already.
    async fn published(
        &self,
        revision: Revision,
        otherwise: impl FnOnce() -> Result<Object, ParseError>,
    ) -> Result<Arc<Object>, WriteError> {
        if !self.reached(revision).await {
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

    /// Waits until everything up to `revision` is published; false when that will not happen.
    async fn reached(&self, revision: Revision) -> bool {
        tokio::select! {
            biased;
            () = self.cache.wait_for(revision) => true,
            () = self.closed.cancelled() => false,
        }
    }
}

//! The one interface to what keeps keys and values: revisions, guards and compaction mean what etcd's mean.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use apimachinery::Revision;
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

/// A key in the store, such as `/registry/pods/default/web`.
pub type Key = Arc<str>;

/// Longest value that is taken, in bytes: etcd's own default.
pub const MAX_VALUE: usize = 1_572_864;

/// Most operations in one transaction: etcd's own default.
pub const MAX_OPS: usize = 128;

/// A live key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    pub key: Key,
    pub value: Bytes,
    /// Of its last change.
    pub revision: Revision,
}

/// What must hold for a transaction to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guard {
    Absent(Key),
    Exists(Key),
    /// Exists and was last changed at this revision.
    Unchanged(Key, Revision),
}

impl Guard {
    pub fn key(&self) -> &Key {
        match self {
            Guard::Absent(key) | Guard::Exists(key) | Guard::Unchanged(key, _) => key,
        }
    }

    /// Whether it holds for a key last changed at `revision`, or absent.
    pub fn holds(&self, revision: Option<Revision>) -> bool {
        match self {
            Guard::Absent(_) => revision.is_none(),
            Guard::Exists(_) => revision.is_some(),
            Guard::Unchanged(_, expected) => revision == Some(*expected),
        }
    }
}

/// One change in a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    Put {
        key: Key,
        value: Bytes,
    },
    /// Nothing happens when the key is absent. `last` is what watchers are told as the final value instead of the
    /// stored one, where the engine can keep it ([`Engine::keeps_last`]).
    Delete {
        key: Key,
        last: Option<Bytes>,
    },
}

impl Op {
    pub fn key(&self) -> &Key {
        match self {
            Op::Put { key, .. } | Op::Delete { key, .. } => key,
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Op::Put { value, .. } => value.len(),
            Op::Delete { last, .. } => last.as_ref().map_or(0, Bytes::len),
        }
    }
}

/// When a write may be acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When it is on disk.
    #[default]
    Durable,
    /// When it is written: a power cut may take it back, in order of revisions, and never a durable one with it.
    Relaxed,
}

/// All of `ops` at one revision if all `guards` hold, else nothing.
#[derive(Clone, Debug, Default)]
pub struct Txn {
    pub guards: Vec<Guard>,
    /// At most [`MAX_OPS`], each key once.
    pub ops: Vec<Op>,
    pub durability: Durability,
    /// How long what is put lives, where the engine lets values expire ([`Engine::expires`]).
    pub ttl: Option<Duration>,
}

/// Why a transaction did not happen. Nothing has changed then, except perhaps after `Unknown`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The first guard that does not hold, by its place in [`Txn::guards`], as of `revision`.
    #[error("guard {guard} does not hold")]
    GuardFailed { guard: usize, revision: Revision },
    #[error("value of {len} bytes is larger than {limit}")]
    TooLarge { len: usize, limit: usize },
    /// May work later, e.g. when there is space on the disk again.
    #[error("{0}")]
    Unavailable(String),
    /// The engine did not answer in time: it may have happened, or may still happen.
    #[error("{0}")]
    Unknown(String),
}

/// Why a read gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("revision {requested} has been compacted; the oldest is {oldest}")]
    Compacted { requested: Revision, oldest: Revision },
    #[error("{0}")]
    Unavailable(String),
    /// A stored value is not what it should be.
    #[error("{key}: {why}")]
    Corrupt { key: Key, why: String },
}

/// Which keys to list.
#[derive(Clone, Debug, Default)]
pub struct ListRequest {
    pub prefix: String,
    /// Begin behind this key.
    pub after: Option<Key>,
    /// 0: all.
    pub limit: usize,
    /// None: now.
    pub at: Option<Revision>,
}

/// Keys in byte order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPage {
    pub items: Vec<KeyValue>,
    /// There are more behind the last one.
    pub more: bool,
    /// The revision that this shows.
    pub revision: Revision,
}

/// What happened to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyChange {
    Put(Bytes),
    /// The final value when the deletion brought one.
    Deleted(Option<Bytes>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEvent {
    pub key: Key,
    pub revision: Revision,
    pub change: KeyChange,
}

/// Events in order; none when only the revision has moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventBatch {
    pub events: Vec<KeyEvent>,
    /// Every event up to here has now been delivered.
    pub revision: Revision,
}

/// How a collection makes sure that a read is not stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Streams deliver every commit at once: a read waits for the cache.
    Prompt,
    /// Streams may stall: a read waits so long for the cache, then asks the engine itself.
    Remote { patience: Duration },
}

/// Ends when the engine is closed, or after an error.
pub type EventStream = BoxStream<'static, Result<EventBatch, ReadError>>;

/// What keeps keys and values.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// The key as it is now.
    async fn get(&self, key: &str) -> Result<Option<KeyValue>, ReadError>;

    async fn list(&self, request: ListRequest) -> Result<ListPage, ReadError>;

    /// Returns the revision of the change, when it may be acknowledged; for a transaction that changes nothing the
    /// current one.
    async fn commit(&self, txn: Txn) -> Result<Revision, CommitError>;

    /// Every event of keys with `prefix` after a revision, each once, in order, however slowly the stream is read.
    async fn watch(&self, prefix: &str, after: Revision) -> Result<EventStream, ReadError>;

    /// Forgets what was before `revision`: lists at and watches from revisions before it are refused then.
    async fn compact(&self, revision: Revision) -> Result<(), ReadError>;

    /// Of the last committed change.
    async fn current_revision(&self) -> Result<Revision, ReadError>;

    /// The first revision that can be listed at and watched from.
    fn oldest_revision(&self) -> Revision;

    /// Where a collection that is loaded begins its history: older history can be read, but costs too much.
    fn history_start(&self) -> Revision {
        self.oldest_revision()
    }

    /// A revision that streams come to by themselves, however quiet it is.
    async fn delivered(&self) -> Result<Revision, ReadError> {
        self.current_revision().await
    }

    fn freshness(&self) -> Freshness {
        Freshness::Prompt
    }

    /// Asks the engine to let its streams know how far they are. Only for engines whose streams may stall.
    async fn nudge(&self) {}

    /// Whether watchers are told [`Op::Delete`]'s `last`.
    fn keeps_last(&self) -> bool {
        true
    }

    /// Whether [`Txn::ttl`] is kept to.
    fn expires(&self) -> bool {
        false
    }

    /// Revisions that were acknowledged as relaxed writes and lost in a crash.
    fn lost_revisions(&self) -> Vec<RangeInclusive<u64>> {
        Vec::new()
    }

    /// Finishes what was begun and lets go of files. Later calls fail with `Unavailable`.
    async fn close(&self) {}
}

/// What every engine refuses.
pub(crate) fn check_size(txn: &Txn) -> Result<(), CommitError> {
    match txn.ops.iter().map(Op::len).find(|len| *len > MAX_VALUE) {
        Some(len) => Err(CommitError::TooLarge { len, limit: MAX_VALUE }),
        None if txn.ops.len() > MAX_OPS => Err(CommitError::TooLarge { len: txn.ops.len(), limit: MAX_OPS }),
        None => Ok(()),
    }
}

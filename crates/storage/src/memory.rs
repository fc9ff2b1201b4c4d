//! The engine for tests and simulation: everything in memory, gone with the process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use apimachinery::Revision;
use async_trait::async_trait;
use bytes::Bytes;

use crate::engine::{
    CommitError, Engine, EventBatch, EventStream, KeyChange, KeyEvent, KeyValue, ListPage, ListRequest, Op,
    ReadError, Txn, check_size,
};
use crate::feed::{Feed, History};
use crate::mvcc::{Mvcc, Version};

/// Keys and values in memory.
pub struct MemoryEngine {
    shared: Arc<Shared>,
}

struct Shared {
    /// Of a deletion: its final value.
    versions: Mutex<Mvcc<Option<Bytes>>>,
    feed: Arc<Feed>,
}

impl Default for MemoryEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryEngine {
    /// Empty, at revision 1 as a new etcd.
    pub fn new() -> Self {
        let start = Revision(1);
        let versions = Mutex::new(Mvcc::new(start, start));
        MemoryEngine { shared: Arc::new(Shared { versions, feed: Feed::new(start) }) }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Mvcc<Option<Bytes>>> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Engine for MemoryEngine {
    async fn get(&self, key: &str) -> Result<Option<KeyValue>, ReadError> {
        let versions = self.shared.lock();
        let found = versions.get(key);
        Ok(found.map(|v| KeyValue {
            key: key.into(),
            value: v.value.clone().unwrap_or_default(),
            revision: v.revision,
        }))
    }

    async fn list(&self, request: ListRequest) -> Result<ListPage, ReadError> {
        let (found, more, revision) = self.shared.lock().list(&request)?;
        let item = |(key, v): (_, Version<Option<Bytes>>)| KeyValue {
            key,
            value: v.value.unwrap_or_default(),
            revision: v.revision,
        };
        Ok(ListPage { items: found.into_iter().map(item).collect(), more, revision })
    }

    async fn commit(&self, txn: Txn) -> Result<Revision, CommitError> {
        check_size(&txn)?;
        let mut versions = self.shared.lock();
        let at = |key: &str| versions.get(key).map(|v| v.revision);
        if let Some(guard) = txn.guards.iter().position(|g| !g.holds(at(g.key()))) {
            return Err(CommitError::GuardFailed { guard, revision: versions.current });
        }
        let mut ops = txn.ops;
        ops.retain(|op| matches!(op, Op::Put { .. }) || versions.get(op.key()).is_some());
        if ops.is_empty() {
            return Ok(versions.current);
        }
        let revision = Revision(versions.current.0 + 1);
        let mut events = Vec::with_capacity(ops.len());
        for op in ops {
            let (key, live, value, change) = match op {
                Op::Put { key, value } => (key, true, Some(value.clone()), KeyChange::Put(value)),
                Op::Delete { key, last } => (key, false, last.clone(), KeyChange::Deleted(last)),
            };
            versions.push(&key, Version { revision, live, value });
            events.push(KeyEvent { key, revision, change });
        }
        // Under the lock, so that events come in order.
        self.shared.feed.publish(events, revision);
        Ok(revision)
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<EventStream, ReadError> {
        self.shared.lock().check(after)?;
        Ok(self.shared.feed.stream(self.shared.clone(), prefix, after))
    }

    async fn compact(&self, revision: Revision) -> Result<(), ReadError> {
        self.shared.lock().compact(revision);
        Ok(())
    }

    async fn current_revision(&self) -> Result<Revision, ReadError> {
        Ok(self.shared.lock().current)
    }

    fn oldest_revision(&self) -> Revision {
        self.shared.lock().compacted
    }

    async fn close(&self) {
        self.shared.feed.close();
    }
}

#[async_trait]
impl History for Shared {
    async fn read(
        self: Arc<Self>,
        prefix: String,
        after: Revision,
        until: Revision,
    ) -> Result<EventBatch, ReadError> {
        let changes = self.lock().changes(&prefix, after, until)?;
        let event = |(key, v): (_, Version<Option<Bytes>>)| KeyEvent {
            key,
            revision: v.revision,
            change: match v.live {
                true => KeyChange::Put(v.value.unwrap_or_default()),
                false => KeyChange::Deleted(v.value),
            },
        };
        Ok(EventBatch { events: changes.into_iter().map(event).collect(), revision: until })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn passes_the_suite() {
        crate::testsuite::run(async || Arc::new(MemoryEngine::new()) as Arc<dyn Engine>).await;
    }
}

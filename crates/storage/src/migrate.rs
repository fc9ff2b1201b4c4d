//! Everything from one engine into another that is empty, so that servers go on with it: no key is lost, and revisions of
//! before are older than all that the new one knows.

use std::time::Duration;

use apimachinery::Revision;
use futures::StreamExt;
use futures::stream;

use crate::engine::{
    CommitError, Durability, Engine, Key, KeyValue, ListPage, ListRequest, Op, ReadError, Txn,
};

/// Keys read at once, and written in one transaction.
const PAGE: usize = 500;
const BATCH: usize = 100;

/// Bytes of values in one transaction, roughly: etcd takes one and a half megabytes.
const BATCH_BYTES: usize = 512 << 10;

/// Writes at the same time that only raise the revision.
const RAISING: usize = 128;

/// What raises the revision; gone at the end.
const MARK: &str = "/registry/knarr-migration";

/// What is done with keys.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// Whether a key is copied.
    pub copies: &'a (dyn Fn(&str) -> bool + Sync),
    /// How long a key lives, where the target lets keys expire.
    pub ttl: &'a (dyn Fn(&str) -> Option<Duration> + Sync),
}

/// What was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    pub keys: usize,
    pub bytes: usize,
    /// The target's; nobody can ask it for anything before.
    pub revision: Revision,
}

/// Why not everything was copied.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("the target is not empty: it has {0}")]
    NotEmpty(Key),
    #[error("the source has changed meanwhile; stop all servers that use it")]
    Changed,
    #[error("{0} is not in the target as it is in the source")]
    Differs(Key),
    #[error("read: {0}")]
    Read(#[from] ReadError),
    #[error("write: {0}")]
    Write(#[from] CommitError),
}

/// Copies what `rules` say from an engine that nobody writes to into an empty one, compares, and forgets the target's history.
/// `progress` is told how many revisions and keys are still to come.
pub async fn copy(
    from: &dyn Engine,
    to: &dyn Engine,
    rules: Rules<'_>,
    mut progress: impl FnMut(u64, usize),
) -> Result<Copied, MigrateError> {
    let there = page(to, None, None, 1).await?;
    if let Some(kv) = there.items.into_iter().find(|kv| *kv.key != *MARK) {
        return Err(MigrateError::NotEmpty(kv.key));
    }
    let at = from.current_revision().await?;
    raise(to, at, &mut progress).await?;

    let (mut keys, mut bytes) = (0, 0);
    let mut after = None;
    loop {
        let page = page(from, after, Some(at), PAGE).await?;
        after = page.items.last().map(|kv| kv.key.clone());
        let wanted: Vec<_> = page.items.into_iter().filter(|kv| (rules.copies)(&kv.key)).collect();
        keys += wanted.len();
        bytes += wanted.iter().map(|kv| kv.value.len()).sum::<usize>();
        write(to, wanted, rules).await?;
        progress(0, keys);
        if !page.more {
            break;
        }
    }
    if from.current_revision().await? != at {
        return Err(MigrateError::Changed);
    }
    compare(from, to, at, rules).await?;
    let revision = to.current_revision().await?;
    to.compact(revision).await?;
    Ok(Copied { keys, bytes, revision })
}

async fn page(
    engine: &dyn Engine,
    after: Option<Key>,
    at: Option<Revision>,
    limit: usize,
) -> Result<ListPage, ReadError> {
    engine.list(ListRequest { prefix: String::new(), after, limit, at }).await
}

/// Writes until the target's revision is above `revision`. Nothing else moves it.
async fn raise(
    to: &dyn Engine,
    revision: Revision,
    progress: &mut impl FnMut(u64, usize),
) -> Result<(), MigrateError> {
    loop {
        let left = (revision.0 + 1).saturating_sub(to.current_revision().await?.0);
        if left == 0 {
            break;
        }
        progress(left, 0);
        let put = |_| {
            let ops = vec![Op::Put { key: MARK.into(), value: Default::default() }];
            to.commit(Txn { ops, durability: Durability::Relaxed, ..Txn::default() })
        };
        let mut writes = stream::iter(0..left.min(10_000)).map(put).buffer_unordered(RAISING);
        while let Some(written) = writes.next().await {
            written?;
        }
        drop(writes);
        // An etcd keeps every revision until it is told to forget it, and has room for two gigabytes.
        to.compact(to.current_revision().await?).await?;
    }
    to.commit(Txn { ops: vec![Op::Delete { key: MARK.into(), last: None }], ..Txn::default() }).await?;
    Ok(())
}

async fn write(to: &dyn Engine, keys: Vec<KeyValue>, rules: Rules<'_>) -> Result<(), CommitError> {
    let mut batch = Txn::default();
    let mut bytes = 0;
    for KeyValue { key, value, .. } in keys {
        let ttl = (rules.ttl)(&key);
        let full = batch.ops.len() >= BATCH || bytes + value.len() > BATCH_BYTES || batch.ttl != ttl;
        if full && !batch.ops.is_empty() {
            to.commit(std::mem::take(&mut batch)).await?;
            bytes = 0;
        }
        bytes += value.len();
        batch.ttl = ttl;
        batch.ops.push(Op::Put { key, value });
    }
    if !batch.ops.is_empty() {
        to.commit(batch).await?;
    }
    Ok(())
}

/// Key by key, value by value, in both.
async fn compare(
    from: &dyn Engine,
    to: &dyn Engine,
    at: Revision,
    rules: Rules<'_>,
) -> Result<(), MigrateError> {
    let mut after = None;
    loop {
        let page = page(from, after, Some(at), PAGE).await?;
        after = page.items.last().map(|kv| kv.key.clone());
        for kv in page.items.iter().filter(|kv| (rules.copies)(&kv.key)) {
            let there = to.get(&kv.key).await?;
            if there.is_none_or(|t| t.value != kv.value) {
                return Err(MigrateError::Differs(kv.key.clone()));
            }
        }
        if !page.more {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::memory::MemoryEngine;
    use crate::testsuite::{delete, put, txn};

    const ALL: Rules<'_> = Rules { copies: &|_| true, ttl: &|_| None };

    async fn filled(keys: usize) -> Arc<MemoryEngine> {
        let engine = Arc::new(MemoryEngine::new());
        for n in 0..keys {
            engine
                .commit(txn(vec![], vec![put(&format!("/registry/k{n:05}"), &n.to_string())]))
                .await
                .unwrap();
        }
        engine.commit(txn(vec![], vec![delete("/registry/k00000")])).await.unwrap();
        engine
    }

    #[tokio::test]
    async fn nothing_is_lost_and_revisions_go_on() {
        let (from, to) = (filled(1234).await, MemoryEngine::new());
        let rules = Rules { copies: &|key| key != "/registry/k00001", ttl: &|_| None };
        let copied = copy(&*from, &to, rules, |_, _| ()).await.unwrap();
        assert_eq!(copied.keys, 1232);
        let before = from.current_revision().await.unwrap();
        assert!(copied.revision > before);
        assert_eq!(to.oldest_revision(), copied.revision);
        assert!(matches!(to.watch("", before).await.err(), Some(ReadError::Compacted { .. })));
        let all = page(&to, None, None, 0).await.unwrap().items;
        assert_eq!(all.len(), 1232);
        assert_eq!((&*all[0].key, &all[0].value[..]), ("/registry/k00002", &b"2"[..]));
    }

    #[tokio::test]
    async fn a_target_that_is_not_empty_is_refused() {
        let (from, to) = (filled(3).await, filled(3).await);
        let refused = copy(&*from, &*to, ALL, |_, _| ()).await.unwrap_err().to_string();
        assert_eq!(refused, "the target is not empty: it has /registry/k00001");
    }
}

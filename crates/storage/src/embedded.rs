//! The default engine: one SQLite file, an append-only log of versions, one writer thread that commits whole batches
//! with one fsync.
//!
//! Which versions there are is held in memory ([`Mvcc`]), so that guards, lists and watches never search the file;
//! values are read from it by row. `writer` commits, `checkpoint` moves the write-ahead log into the file, `database`
//! says what the file looks like, `lock` keeps a second server out, `snapshot` copies and puts back.

mod checkpoint;
mod database;
mod lock;
pub mod snapshot;
mod writer;

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::thread::JoinHandle;

use apimachinery::Revision;
use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension};
use tokio::sync::{mpsc, oneshot};

use crate::engine::{
    CommitError, Engine, EventBatch, EventStream, KeyChange, KeyEvent, KeyValue, ListPage, ListRequest,
    ReadError, Txn, check_size,
};
use crate::feed::{Feed, History};
use crate::mvcc::{Mvcc, Version};
use database::Row;
pub use lock::DirLock;
use writer::{Request, Writer};

/// How many writes may wait for the writer.
const WAITING_MAX: usize = 4096;

/// Events that a stream behind the feed reads at once.
const HISTORY_CHUNK: usize = 1024;

/// Where the store is and how it behaves.
#[derive(Clone, Debug)]
pub struct EmbeddedConfig {
    /// Made if absent, with access for the owner only.
    pub dir: PathBuf,
    pub on_fatal: OnFatal,
    /// Pages of 4 KiB in the write-ahead log from which on it is moved into the file.
    pub checkpoint_pages: u32,
    /// Name of a registered SQLite VFS, for tests that break the disk.
    pub vfs: Option<String>,
}

impl EmbeddedConfig {
    /// For a server: stops the process when the disk fails.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        EmbeddedConfig { dir: dir.into(), on_fatal: OnFatal::Abort, checkpoint_pages: 2000, vfs: None }
    }
}

/// What happens when the disk fails to take a commit. It is never tried again: after a failed fsync nobody knows what is
/// on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFatal {
    /// The process is aborted; what is on the disk is what was acknowledged.
    Abort,
    /// All later writes are refused.
    Refuse,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    #[error("{} is in use by another server (process {holder})", dir.display())]
    InUse { dir: PathBuf, holder: String },
    #[error(
        "{} has format {found}, written by a newer Knarr; this one reads formats up to {known}. Start the newer Knarr, or use another data directory",
        path.display()
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("{} is not a Knarr store", path.display())]
    Foreign { path: PathBuf },
    /// Found at the start; nothing has been changed.
    #[error(
        "the store {} is damaged: {why}. Put a snapshot back (`knarr snapshot ls`, `knarr snapshot restore FILE`), or move {} away to begin with an empty cluster; look after the disk first",
        path.display(),
        path.parent().unwrap_or(path).display()
    )]
    Corrupt { path: PathBuf, why: String },
    #[error("cannot use {}: {source}{}", path.display(), advice(source))]
    Io { path: PathBuf, source: std::io::Error },
    #[error("cannot open the store {}: {source}", path.display())]
    Sql { path: PathBuf, source: rusqlite::Error },
}

/// What to do about an error of the disk.
fn advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::ReadOnlyFilesystem => {
            "; the store must be written to: mount the disk for writing, or choose another --data-dir"
        }
        std::io::ErrorKind::StorageFull => "; make space on this disk, or choose another --data-dir",
        std::io::ErrorKind::PermissionDenied => "; it must belong to the user that runs the server",
        _ => "",
    }
}

/// The store in a data directory.
pub struct EmbeddedEngine {
    shared: Arc<Shared>,
    /// None once closed.
    requests: Mutex<Option<mpsc::Sender<Request>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// What the writer and readers share.
pub(crate) struct Shared {
    /// Committed versions and their rows.
    versions: RwLock<Mvcc<i64>>,
    /// Of the last committed change: what every consistent read asks for, without waiting for the lock.
    current: AtomicU64,
    feed: Arc<Feed>,
    reader: Mutex<Connection>,
    lost: Vec<RangeInclusive<u64>>,
}

impl EmbeddedEngine {
    /// Opens or makes the store. Blocks while it reads the index of all keys.
    pub fn open(config: EmbeddedConfig) -> Result<Self, EmbeddedError> {
        let lock = lock::DirLock::take(&config.dir)?;
        let path = config.dir.join(database::FILE);
        let sql = |source| database::explain(&path, source);
        let conn = database::open(&path, config.vfs.as_deref())?;
        let loaded = database::load(&conn).map_err(sql)?;
        let shared = Arc::new(Shared {
            feed: Feed::new(loaded.versions.current),
            current: AtomicU64::new(loaded.versions.current.0),
            versions: RwLock::new(loaded.versions),
            reader: Mutex::new(database::connect(&path, config.vfs.as_deref()).map_err(sql)?),
            lost: loaded.lost,
        });
        let (requests, queue) = mpsc::channel(WAITING_MAX);
        let checkpointer = checkpoint::Checkpointer::start(
            database::connect(&path, config.vfs.as_deref()).map_err(sql)?,
            requests.downgrade(),
            config.checkpoint_pages,
        )
        .map_err(|source| EmbeddedError::Io { path: path.clone(), source })?;
        let writer =
            Writer::new(conn, shared.clone(), loaded.reserved, checkpointer, config.on_fatal).map_err(sql)?;
        let writer = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || {
                writer.run(queue);
                drop(lock);
            })
            .map_err(|source| EmbeddedError::Io { path, source })?;
        Ok(EmbeddedEngine { shared, requests: Mutex::new(Some(requests)), writer: Mutex::new(Some(writer)) })
    }

    fn requests(&self) -> Option<mpsc::Sender<Request>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs `read` where it may block.
    async fn blocking<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Shared) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let shared = self.shared.clone();
        let done = tokio::task::spawn_blocking(move || read(&shared)).await;
        done.unwrap_or_else(|e| Err(ReadError::Unavailable(format!("read the store: {e}"))))
    }

    /// Lets the writer finish; the result is to be joined.
    fn shut(&self) -> Option<JoinHandle<()>> {
        *self.requests.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn join(writer: Option<JoinHandle<()>>) {
    if writer.is_some_and(|w| w.join().is_err()) {
        tracing::error!("the store's writer has panicked");
    }
}

impl Drop for EmbeddedEngine {
    fn drop(&mut self) {
        join(self.shut());
    }
}

#[async_trait]
impl Engine for EmbeddedEngine {
    async fn get(&self, key: &str) -> Result<Option<KeyValue>, ReadError> {
        let key = key.to_string();
        self.blocking(move |shared| {
            // The row may be superseded and compacted between the two looks.
            loop {
                let found = shared.versions().get(&key).cloned();
                let Some(version) = found else { return Ok(None) };
                if let Some(value) = shared.values(&[version.value])?.pop().flatten() {
                    return Ok(Some(KeyValue { key: key.into(), value, revision: version.revision }));
                }
            }
        })
        .await
    }

    async fn list(&self, request: ListRequest) -> Result<ListPage, ReadError> {
        self.blocking(move |shared| {
            let (found, more, revision) = shared.versions().list(&request)?;
            let rows: Vec<i64> = found.iter().map(|(_, version)| version.value).collect();
            let values = shared.values(&rows)?;
            let item = |((key, version), value): ((_, Version<i64>), Option<Bytes>)| {
                Some(KeyValue { key, value: value?, revision: version.revision })
            };
            let items = found.into_iter().zip(values).map(item).collect::<Option<Vec<_>>>();
            match items {
                Some(items) => Ok(ListPage { items, more, revision }),
                None => Err(shared.compacted(revision)),
            }
        })
        .await
    }

    async fn commit(&self, txn: Txn) -> Result<Revision, CommitError> {
        check_size(&txn)?;
        let closed = || CommitError::Unavailable("the store is closed".into());
        let (reply, done) = oneshot::channel();
        let requests = self.requests().ok_or_else(closed)?;
        requests.send(Request::Commit { txn, reply }).await.map_err(|_| closed())?;
        drop(requests);
        done.await.map_err(|_| closed())?
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<EventStream, ReadError> {
        self.shared.versions().check(after)?;
        Ok(self.shared.feed.stream(self.shared.clone(), prefix, after))
    }

    async fn compact(&self, revision: Revision) -> Result<(), ReadError> {
        let closed = || ReadError::Unavailable("the store is closed".into());
        let (reply, done) = oneshot::channel();
        let requests = self.requests().ok_or_else(closed)?;
        requests.send(Request::Compact { revision, reply }).await.map_err(|_| closed())?;
        drop(requests);
        done.await.map_err(|_| closed())
    }

    async fn current_revision(&self) -> Result<Revision, ReadError> {
        Ok(Revision(self.shared.current.load(Ordering::Acquire)))
    }

    fn oldest_revision(&self) -> Revision {
        self.shared.versions().compacted
    }

    fn lost_revisions(&self) -> Vec<RangeInclusive<u64>> {
        self.shared.lost.clone()
    }

    async fn close(&self) {
        let writer = self.shut();
        // Fails only when the runtime is going down, and the writer finishes anyway.
        let _ = tokio::task::spawn_blocking(move || join(writer)).await;
    }
}

impl Shared {
    fn versions(&self) -> RwLockReadGuard<'_, Mvcc<i64>> {
        self.versions.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The values of rows; none for rows that are not there (any more) or have no value.
    fn values(&self, rows: &[i64]) -> Result<Vec<Option<Bytes>>, ReadError> {
        let read = || {
            let reader = self.reader();
            let mut select = reader.prepare_cached("SELECT value FROM log WHERE id = ?1")?;
            let mut value = |row: &i64| -> rusqlite::Result<Option<Bytes>> {
                let value = select.query_row([row], |r| r.get::<_, Option<Vec<u8>>>(0)).optional()?;
                Ok(value.flatten().map(Bytes::from))
            };
            rows.iter().map(&mut value).collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|e| match e.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseCorrupt) => ReadError::Unavailable(format!(
                "read the store: {e}; the disk has damaged it: put a snapshot back (`knarr snapshot restore FILE`)"
            )),
            _ => ReadError::Unavailable(format!("read the store: {e}")),
        })
    }

    fn compacted(&self, requested: Revision) -> ReadError {
        ReadError::Compacted { requested, oldest: self.versions().compacted }
    }

    fn history(&self, prefix: &str, after: Revision, until: Revision) -> Result<EventBatch, ReadError> {
        let mut changes = self.versions().changes(prefix, after, until)?;
        let mut revision = until;
        if let Some((_, next)) = changes.get(HISTORY_CHUNK) {
            // Never between two events of one revision; one has fewer events than a chunk.
            revision = Revision(next.revision.0 - 1);
            changes.truncate(changes.partition_point(|(_, v)| v.revision <= revision));
        }
        let rows: Vec<i64> = changes.iter().map(|(_, version)| version.value).collect();
        let values = self.values(&rows)?;
        let event = |((key, version), value): ((_, Version<i64>), Option<Bytes>)| {
            let change = match version.live {
                true => KeyChange::Put(value?),
                false => KeyChange::Deleted(value),
            };
            Some(KeyEvent { key, revision: version.revision, change })
        };
        let events = changes.into_iter().zip(values).map(event).collect::<Option<Vec<_>>>();
        match events {
            // A deletion's row may lack a value, so this is where a compaction between the two looks is noticed.
            Some(events) if after >= self.versions().compacted => Ok(EventBatch { events, revision }),
            _ => Err(self.compacted(after)),
        }
    }

    /// What the writer has committed.
    fn publish(&self, rows: Vec<Row>) {
        let Some(last) = rows.last().map(Row::revision) else { return };
        let mut versions = self.versions.write().unwrap_or_else(PoisonError::into_inner);
        for row in &rows {
            versions.push(&row.key, Version { revision: row.revision(), live: row.live, value: row.id });
        }
        drop(versions);
        // Before the writes are answered, so that no read that begins after an answer misses it.
        self.current.store(last.0, Ordering::Release);
        self.feed.publish(rows.into_iter().map(Row::into_event), last);
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
        let read = tokio::task::spawn_blocking(move || self.history(&prefix, after, until)).await;
        read.unwrap_or_else(|e| Err(ReadError::Unavailable(format!("read the store: {e}"))))
    }
}

#[cfg(test)]
mod tests;

//! The one thread that writes: takes what is waiting, decides all guards in order, commits all of it with one fsync,
//! publishes, answers.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use apimachinery::Revision;
use rusqlite::{Connection, ErrorCode, params};
use tokio::sync::{mpsc, oneshot};

use super::checkpoint::Checkpointer;
use super::database::{self, Row, row_id};
use super::{OnFatal, Shared};
use crate::engine::{CommitError, Durability, Key, Op, Txn};
use crate::mvcc::Mvcc;

/// Most transactions in a batch.
const BATCH: usize = 1024;

/// Most bytes of values in a batch, roughly.
const BATCH_BYTES: usize = 8 << 20;

/// Forgotten rows that go with one commit.
const GARBAGE_CHUNK: usize = 512;

pub(super) enum Request {
    Commit {
        txn: Txn,
        reply: oneshot::Sender<Result<Revision, CommitError>>,
    },
    Compact {
        revision: Revision,
        reply: oneshot::Sender<()>,
    },
    /// The checkpoint thread has done its part.
    Checkpointed(rusqlite::Result<()>),
}

pub(super) struct Writer {
    conn: Connection,
    shared: Arc<Shared>,
    /// Revisions up to here may be handed out.
    reserved: u64,
    /// What `PRAGMA synchronous` is set to.
    synchronous: Durability,
    /// Rows that compaction has forgotten.
    garbage: VecDeque<i64>,
    /// Pages in the write-ahead log after the last commit.
    log_pages: Arc<AtomicU32>,
    checkpointer: Checkpointer,
    on_fatal: OnFatal,
    /// Why nothing is written any more.
    broken: Option<String>,
}

/// A batch on its way.
#[derive(Default)]
struct Batch {
    rows: Vec<Row>,
    /// Keys changed in this batch: their revision, or none when deleted.
    pending: HashMap<Key, Option<Revision>>,
    durability: Durability,
    answers: Vec<(oneshot::Sender<Result<Revision, CommitError>>, Result<Revision, CommitError>)>,
    bytes: usize,
}

impl Writer {
    pub fn new(
        mut conn: Connection,
        shared: Arc<Shared>,
        reserved: u64,
        checkpointer: Checkpointer,
        on_fatal: OnFatal,
    ) -> rusqlite::Result<Self> {
        let log_pages = Arc::new(AtomicU32::new(0));
        // A crash may have come between a compaction and the end of its work.
        let garbage = {
            let mut versions = shared.versions.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            let compacted = versions.compacted;
            versions.compact(compacted).into()
        };
        let pages = log_pages.clone();
        conn.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, now: i32| {
            pages.store(now.unsigned_abs(), Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(Writer {
            conn,
            shared,
            reserved,
            synchronous: Durability::Durable,
            garbage,
            log_pages,
            checkpointer,
            on_fatal,
            broken: None,
        })
    }

    /// Until nobody can send requests any more.
    pub fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        loop {
            let first = match requests.try_recv() {
                Ok(request) => request,
                Err(mpsc::error::TryRecvError::Empty)
                    if !self.garbage.is_empty() && self.broken.is_none() =>
                {
                    self.collect_garbage();
                    continue;
                }
                Err(_) => match requests.blocking_recv() {
                    Some(request) => request,
                    None => break,
                },
            };
            self.serve(first, &mut requests);
        }
        self.close();
    }

    /// `first` and whatever is waiting behind it.
    fn serve(&mut self, first: Request, requests: &mut mpsc::Receiver<Request>) {
        let mut batch = Batch { durability: Durability::Relaxed, ..Batch::default() };
        let mut next = Some(first);
        while let Some(request) = next {
            match request {
                Request::Commit { txn, reply } => self.stage(&mut batch, txn, reply),
                // Neither depends on what is staged: uncommitted rows are not in the index yet.
                Request::Compact { revision, reply } => {
                    self.compact(revision);
                    let _ = reply.send(());
                }
                Request::Checkpointed(result) => self.checkpointed(result),
            }
            let full = batch.answers.len() >= BATCH || batch.bytes >= BATCH_BYTES;
            next = if full { None } else { requests.try_recv().ok() };
        }
        self.commit(batch);
    }

    /// Decides a transaction as of all before it, those of its batch included.
    fn stage(&self, batch: &mut Batch, txn: Txn, reply: oneshot::Sender<Result<Revision, CommitError>>) {
        let versions = self.shared.versions();
        let current = batch.rows.last().map_or(versions.current, Row::revision);
        let failed = txn.guards.iter().position(|g| !g.holds(batch.revision_of(g.key(), &versions)));
        if let Some(guard) = failed {
            batch.answers.push((reply, Err(CommitError::GuardFailed { guard, revision: current })));
            return;
        }
        let revision = Revision(current.0 + 1);
        let mut place = 0;
        for op in txn.ops {
            let (key, live, value) = match op {
                Op::Put { key, value } => (key, true, Some(value)),
                Op::Delete { key, .. } if batch.revision_of(&key, &versions).is_none() => continue,
                Op::Delete { key, last } => (key, false, last),
            };
            batch.bytes += key.len() + value.as_ref().map_or(0, |v| v.len());
            batch.pending.insert(key.clone(), live.then_some(revision));
            batch.rows.push(Row { id: row_id(revision.0, place), key, live, value });
            place += 1;
        }
        if place == 0 {
            batch.answers.push((reply, Ok(current)));
            return;
        }
        if txn.durability == Durability::Durable {
            batch.durability = Durability::Durable;
        }
        batch.answers.push((reply, Ok(revision)));
    }

    fn commit(&mut self, batch: Batch) {
        let written = match &self.broken {
            Some(why) => Err(why.clone()),
            None if batch.rows.is_empty() => Ok(()),
            None => self.write(&batch.rows, batch.durability),
        };
        match written {
            Ok(()) => {
                self.shared.publish(batch.rows);
                batch.answers.into_iter().for_each(|(reply, answer)| drop(reply.send(answer)));
                self.checkpointer.committed(self.log_pages.load(Ordering::Relaxed));
            }
            // Failed guards, too: they may have failed because of what is not there now.
            Err(why) => {
                let unavailable = || Err(CommitError::Unavailable(why.clone()));
                batch.answers.into_iter().for_each(|(reply, _)| drop(reply.send(unavailable())));
            }
        }
    }

    /// Does the rest of a checkpoint.
    fn checkpointed(&mut self, result: rusqlite::Result<()>) {
        let finished = self.checkpointer.finish(&self.conn);
        match result.and(finished) {
            Ok(()) => {}
            Err(error) if may_pass(&error) => {
                tracing::warn!(%error, "cannot checkpoint the store; will be tried again");
            }
            // The log may hold relaxed writes that this was to sync: nobody knows any more what is on the disk.
            Err(error) => drop(self.failed(error)),
        }
    }

    fn collect_garbage(&mut self) {
        // Failure is logged; the rows are found again at the next start.
        if self.write(&[], Durability::Relaxed).is_err() {
            self.garbage.clear();
        }
    }

    fn compact(&mut self, revision: Revision) {
        let mut versions = self.shared.versions.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.garbage.extend(versions.compact(revision));
    }

    /// Commits rows, or nothing. The error says why in words for clients.
    fn write(&mut self, rows: &[Row], durability: Durability) -> Result<(), String> {
        let last = rows.last().map_or(0, |row| row.revision().0);
        let reserve = (last > self.reserved).then_some(last);
        // A reservation counts when it is on the disk, and acknowledgements come after that.
        let durability = if reserve.is_some() { Durability::Durable } else { durability };
        match self.try_write(rows, reserve, durability) {
            Ok(reserved) => {
                self.reserved = reserved;
                self.garbage.drain(..self.garbage.len().min(GARBAGE_CHUNK));
                Ok(())
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    fn try_write(
        &mut self,
        rows: &[Row],
        reserve: Option<u64>,
        durability: Durability,
    ) -> rusqlite::Result<u64> {
        self.set_synchronous(durability)?;
        let compacted = self.shared.versions().compacted;
        let mut reserved = self.reserved;
        let tx = self.conn.unchecked_transaction()?;
        {
            let mut insert = tx.prepare_cached("INSERT INTO log VALUES (?1, ?2, ?3, ?4)")?;
            for row in rows {
                insert.execute(params![row.id, &*row.key, row.live, row.value.as_deref()])?;
            }
            if let Some(current) = reserve {
                reserved = database::reserve(&tx, current)?;
            }
            if !self.garbage.is_empty() {
                database::set_meta(&tx, "compacted", compacted.0)?;
                let mut delete = tx.prepare_cached("DELETE FROM log WHERE id = ?1")?;
                for id in self.garbage.iter().take(GARBAGE_CHUNK) {
                    delete.execute([id])?;
                }
            }
        }
        tx.commit()?;
        Ok(reserved)
    }

    fn set_synchronous(&mut self, durability: Durability) -> rusqlite::Result<()> {
        if self.synchronous != durability {
            // NORMAL does not sync the write-ahead log at commits, but keeps its order.
            self.conn.execute_batch(match durability {
                Durability::Durable => "PRAGMA synchronous = FULL",
                Durability::Relaxed => "PRAGMA synchronous = NORMAL",
            })?;
            self.synchronous = durability;
        }
        Ok(())
    }

    /// Nothing of the batch is in the store. A full disk may have space again later; after anything else nobody knows
    /// what is on the disk, so that nothing may be written any more.
    fn failed(&mut self, error: rusqlite::Error) -> String {
        if may_pass(&error) {
            tracing::error!(%error, "no space left on the disk under the store; writes are refused");
            return "no space left on the disk under the store".into();
        }
        tracing::error!(%error, "FATAL: the disk under the store failed to take a commit; the store stops here");
        if self.on_fatal == OnFatal::Abort {
            eprintln!("FATAL: the disk under the store failed to take a commit: {error}");
            std::process::abort();
        }
        let why = format!("the disk under the store has failed: {error}");
        self.broken = Some(why.clone());
        why
    }

    /// Leaves the file alone as it should be found.
    fn close(mut self) {
        self.checkpointer.stop();
        self.shared.feed.close();
        while self.broken.is_none() && !self.garbage.is_empty() {
            self.collect_garbage();
        }
        if self.broken.is_some() {
            return;
        }
        let current = self.shared.versions().current;
        let clean = || -> rusqlite::Result<()> {
            self.conn.execute_batch("PRAGMA synchronous = FULL")?;
            database::set_meta(&self.conn, "clean", current.0)?;
            self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        };
        if let Err(error) = clean() {
            // As after a crash, then.
            tracing::warn!(%error, "cannot close the store properly");
        }
    }
}

/// Whether the same may work later: SQLite leaves everything as it was when there is no space.
fn may_pass(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DiskFull))
}

impl Batch {
    /// The revision that a key has with everything staged so far.
    fn revision_of(&self, key: &Key, versions: &Mvcc<i64>) -> Option<Revision> {
        match self.pending.get(key) {
            Some(pending) => *pending,
            None => versions.get(key).map(|v| v.revision),
        }
    }
}

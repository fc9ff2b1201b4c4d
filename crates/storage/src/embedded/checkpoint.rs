//! Moves the write-ahead log into the file beside the commits, so that these do not wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::mpsc::WeakSender;

use super::writer::Request;

/// The thread that checkpoints. The writer asks it, and does the short rest itself when told, so that the log can begin
/// anew: while commits go on nobody else can come to its end.
pub(super) struct Checkpointer {
    ask: Option<SyncSender<()>>,
    busy: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// Pages in the log from which on it is worth it.
    from_pages: u32,
}

impl Checkpointer {
    pub fn start(conn: Connection, writer: WeakSender<Request>, from_pages: u32) -> std::io::Result<Self> {
        let (ask, asked) = sync_channel::<()>(1);
        let busy = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new().name("store-checkpoint".into()).spawn(move || {
            while asked.recv().is_ok() {
                let result = passive(&conn);
                // Gone when the store is being closed, and then it is not needed.
                if let Some(writer) = writer.upgrade() {
                    let _ = writer.blocking_send(Request::Checkpointed(result));
                }
            }
        })?;
        Ok(Checkpointer { ask: Some(ask), busy, thread: Some(thread), from_pages })
    }

    /// After a commit with so many pages in the log.
    pub fn committed(&self, pages: u32) {
        if pages >= self.from_pages
            && !self.busy.swap(true, Ordering::Relaxed)
            && let Some(ask) = &self.ask
        {
            let _ = ask.try_send(());
        }
    }

    /// After [`Request::Checkpointed`], on the writer's connection: the pages that came meanwhile.
    pub fn finish(&self, conn: &Connection) -> rusqlite::Result<()> {
        let result = passive(conn);
        self.busy.store(false, Ordering::Relaxed);
        result
    }

    /// Ends the thread.
    pub fn stop(&mut self) {
        self.ask = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's checkpoint thread has panicked");
        }
    }
}

fn passive(conn: &Connection) -> rusqlite::Result<()> {
    conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

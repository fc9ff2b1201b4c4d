//! The last events in memory, and streams of events that read from there while they keep up and from the engine's
//! history when they do not.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use apimachinery::Revision;
use async_trait::async_trait;
use futures::stream;
use tokio::sync::watch;

use crate::engine::{EventBatch, EventStream, KeyChange, KeyEvent, ReadError};

/// Bytes of values kept for streams that keep up.
const FEED_BYTES: usize = 4 << 20;

/// Events that a stream takes at once.
const CHUNK: usize = 1024;

/// Reads events that have left the feed.
#[async_trait]
pub(crate) trait History: Send + Sync + 'static {
    /// The first events of keys with `prefix` in `after < revision <= until`; the batch's revision says how far they
    /// go.
    async fn read(
        self: Arc<Self>,
        prefix: String,
        after: Revision,
        until: Revision,
    ) -> Result<EventBatch, ReadError>;
}

#[derive(Debug)]
pub(crate) struct Feed {
    recent: Mutex<Recent>,
    wake: watch::Sender<()>,
}

#[derive(Debug)]
struct Recent {
    events: VecDeque<KeyEvent>,
    bytes: usize,
    /// All events above this revision are here.
    floor: Revision,
    /// All events up to here have been here.
    head: Revision,
    closed: bool,
}

enum Next {
    Batch(EventBatch),
    /// What comes next has left the feed; read up to here.
    Behind(Revision),
    Nothing,
    Closed,
}

impl Feed {
    pub fn new(head: Revision) -> Arc<Self> {
        let recent = Recent { events: VecDeque::new(), bytes: 0, floor: head, head, closed: false };
        Arc::new(Feed { recent: Mutex::new(recent), wake: watch::Sender::new(()) })
    }

    /// Adds committed events and lets streams know. All events of a revision come in one call.
    pub fn publish(&self, events: impl IntoIterator<Item = KeyEvent>, head: Revision) {
        let mut recent = self.lock();
        for event in events {
            recent.bytes += weight(&event);
            recent.events.push_back(event);
        }
        while recent.bytes > FEED_BYTES
            && let Some(event) = recent.events.pop_front()
        {
            recent.bytes -= weight(&event);
            recent.floor = event.revision;
        }
        recent.head = recent.head.max(head);
        drop(recent);
        self.wake.send_replace(());
    }

    /// Everything between the last event and `head` is lost: streams that have not read up to there find out when they
    /// ask for history.
    pub fn jump(&self, head: Revision) {
        let mut recent = self.lock();
        recent.events.clear();
        recent.bytes = 0;
        recent.floor = head;
        recent.head = head;
        drop(recent);
        self.wake.send_replace(());
    }

    /// All events up to here have been here.
    pub fn head(&self) -> Revision {
        self.lock().head
    }

    /// All events above this revision are here.
    pub fn floor(&self) -> Revision {
        self.lock().floor
    }

    /// Completes when `revision` has been here; false when the feed is closed before that.
    pub async fn reached(&self, revision: Revision) -> bool {
        let mut woken = self.wake.subscribe();
        loop {
            woken.mark_unchanged();
            {
                let recent = self.lock();
                if recent.head >= revision || recent.closed {
                    return recent.head >= revision;
                }
            }
            if woken.changed().await.is_err() {
                return false;
            }
        }
    }

    /// Ends all streams.
    pub fn close(&self) {
        self.lock().closed = true;
        self.wake.send_replace(());
    }

    pub fn stream(self: &Arc<Self>, history: Arc<dyn History>, prefix: &str, after: Revision) -> EventStream {
        let cursor = Cursor {
            feed: self.clone(),
            history,
            prefix: prefix.into(),
            position: after,
            woken: self.wake.subscribe(),
        };
        Box::pin(stream::unfold(Some(cursor), |cursor| async move {
            let mut cursor = cursor?;
            match cursor.next().await? {
                Ok(batch) => Some((Ok(batch), Some(cursor))),
                Err(error) => Some((Err(error), None)),
            }
        }))
    }

    fn after(&self, position: Revision, prefix: &str) -> Next {
        let recent = self.lock();
        if position < recent.floor {
            return Next::Behind(recent.floor);
        }
        if position >= recent.head {
            return if recent.closed { Next::Closed } else { Next::Nothing };
        }
        let from = recent.events.partition_point(|e| e.revision <= position);
        let mut until = recent.events.len().min(from + CHUNK);
        let mut revision = recent.head;
        if let Some(next) = recent.events.get(until) {
            // Never between two events of one revision; one has fewer events than a chunk.
            revision = Revision(next.revision.0 - 1);
            until = recent.events.partition_point(|e| e.revision <= revision);
        }
        let events =
            recent.events.range(from..until).filter(|e| e.key.starts_with(prefix)).cloned().collect();
        Next::Batch(EventBatch { events, revision })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Cursor {
    feed: Arc<Feed>,
    history: Arc<dyn History>,
    prefix: String,
    position: Revision,
    woken: watch::Receiver<()>,
}

impl Cursor {
    async fn next(&mut self) -> Option<Result<EventBatch, ReadError>> {
        loop {
            self.woken.mark_unchanged();
            let batch = match self.feed.after(self.position, &self.prefix) {
                Next::Batch(batch) => batch,
                Next::Behind(until) => {
                    match self.history.clone().read(self.prefix.clone(), self.position, until).await {
                        Ok(batch) => batch,
                        Err(error) => return Some(Err(error)),
                    }
                }
                Next::Nothing => {
                    self.woken.changed().await.ok()?;
                    continue;
                }
                Next::Closed => return None,
            };
            self.position = batch.revision;
            return Some(Ok(batch));
        }
    }
}

fn weight(event: &KeyEvent) -> usize {
    const FIXED: usize = 64;
    let value = match &event.change {
        KeyChange::Put(value) | KeyChange::Deleted(Some(value)) => value.len(),
        KeyChange::Deleted(None) => 0,
    };
    FIXED + event.key.len() + value
}

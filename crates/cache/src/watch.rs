//! A watcher: a cursor in the history. It holds nothing back and nothing is kept for it; when it comes too late for an
//! event that has left the window, it ends.

use std::collections::VecDeque;
use std::sync::Arc;

use apimachinery::{ObjectKey, Revision};
use tokio::sync::watch;

use crate::cache::Expired;
use crate::event::{Event, WatchEvent};
use crate::filter::Filter;
use crate::history::Lane;
use crate::progress::Progress;
use crate::state::Snapshot;

/// Events taken from the lane under one lock.
const CHUNK: usize = 64;

/// What a watch delivers.
#[derive(Clone, Debug)]
pub enum WatchItem {
    Event(WatchEvent),
    /// All initial events have been delivered; they were the state at this revision.
    InitialEnd(Revision),
}

/// A cursor in a cache's history. Dropping it costs nothing; a new one goes on from [`Watch::position`].
#[derive(Debug)]
pub struct Watch {
    lane: Arc<Lane>,
    woken: watch::Receiver<()>,
    filter: Filter,
    progress: Arc<Progress>,
    initial: Option<Initial>,
    chunk: VecDeque<Arc<Event>>,
    /// Where the next chunk begins.
    next: i64,
    /// Events up to here are not wanted.
    after: Revision,
    /// Everything up to here has been delivered.
    done: Revision,
}

/// Objects still to be delivered as added.
#[derive(Debug)]
struct Initial {
    snapshot: Snapshot,
    last: Option<ObjectKey>,
    chunk: VecDeque<WatchEvent>,
    exhausted: bool,
}

impl Watch {
    pub(crate) fn new(
        lane: Arc<Lane>,
        filter: Filter,
        next: i64,
        after: Revision,
        snapshot: Option<Snapshot>,
        progress: Arc<Progress>,
    ) -> Self {
        let initial = snapshot.map(|snapshot| Initial::new(snapshot, &filter));
        let woken = lane.woken();
        Watch { lane, woken, filter, progress, initial, chunk: VecDeque::new(), next, after, done: after }
    }

    /// The next item, when it comes. Safe to cancel. After [`Expired`] nothing follows.
    pub async fn next(&mut self) -> Result<WatchItem, Expired> {
        loop {
            if let Some(item) = self.try_next()? {
                return Ok(item);
            }
            // Fails only without a sender, and the lane is ours.
            let _ = self.woken.changed().await;
        }
    }

    /// The next item if there is one already.
    pub fn try_next(&mut self) -> Result<Option<WatchItem>, Expired> {
        if let Some(item) = self.next_initial() {
            return Ok(Some(item));
        }
        loop {
            if self.chunk.is_empty() && !self.refill()? {
                return Ok(None);
            }
            while let Some(event) = self.chunk.pop_front() {
                if event.revision <= self.after {
                    continue;
                }
                self.done = self.done.max(event.revision);
                if let Some(seen) = event.seen_through(&self.filter) {
                    return Ok(Some(WatchItem::Event(seen)));
                }
            }
        }
    }

    /// Everything up to here has been delivered: the revision for a bookmark.
    pub fn position(&self) -> Revision {
        // Progress first: the events that it covers are in the lane that is read after it.
        let progress = self.progress.revision();
        let behind = self.initial.is_some() || !self.chunk.is_empty() || self.lane.read().end() != self.next;
        if behind { self.done } else { self.done.max(progress) }
    }

    /// Whether [`Watch::next`] would look for events.
    #[cfg(test)]
    pub(crate) fn is_woken(&self) -> bool {
        self.woken.has_changed().unwrap_or(true)
    }

    fn next_initial(&mut self) -> Option<WatchItem> {
        let initial = self.initial.as_mut()?;
        if let Some(event) = initial.next(&self.filter) {
            return Some(WatchItem::Event(event));
        }
        let revision = initial.snapshot.revision();
        self.initial = None;
        self.done = self.done.max(revision);
        Some(WatchItem::InitialEnd(revision))
    }

    /// Takes more events from the lane; false when there are none.
    fn refill(&mut self) -> Result<bool, Expired> {
        self.woken.mark_unchanged();
        let log = self.lane.read();
        if self.next < log.first {
            return Err(Expired { requested: self.done, oldest: log.floor });
        }
        let skip = (self.next - log.first) as usize;
        self.chunk.extend(log.events.iter().skip(skip).take(CHUNK).cloned());
        self.next += self.chunk.len() as i64;
        Ok(!self.chunk.is_empty())
    }
}

impl Initial {
    fn new(snapshot: Snapshot, filter: &Filter) -> Self {
        let mut initial = Initial { snapshot, last: None, chunk: VecDeque::new(), exhausted: false };
        if let Some(objects) = initial.snapshot.narrowed(filter) {
            initial.chunk.extend(objects.iter().filter(|o| filter.matches(o)).map(WatchEvent::initial));
            initial.exhausted = true;
        }
        initial
    }

    fn next(&mut self, filter: &Filter) -> Option<WatchEvent> {
        while self.chunk.is_empty() && !self.exhausted {
            let objects = self.snapshot.iter(filter.namespace.as_deref(), self.last.as_ref());
            let objects: Vec<_> = objects.take(CHUNK).cloned().collect();
            self.exhausted = objects.len() < CHUNK;
            self.last = objects.last().map(|o| o.key.clone());
            self.chunk.extend(objects.iter().filter(|o| filter.matches(o)).map(WatchEvent::initial));
        }
        self.chunk.pop_front()
    }
}

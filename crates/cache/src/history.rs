//! The window of past events, and its lanes: the same events filed by what watchers are interested in.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

use apimachinery::Revision;
use tokio::sync::watch;

use crate::event::Event;
use crate::filter::Interest;

/// Events of one interest in order. Cursors hold it; it is fed while one of them does.
#[derive(Debug)]
pub(crate) struct Lane {
    log: RwLock<Log>,
    /// Marked after events were added.
    wake: watch::Sender<()>,
}

#[derive(Debug)]
pub(crate) struct Log {
    pub events: VecDeque<Arc<Event>>,
    /// Position of the front event. Positions only grow at the back; a lane may also be extended at the front.
    pub first: i64,
    /// Every event above this revision is here.
    pub floor: Revision,
}

impl Log {
    /// The position that the next event will have.
    pub fn end(&self) -> i64 {
        self.first + self.events.len() as i64
    }

    /// The event at `position`; none when it has left the window or is not there yet.
    pub fn at(&self, position: i64) -> Option<&Arc<Event>> {
        self.events.get(usize::try_from(position - self.first).ok()?)
    }

    /// The position of the first event above `revision`.
    pub fn position_after(&self, revision: Revision) -> i64 {
        self.first + self.events.partition_point(|e| e.revision <= revision) as i64
    }
}

impl Lane {
    pub fn new(floor: Revision) -> Self {
        let log = Log { events: VecDeque::new(), first: 0, floor };
        Lane { log: RwLock::new(log), wake: watch::Sender::new(()) }
    }

    pub fn read(&self) -> RwLockReadGuard<'_, Log> {
        self.log.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn write(&self) -> RwLockWriteGuard<'_, Log> {
        self.log.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn wake(&self) {
        self.wake.send_replace(());
    }

    pub fn woken(&self) -> watch::Receiver<()> {
        self.wake.subscribe()
    }

    pub fn has_watchers(&self) -> bool {
        self.wake.receiver_count() > 0
    }
}

/// The lanes besides the main one. Only the cache's writer touches it.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    lanes: HashMap<Interest, Weak<Lane>>,
    /// Size at which lanes without watchers are swept out.
    sweep_at: usize,
}

impl Lanes {
    /// The lane of `interest` with every event above `from`, which the main lane must still hold.
    pub fn lane(&mut self, interest: Interest, from: Revision, main: &Lane) -> Arc<Lane> {
        let lane = match self.lanes.get(&interest).and_then(Weak::upgrade) {
            Some(lane) => lane,
            None => {
                self.sweep();
                let lane = Arc::new(Lane::new(Revision(u64::MAX)));
                self.lanes.insert(interest.clone(), Arc::downgrade(&lane));
                lane
            }
        };
        extend_back_to(&lane, &interest, from, main);
        lane
    }

    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// The lanes that `event` belongs to. Each is named once.
    pub fn of(&mut self, event: &Event, indexes: &[&'static str]) -> Vec<Arc<Lane>> {
        if self.lanes.is_empty() {
            return Vec::new();
        }
        let key = &event.object.key;
        let mut interests = vec![
            Interest::Key(key.clone()),
            Interest::Name(key.name.clone()),
            Interest::Namespace(key.namespace.clone()),
        ];
        for index in indexes {
            for object in [Some(&event.object), event.previous.as_ref()].into_iter().flatten() {
                for value in object.index_values(index) {
                    let interest = Interest::Index(index, value.clone());
                    if !interests.contains(&interest) {
                        interests.push(interest);
                    }
                }
            }
        }
        interests.iter().filter_map(|interest| self.lanes.get(interest)?.upgrade()).collect()
    }

    fn sweep(&mut self) {
        if self.lanes.len() >= self.sweep_at {
            self.lanes.retain(|_, lane| lane.strong_count() > 0);
            self.sweep_at = (2 * self.lanes.len()).max(64);
        }
    }
}

/// Adds the events above `from` that the lane does not have yet at its front.
fn extend_back_to(lane: &Lane, interest: &Interest, from: Revision, main: &Lane) {
    let mut log = lane.write();
    if log.floor <= from {
        return;
    }
    let main = main.read();
    let missing = main.events.iter().rev().skip_while(|e| e.revision > log.floor);
    let missing: Vec<_> = missing
        .take_while(|e| e.revision > from)
        .filter(|e| interest.covers(&e.object) || e.previous.as_ref().is_some_and(|p| interest.covers(p)))
        .cloned()
        .collect();
    log.first -= missing.len() as i64;
    for event in missing {
        log.events.push_front(event);
    }
    log.floor = from;
}

//! The objects of one resource as they are now, and what became of them lately.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use apimachinery::{ObjectKey, Revision};
use arc_swap::ArcSwap;
use stdx::clock::SharedClock;

use crate::event::{Event, EventKind};
use crate::filter::{Filter, Interest};
use crate::history::{Lane, Lanes};
use crate::object::Object;
use crate::progress::Progress;
use crate::state::{Snapshot, State};
use crate::subscribe::Subscription;
use crate::watch::Watch;

/// How many answers of [`Cache::snapshot_at`] are kept for the next page of the same list.
const KEPT_SNAPSHOTS: usize = 8;

/// In [`CacheConfig::indexes`]: the labels, each with each of its values.
pub const LABELS: &str = "labels";

/// What a cache is like.
#[derive(Clone, Debug)]
pub struct CacheConfig {
    /// Indexes kept: `owner`, `uid` or selectable fields (see [`Object::index_values`]), and [`LABELS`]. Namespaces need
    /// none.
    pub indexes: Vec<&'static str>,
    /// Events older than this may leave the window.
    pub window_age: Duration,
    /// Heap that the window may hold, roughly, in bytes. The last batch is always kept.
    pub window_bytes: usize,
    pub clock: SharedClock,
    /// Shared by caches that are fed from one stream.
    pub progress: Arc<Progress>,
    /// Revisions that were handed out but lost in a crash; nobody can continue from there.
    pub lost: Vec<RangeInclusive<u64>>,
}

impl CacheConfig {
    /// Ten minutes and 16 MiB, no indexes, progress of its own.
    pub fn new(clock: SharedClock) -> Self {
        CacheConfig {
            indexes: Vec::new(),
            window_age: Duration::from_secs(600),
            window_bytes: 16 << 20,
            clock,
            progress: Arc::default(),
            lost: Vec::new(),
        }
    }
}

/// The window does not reach back to `requested`: 410 Gone for clients, who list again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too old resource version: {requested} ({oldest})")]
pub struct Expired {
    pub requested: Revision,
    /// What can still be asked for.
    pub oldest: Revision,
}

/// One change, for [`Cache::apply`].
#[derive(Clone, Debug)]
pub enum Update {
    /// Created or changed at the object's revision.
    Put(Object),
    /// Deleted at `revision`. `last` is its final state at that revision; without it the state that the cache has is
    /// published at that revision.
    Delete { key: ObjectKey, revision: Revision, last: Option<Object> },
}

/// The objects of one resource and a window of their history. One writer; readers and watchers never block it for
/// longer than it takes to copy pointers.
#[derive(Debug)]
pub struct Cache {
    config: CacheConfig,
    state: ArcSwap<State>,
    writer: Mutex<Writer>,
    main: Arc<Lane>,
}

#[derive(Debug, Default)]
struct Writer {
    lanes: Lanes,
    window_bytes: usize,
    /// Past states, newest first.
    kept: VecDeque<Snapshot>,
}

impl Cache {
    /// Empty, at revision 0: begin with [`Cache::replace`].
    pub fn new(config: CacheConfig) -> Self {
        Cache {
            state: ArcSwap::from_pointee(State::new(&config.indexes)),
            writer: Mutex::default(),
            main: Arc::new(Lane::new(Revision(0))),
            config,
        }
    }

    pub fn get(&self, key: &ObjectKey) -> Option<Arc<Object>> {
        self.state.load().get(key).cloned()
    }

    /// Everything up to here has been applied.
    pub fn revision(&self) -> Revision {
        // Progress first, as in a snapshot.
        let progress = self.config.progress.revision();
        progress.max(self.state.load().last)
    }

    pub fn snapshot(&self) -> Snapshot {
        // Progress first: whatever it covers is in the state that is read after it.
        let progress = self.config.progress.revision();
        let state = self.state.load_full();
        let revision = progress.max(state.last);
        Snapshot { state, revision }
    }

    /// The exact state at a past revision. `revision` must have been reached ([`Cache::wait_for`]).
    pub fn snapshot_at(&self, revision: Revision) -> Result<Snapshot, Expired> {
        let (from, undo) = {
            let writer = self.lock();
            self.check_window(revision)?;
            let now = self.snapshot();
            if revision >= now.state.last {
                return Ok(Snapshot { revision, ..now });
            }
            let from = writer.kept.iter().filter(|s| s.revision >= revision).min_by_key(|s| s.revision);
            let from = from.cloned().unwrap_or(now);
            if from.revision == revision {
                return Ok(from);
            }
            let log = self.main.read();
            let after = (log.position_after(revision) - log.first) as usize;
            let until = (log.position_after(from.revision) - log.first) as usize;
            (from, log.events.range(after..until).cloned().collect::<Vec<_>>())
        };
        let mut state = State::clone(&from.state);
        for event in undo.iter().rev() {
            state.undo(event, revision);
        }
        let snapshot = Snapshot { state: Arc::new(state), revision };
        let mut writer = self.lock();
        writer.kept.push_front(snapshot.clone());
        writer.kept.truncate(KEPT_SNAPSHOTS);
        Ok(snapshot)
    }

    /// Completes when everything up to `revision` has been applied.
    pub async fn wait_for(&self, revision: Revision) {
        if self.state.load().last < revision {
            self.config.progress.wait_for(revision).await;
        }
    }

    /// The event of one revision, while the window holds it.
    pub fn event(&self, revision: Revision) -> Option<Arc<Event>> {
        let log = self.main.read();
        let position = log.position_after(Revision(revision.0.saturating_sub(1)));
        log.at(position).filter(|e| e.revision == revision).cloned()
    }

    /// What happens after `from`, which may lie in the future.
    pub fn watch(&self, from: Revision, filter: Filter) -> Result<Watch, Expired> {
        let mut writer = self.lock();
        self.check_window(from)?;
        let lane = self.lane(&mut writer, &filter, from);
        let position = lane.read().position_after(from);
        Ok(Watch::new(lane, filter, position, from, None, self.config.progress.clone()))
    }

    /// All objects as they are now as added ones, [`crate::WatchItem::InitialEnd`], then what happens after.
    pub fn watch_initial(&self, filter: Filter) -> Watch {
        let mut writer = self.lock();
        let snapshot = self.snapshot();
        let from = snapshot.state.last.max(self.main.read().floor);
        let lane = self.lane(&mut writer, &filter, from);
        let position = lane.read().end();
        Watch::new(lane, filter, position, Revision(0), Some(snapshot), self.config.progress.clone())
    }

    /// All objects as changes from nothing, then what happens after. Never expires: what a slow reader has not read is
    /// merged.
    pub fn subscribe(self: &Arc<Self>, filter: Filter) -> Subscription {
        let mut writer = self.lock();
        let from = self.state.load().last.max(self.main.read().floor);
        let lane = self.lane(&mut writer, &filter, from);
        drop(writer);
        Subscription::new(self.clone(), lane, filter)
    }

    /// Publishes changes, in order of revision. Changes that are not news are ignored. For a cache that has its
    /// progress for itself, [`Cache::progress`] belongs after it.
    pub fn apply(&self, updates: impl IntoIterator<Item = Update>) {
        let mut writer = self.lock();
        let now = self.config.clock.monotonic();
        let mut state = State::clone(&self.state.load());
        let events: Vec<_> = updates.into_iter().filter_map(|u| change(&mut state, u, now)).collect();
        self.publish(&mut writer, state, events, now);
    }

    /// Makes `objects` all there is at `revision`: after a list. Watchers see the differences; exact lists and new
    /// watches from before it are refused.
    pub fn replace(&self, objects: Vec<Object>, revision: Revision) {
        self.reset(objects, revision);
        self.progress(revision);
    }

    /// As [`Cache::replace`], but for the progress, which is shared with others that are not there yet.
    pub fn reset(&self, objects: Vec<Object>, revision: Revision) {
        let mut writer = self.lock();
        let now = self.config.clock.monotonic();
        let mut state = State::clone(&self.state.load());
        let gone = self.snapshot();
        let listed: std::collections::HashSet<&ObjectKey> = objects.iter().map(|o| &o.key).collect();
        let gone = gone.iter(None, None).filter(|o| !listed.contains(&o.key));
        let gone: Vec<_> =
            gone.map(|o| Update::Delete { key: o.key.clone(), revision, last: None }).collect();
        let puts = objects.into_iter().map(Update::Put);
        let mut events: Vec<_> =
            gone.into_iter().chain(puts).filter_map(|u| change(&mut state, u, now)).collect();
        state.last = revision.max(state.last);
        if writer.lanes.is_empty() && !self.main.has_watchers() {
            events.clear();
        }
        self.publish(&mut writer, state, events, now);
        self.main.write().floor = revision;
    }

    /// Nothing more will be applied up to `revision`.
    pub fn progress(&self, revision: Revision) {
        self.config.progress.advance(revision);
    }

    /// Lets go of events that are too old. Also done at every change.
    pub fn trim(&self) {
        let now = self.config.clock.monotonic();
        self.trim_window(&mut self.lock(), now);
    }

    /// Objects in the cache.
    pub fn len(&self) -> usize {
        self.snapshot().len()
    }

    pub fn is_empty(&self) -> bool {
        self.snapshot().is_empty()
    }

    /// State and log together, for cursors that need both of one moment.
    pub(crate) fn with_writer<T>(&self, read: impl FnOnce(Snapshot) -> T) -> T {
        let _writer = self.lock();
        read(self.snapshot())
    }

    fn lock(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_window(&self, revision: Revision) -> Result<(), Expired> {
        let oldest = self.main.read().floor;
        let lost = self.config.lost.iter().any(|range| range.contains(&revision.0));
        match revision < oldest || lost {
            true => Err(Expired { requested: revision, oldest }),
            false => Ok(()),
        }
    }

    /// Where the events that `filter` can pass are filed, complete above `from`.
    fn lane(&self, writer: &mut Writer, filter: &Filter, from: Revision) -> Arc<Lane> {
        match filter.interest(&self.config.indexes) {
            Interest::All => self.main.clone(),
            interest => writer.lanes.lane(interest, from, &self.main),
        }
    }

    fn publish(&self, writer: &mut Writer, state: State, events: Vec<Event>, now: Duration) {
        self.trim_window(writer, now);
        let mut touched: Vec<Arc<Lane>> = Vec::new();
        let mut news = false;
        let mut main = self.main.write();
        // State first: who has seen an event finds it in the state. Under the lock, so that who has seen the state finds
        // its events in the log.
        self.state.store(Arc::new(state));
        for event in events.into_iter().map(Arc::new) {
            writer.window_bytes += event.weight();
            for lane in writer.lanes.of(&event, &self.config.indexes) {
                lane.write().events.push_back(event.clone());
                if !touched.iter().any(|t| Arc::ptr_eq(t, &lane)) {
                    touched.push(lane);
                }
            }
            main.events.push_back(event);
            news = true;
        }
        drop(main);
        if news {
            self.main.wake();
        }
        touched.iter().for_each(|lane| lane.wake());
    }

    fn trim_window(&self, writer: &mut Writer, now: Duration) {
        let mut main = self.main.write();
        let old = now.saturating_sub(self.config.window_age);
        while let Some(event) = main.events.front().cloned() {
            if writer.window_bytes <= self.config.window_bytes && event.at >= old {
                break;
            }
            main.events.pop_front();
            main.first += 1;
            main.floor = main.floor.max(event.revision);
            writer.window_bytes -= event.weight();
            for lane in writer.lanes.of(&event, &self.config.indexes) {
                let mut log = lane.write();
                if log.events.front().is_some_and(|front| Arc::ptr_eq(front, &event)) {
                    log.events.pop_front();
                    log.first += 1;
                    log.floor = log.floor.max(event.revision);
                }
            }
        }
        let floor = main.floor;
        writer.kept.retain(|s| s.revision >= floor);
    }
}

/// Changes the state and says what happened; nothing when it is not news.
fn change(state: &mut State, update: Update, now: Duration) -> Option<Event> {
    match update {
        Update::Put(object) => {
            if state.get(&object.key).is_some_and(|have| have.revision >= object.revision) {
                return None;
            }
            let revision = object.revision;
            let object = Arc::new(object);
            let previous = state.put(object.clone());
            state.last = state.last.max(revision);
            let kind = if previous.is_some() { EventKind::Modified } else { EventKind::Added };
            Some(Event::new(kind, object, previous, revision, now))
        }
        Update::Delete { key, revision, last } => {
            if state.get(&key).is_some_and(|have| have.revision > revision) {
                return None;
            }
            let previous = state.remove(&key)?;
            state.last = state.last.max(revision);
            let object = Arc::new(last.unwrap_or_else(|| previous.at_revision(revision)));
            Some(Event::new(EventKind::Deleted, object, Some(previous), revision, now))
        }
    }
}

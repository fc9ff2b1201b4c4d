//! Work queues with client-go's semantics, and the loop that runs a controller over one. Start at [`WorkQueue`], then [`run`].
//!
//! A key that is added many times before a worker takes it is worked on once; one that is added while a worker has it is
//! worked on again afterwards, never twice at the same time.

mod limit;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt::{Debug, Display};
use std::future::Future;
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use stdx::Tasks;
use stdx::clock::SharedClock;
use tokio::sync::Notify;

pub use limit::{Backoff, RateLimit};

/// A queue of keys. Clones share it. Bounded by the number of distinct keys.
pub struct WorkQueue<T>(Arc<Shared<T>>);

impl<T> Clone for WorkQueue<T> {
    fn clone(&self) -> Self {
        WorkQueue(self.0.clone())
    }
}

struct Shared<T> {
    clock: SharedClock,
    state: Mutex<State<T>>,
    changed: Notify,
}

struct State<T> {
    /// Ready, in order; each also in `dirty`, none in `processing`.
    ready: VecDeque<T>,
    /// Needs work.
    dirty: HashSet<T>,
    /// A worker has it.
    processing: HashSet<T>,
    /// Waits for its time. The set orders what the map knows; the number keeps equal times apart.
    delayed: BTreeSet<(Duration, u64)>,
    delayed_keys: HashMap<u64, T>,
    delayed_at: HashMap<T, (Duration, u64)>,
    next_id: u64,
    limit: RateLimit<T>,
    shut_down: bool,
}

impl<T: Clone + Eq + Hash + Send + 'static> WorkQueue<T> {
    /// With a controller's usual limits: 5 ms to 1000 s for each key, 10 a second (burst 100) for all retries together.
    pub fn new(clock: SharedClock) -> Self {
        Self::with_backoff(clock, Backoff::CONTROLLER)
    }

    pub fn with_backoff(clock: SharedClock, backoff: Backoff) -> Self {
        let state = State {
            ready: VecDeque::new(),
            dirty: HashSet::new(),
            processing: HashSet::new(),
            delayed: BTreeSet::new(),
            delayed_keys: HashMap::new(),
            delayed_at: HashMap::new(),
            next_id: 0,
            limit: RateLimit::new(backoff),
            shut_down: false,
        };
        WorkQueue(Arc::new(Shared { clock, state: Mutex::new(state), changed: Notify::new() }))
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // No code under the lock can leave the state half-changed.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for work on `item`. Nothing after [`WorkQueue::shut_down`].
    pub fn add(&self, item: T) {
        if self.state().add(item) {
            self.0.changed.notify_one();
        }
    }

    /// Adds after `delay`; the earlier of two delays counts.
    pub fn add_after(&self, item: T, delay: Duration) {
        if delay.is_zero() {
            return self.add(item);
        }
        let at = self.0.clock.monotonic() + delay;
        if self.state().add_at(item, at) {
            self.0.changed.notify_one();
        }
    }

    /// Adds after this key's back-off, which grows with every call until [`WorkQueue::forget`].
    pub fn add_rate_limited(&self, item: T) {
        let now = self.0.clock.monotonic();
        let delay = self.state().limit.next(&item, now);
        self.add_after(item, delay);
    }

    /// The key's work succeeded: its back-off starts anew.
    pub fn forget(&self, item: &T) {
        self.state().limit.forget(item);
    }

    /// How often the key was added rate-limited since it was last forgotten.
    pub fn requeues(&self, item: &T) -> u32 {
        self.state().limit.failures(item)
    }

    /// Keys that are ready now.
    pub fn len(&self) -> usize {
        self.state().ready.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next key; `None` after shut-down once the ready keys are gone. Call [`WorkQueue::done`] when finished with it.
    pub async fn get(&self) -> Option<T> {
        loop {
            let changed = self.0.changed.notified();
            let now = self.0.clock.monotonic();
            let taken = self.state().take(now);
            let wait = match taken {
                Take::Item(item) => {
                    // This worker is busy now: another must see to the rest, and to the clock.
                    if self.state().has_more() {
                        self.0.changed.notify_one();
                    }
                    return Some(item);
                }
                Take::ShutDown => return None,
                Take::Wait(until) => until.map(|t| t.saturating_sub(now)),
            };
            match wait {
                None => changed.await,
                Some(wait) => tokio::select! {
                    () = changed => {}
                    () = self.0.clock.sleep(wait) => {}
                },
            }
        }
    }

    /// The worker is finished with the key. If it was added meanwhile it is ready again.
    pub fn done(&self, item: &T) {
        if self.state().done(item) {
            self.0.changed.notify_one();
        }
    }

    /// Lets workers finish what is ready, takes nothing new, drops what waits.
    pub fn shut_down(&self) {
        self.state().shut_down = true;
        self.0.changed.notify_waiters();
    }
}

enum Take<T> {
    Item(T),
    Wait(Option<Duration>),
    ShutDown,
}

impl<T: Clone + Eq + Hash> State<T> {
    /// True when a worker should wake.
    fn add(&mut self, item: T) -> bool {
        if self.shut_down || !self.dirty.insert(item.clone()) {
            return false;
        }
        if self.processing.contains(&item) {
            return false;
        }
        self.ready.push_back(item);
        true
    }

    fn add_at(&mut self, item: T, at: Duration) -> bool {
        if self.shut_down {
            return false;
        }
        if let Some(known) = self.delayed_at.get(&item).copied() {
            if known.0 <= at {
                return false;
            }
            self.delayed.remove(&known);
            self.delayed_keys.remove(&known.1);
        }
        let slot = (at, self.next_id);
        self.next_id += 1;
        self.delayed.insert(slot);
        self.delayed_keys.insert(slot.1, item.clone());
        self.delayed_at.insert(item, slot);
        self.delayed.first() == Some(&slot)
    }

    fn take(&mut self, now: Duration) -> Take<T> {
        while let Some(slot) = self.delayed.first().copied().filter(|slot| slot.0 <= now && !self.shut_down) {
            self.delayed.remove(&slot);
            if let Some(item) = self.delayed_keys.remove(&slot.1) {
                self.delayed_at.remove(&item);
                self.add(item);
            }
        }
        if let Some(item) = self.ready.pop_front() {
            self.dirty.remove(&item);
            self.processing.insert(item.clone());
            return Take::Item(item);
        }
        if self.shut_down {
            return Take::ShutDown;
        }
        Take::Wait(self.delayed.first().map(|slot| slot.0))
    }

    fn has_more(&self) -> bool {
        !self.ready.is_empty() || !self.delayed.is_empty()
    }

    fn done(&mut self, item: &T) -> bool {
        self.processing.remove(item);
        if self.dirty.contains(item) {
            self.ready.push_back(item.clone());
            return true;
        }
        false
    }
}

/// What a successful reconcile wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requeue {
    /// Only when something changes.
    Never,
    /// Also after this long.
    After(Duration),
    /// After the key's back-off, as if it had failed, but there is nothing to log.
    RateLimited,
}

/// Runs `reconcile` for every key of `queue`, with at most `workers` at a time, until `tasks` is stopped. An error is logged and
/// the key comes back after its back-off; so does one whose reconcile panicked.
pub fn run<T, F, Fut>(name: &'static str, queue: &WorkQueue<T>, tasks: &Tasks, workers: usize, reconcile: F)
where
    T: Clone + Eq + Hash + Debug + Display + Send + Sync + 'static,
    F: Fn(T) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = anyhow::Result<Requeue>> + Send + 'static,
{
    let reconcile = Arc::new(reconcile);
    for _ in 0..workers {
        let (queue, reconcile) = (queue.clone(), reconcile.clone());
        tasks.spawn_until_shutdown(async move {
            while let Some(item) = queue.get().await {
                work(name, &queue, item, &*reconcile).await;
            }
        });
    }
    let (queue, shutdown) = (queue.clone(), tasks.shutdown());
    tasks.spawn(async move {
        shutdown.cancelled().await;
        queue.shut_down();
    });
}

async fn work<T, F, Fut>(name: &'static str, queue: &WorkQueue<T>, item: T, reconcile: &F)
where
    T: Clone + Eq + Hash + Debug + Display + Send + 'static,
    F: Fn(T) -> Fut,
    Fut: Future<Output = anyhow::Result<Requeue>>,
{
    // One bad object must not take a worker, and with it every other object, down.
    match AssertUnwindSafe(reconcile(item.clone())).catch_unwind().await {
        Ok(Ok(Requeue::Never)) => queue.forget(&item),
        Ok(Ok(Requeue::After(delay))) => {
            queue.forget(&item);
            queue.add_after(item.clone(), delay);
        }
        Ok(Ok(Requeue::RateLimited)) => queue.add_rate_limited(item.clone()),
        Ok(Err(error)) => {
            log_failure(name, &item, queue.requeues(&item), &error);
            queue.add_rate_limited(item.clone());
        }
        Err(_) => {
            tracing::error!(controller = name, key = %item, "reconcile panicked");
            queue.add_rate_limited(item.clone());
        }
    }
    queue.done(&item);
}

/// Conflicts are the ordinary price of acting on a cache; anything else is news.
fn log_failure(name: &str, key: &impl Display, retries: u32, error: &anyhow::Error) {
    let conflict = error.downcast_ref::<apimachinery::Status>().is_some_and(|s| s.is_conflict());
    if conflict {
        tracing::debug!(controller = name, %key, retries, "{error:#}");
    } else {
        tracing::warn!(controller = name, %key, retries, "reconcile failed: {error:#}");
    }
}

//! A priority level: its seats, and the queues of those that wait for one.
//!
//! The way of a request that finds a seat is two atomic operations. Only who has to wait takes the lock. Who waits counts itself
//! first and looks for a seat once more; who gives one back does that first and looks for waiting ones then: one of the two sees
//! the other.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;

use k8s_openapi::api::flowcontrol::v1::PriorityLevelConfiguration;
use stdx::clock::SharedClock;
use tokio::sync::oneshot;

use super::shuffle;

/// A request that has found no seat after this is told to come again: a quarter of the longest that one may take, as upstream.
const WAIT_MAX: Duration = Duration::from_secs(15);

/// How many seats a level has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seats {
    /// Its own, that nobody else gets.
    pub own: usize,
    /// That it puts into the pool.
    pub lendable: usize,
    /// How many of the pool it may have, its lendable ones included.
    pub of_pool: usize,
}

/// What each level gets of `concurrency` seats: as many as its shares are of all, rounded up.
pub fn seats(concurrency: usize, levels: &[PriorityLevelConfiguration]) -> Vec<Seats> {
    let shares = |level: &PriorityLevelConfiguration| {
        let limited = level.spec.limited.as_ref().map(|l| l.nominal_concurrency_shares);
        let exempt = level.spec.exempt.as_ref().map(|e| e.nominal_concurrency_shares);
        count(limited.or(exempt).flatten())
    };
    let all = levels.iter().map(shares).sum::<usize>().max(1);
    let of = |level: &PriorityLevelConfiguration| {
        let nominal = (concurrency * shares(level)).div_ceil(all);
        let limited = level.spec.limited.as_ref();
        let percent = limited.map_or_else(
            || level.spec.exempt.as_ref().and_then(|e| e.lendable_percent),
            |l| l.lendable_percent,
        );
        let lendable = (nominal * count(percent) + 50) / 100;
        let borrowed = limited.and_then(|l| l.borrowing_limit_percent);
        let borrowed = borrowed.map_or(concurrency, |p| (nominal * count(Some(p))).div_ceil(100));
        Seats { own: nominal - lendable.min(nominal), lendable, of_pool: lendable + borrowed }
    };
    levels.iter().map(of).collect()
}

fn count(number: Option<i32>) -> usize {
    usize::try_from(number.unwrap_or(0)).unwrap_or(0)
}

/// Why a request may not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The level does not queue.
    NoSeat,
    QueueFull,
    TimedOut,
}

/// The seats that are lent, and who might want one.
#[derive(Default)]
pub struct Pool {
    size: AtomicUsize,
    taken: AtomicUsize,
    /// How many wait, in all levels.
    waiting: AtomicUsize,
    levels: RwLock<Vec<Weak<Level>>>,
}

impl Pool {
    pub fn resize(&self, size: usize) {
        self.size.store(size, SeqCst);
    }

    pub fn waiting(&self) -> usize {
        self.waiting.load(SeqCst)
    }

    pub fn set_levels<'a>(&self, levels: impl Iterator<Item = &'a Arc<Level>>) {
        *self.levels.write().unwrap_or_else(PoisonError::into_inner) = levels.map(Arc::downgrade).collect();
    }

    /// Lets those of any level have what is free.
    fn dispatch(&self) {
        let levels: Vec<Weak<Level>> = self.levels.read().unwrap_or_else(PoisonError::into_inner).clone();
        levels.iter().filter_map(Weak::upgrade).for_each(|level| level.dispatch());
    }
}

/// One priority level of this server.
pub struct Level {
    exempt: AtomicBool,
    own: AtomicUsize,
    of_pool: AtomicUsize,
    running: AtomicUsize,
    borrowed: AtomicUsize,
    waiting: AtomicUsize,
    pool: Arc<Pool>,
    queues: Mutex<Queues>,
}

#[derive(Default)]
struct Queues {
    queues: Vec<VecDeque<Waiter>>,
    hand: usize,
    /// How many may wait in one.
    length: usize,
    /// Whose turn it is.
    next: usize,
    last_id: u64,
}

struct Waiter {
    id: u64,
    seat: oneshot::Sender<Seat>,
}

/// The right to run, until it is dropped.
pub struct Seat {
    level: Option<Arc<Level>>,
    of_pool: bool,
}

impl Seat {
    /// One that nobody counts.
    pub fn free() -> Self {
        Seat { level: None, of_pool: false }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some(level) = self.level.take() else { return };
        level.give_back(self.of_pool);
        // Its own level first, then whoever may have what was lent.
        if level.waiting.load(SeqCst) > 0 {
            level.dispatch();
        }
        if self.of_pool && level.pool.waiting.load(SeqCst) > 0 {
            level.pool.dispatch();
        }
    }
}

/// One more, if there are fewer than `max`.
fn take(counter: &AtomicUsize, max: &AtomicUsize) -> bool {
    let max = max.load(SeqCst);
    counter.fetch_update(SeqCst, SeqCst, |n| (n < max).then_some(n + 1)).is_ok()
}

impl Level {
    pub fn new(pool: &Arc<Pool>) -> Arc<Level> {
        Arc::new(Level {
            exempt: AtomicBool::new(false),
            own: AtomicUsize::new(0),
            of_pool: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            borrowed: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            pool: pool.clone(),
            queues: Mutex::default(),
        })
    }

    /// Takes over what the object says; those that wait go on waiting.
    pub fn configure(self: &Arc<Self>, object: &PriorityLevelConfiguration, seats: Seats) {
        self.exempt.store(object.spec.type_ == "Exempt", SeqCst);
        self.own.store(seats.own, SeqCst);
        self.of_pool.store(seats.of_pool, SeqCst);
        let queuing = object.spec.limited.as_ref().and_then(|l| l.limit_response.queuing.as_ref());
        let (queues, hand, length) =
            queuing.map_or((0, 0, 0), |q| (count(q.queues), count(q.hand_size), count(q.queue_length_limit)));
        self.lock().rearrange(queues, hand, length);
        self.dispatch();
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Completes when the request of this flow may run.
    pub async fn enter(self: &Arc<Self>, flow: u64, clock: &SharedClock) -> Result<Seat, Refused> {
        if self.exempt.load(SeqCst) {
            return Ok(Seat::free());
        }
        if self.waiting.load(SeqCst) == 0
            && let Some(seat) = self.take()
        {
            return Ok(seat);
        }
        let mut waiting = self.queue(flow)?;
        // A seat may have come free before anybody waited for it.
        self.dispatch();
        tokio::select! {
            biased;
            seat = &mut waiting.seat => seat.map_err(|_| Refused::TimedOut),
            () = clock.sleep(WAIT_MAX) => Err(Refused::TimedOut),
        }
    }

    fn queue(self: &Arc<Self>, flow: u64) -> Result<Waiting, Refused> {
        let mut queues = self.lock();
        let at = queues.choose(flow).ok_or(Refused::NoSeat)?;
        if queues.queues[at].len() >= queues.length {
            return Err(Refused::QueueFull);
        }
        let (seat, received) = oneshot::channel();
        queues.last_id += 1;
        let id = queues.last_id;
        queues.queues[at].push_back(Waiter { id, seat });
        self.waiting.fetch_add(1, SeqCst);
        self.pool.waiting.fetch_add(1, SeqCst);
        Ok(Waiting { level: self.clone(), id, seat: received })
    }

    /// A seat of its own, or one of the pool.
    fn take(self: &Arc<Self>) -> Option<Seat> {
        if take(&self.running, &self.own) {
            return Some(Seat { level: Some(self.clone()), of_pool: false });
        }
        if take(&self.borrowed, &self.of_pool) {
            if take(&self.pool.taken, &self.pool.size) {
                return Some(Seat { level: Some(self.clone()), of_pool: true });
            }
            self.borrowed.fetch_sub(1, SeqCst);
        }
        None
    }

    fn give_back(&self, of_pool: bool) {
        match of_pool {
            true => {
                self.pool.taken.fetch_sub(1, SeqCst);
                self.borrowed.fetch_sub(1, SeqCst);
            }
            false => {
                self.running.fetch_sub(1, SeqCst);
            }
        }
    }

    /// Gives free seats to those that wait, the queues in turn.
    fn dispatch(self: &Arc<Self>) {
        let mut left = None;
        let mut queues = self.lock();
        while self.waiting.load(SeqCst) > 0 {
            let Some(seat) = left.take().or_else(|| self.take()) else { break };
            match queues.pop() {
                None => {
                    left = Some(seat);
                    break;
                }
                Some(waiter) => {
                    self.uncount(1);
                    // Whoever has gone away leaves the seat to the next.
                    left = waiter.seat.send(seat).err();
                }
            }
        }
        drop(queues);
        // Dropped without the lock, which giving it back may need.
        drop(left);
    }

    fn uncount(&self, waiters: usize) {
        self.waiting.fetch_sub(waiters, SeqCst);
        self.pool.waiting.fetch_sub(waiters, SeqCst);
    }
}

/// A place in a queue, given up when this is dropped.
struct Waiting {
    level: Arc<Level>,
    id: u64,
    seat: oneshot::Receiver<Seat>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut queues = self.level.lock();
        let gone = queues.remove(self.id);
        drop(queues);
        self.level.uncount(usize::from(gone));
    }
}

impl Queues {
    /// The shortest queue of the flow's hand; none where there are no queues.
    fn choose(&self, flow: u64) -> Option<usize> {
        let hand = shuffle::deal(flow, self.queues.len(), self.hand);
        hand.into_iter().min_by_key(|at| self.queues[*at].len())
    }

    /// The first of the queue whose turn it is.
    fn pop(&mut self) -> Option<Waiter> {
        let n = self.queues.len();
        let at = (0..n).map(|i| (self.next + i) % n).find(|at| !self.queues[*at].is_empty())?;
        self.next = (at + 1) % n;
        self.queues[at].pop_front()
    }

    fn remove(&mut self, id: u64) -> bool {
        self.queues.iter_mut().any(|queue| {
            let at = queue.iter().position(|waiter| waiter.id == id);
            at.and_then(|at| queue.remove(at)).is_some()
        })
    }

    fn rearrange(&mut self, queues: usize, hand: usize, length: usize) {
        (self.hand, self.length) = (hand, length);
        // A level that no longer queues keeps one queue until those that wait are through: none is chosen with an empty hand.
        let queues = if self.queues.iter().any(|q| !q.is_empty()) { queues.max(1) } else { queues };
        if queues == self.queues.len() {
            return;
        }
        let waiting: Vec<Waiter> = self.queues.drain(..).flatten().collect();
        self.queues.resize_with(queues, VecDeque::new);
        self.next = 0;
        for (i, waiter) in waiting.into_iter().enumerate() {
            self.queues[i % queues].push_back(waiter);
        }
    }
}

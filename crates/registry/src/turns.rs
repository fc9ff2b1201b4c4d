//! Turns: writers of one object that would only refuse each other's writes come one after the other.
//!
//! Nobody has to take one: the store's guards decide, turns only save work. A writer that nobody contests never meets another here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use apimachinery::{GroupResource, ObjectKey};
use stdx::clock::SharedClock;
use tokio::sync::OwnedMutexGuard;

/// Longer nobody waits: a writer goes on without a turn then, so that no circle of writers is for ever.
const PATIENCE: Duration = Duration::from_secs(1);

/// An object of a resource.
pub(crate) type Contested = (GroupResource, ObjectKey);

/// Who waits for whom.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<Contested, Arc<tokio::sync::Mutex<()>>>>);

/// A writer's turn, until it is dropped.
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    of: Contested,
    place: Arc<tokio::sync::Mutex<()>>,
    mine: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Whether anybody has a turn or waits for one.
    pub fn contested(&self, of: &Contested) -> bool {
        self.lock().contains_key(of)
    }

    /// Completes when it is the caller's turn, in the order of calls, or it has waited long enough.
    pub async fn take(&self, of: Contested, clock: &SharedClock) -> Turn<'_> {
        let place = self.lock().entry(of.clone()).or_default().clone();
        let mut turn = Turn { turns: self, of, place, mine: None };
        tokio::select! {
            biased;
            mine = turn.place.clone().lock_owned() => turn.mine = Some(mine),
            () = clock.sleep(PATIENCE) => {}
        }
        turn
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Contested, Arc<tokio::sync::Mutex<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        drop(self.mine.take());
        let mut all = self.turns.lock();
        // The table's and this one: nobody else waits, and nobody can begin to while the table is locked.
        if Arc::strong_count(&self.place) == 2 {
            all.remove(&self.of);
        }
    }
}

#[cfg(test)]
mod tests {
    use stdx::SystemClock;

    use super::*;

    #[tokio::test]
    async fn writers_come_one_after_the_other_and_leave_nothing() {
        let (turns, clock) = (Turns::default(), SystemClock::shared());
        let resource = GroupResource { group: "".into(), resource: "configmaps".into() };
        let of = (resource, ObjectKey::new("a", "b"));
        assert!(!turns.contested(&of));
        let first = turns.take(of.clone(), &clock).await;
        assert!(turns.contested(&of));
        let second = turns.take(of.clone(), &clock);
        tokio::pin!(second);
        assert!(futures::poll!(second.as_mut()).is_pending());
        drop(first);
        let second = second.await;
        assert!(second.mine.is_some());
        // One that goes away while it waits is forgotten, too.
        let mut third = Box::pin(turns.take(of.clone(), &clock));
        assert!(futures::poll!(third.as_mut()).is_pending());
        drop(third);
        drop(second);
        assert!(!turns.contested(&of));
    }
}

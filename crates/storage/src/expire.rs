//! Lets objects expire where the engine does not: each goes when it has not been written for its collection's time.
//!
//! Times are not stored, so that what a server finds at its start counts as written then.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use apimachinery::{ObjectKey, Revision};
use cache::{Filter, Watch, WatchItem};
use stdx::clock::SharedClock;

use crate::collection::{Collection, Terms, WriteError};

/// Parts of the time that writes are taken together in: objects live up to one part longer.
const PARTS: u32 = 60;

/// Writes that expire together.
#[derive(Debug)]
struct Mark {
    first: Duration,
    last: Duration,
    /// Of the last of them.
    revision: Revision,
}

/// For as long as the collection is used.
pub(crate) async fn run(collection: Arc<Collection>, ttl: Duration, clock: SharedClock) {
    let cache = collection.cache().clone();
    let mut marks = VecDeque::new();
    let mut watch = begin(&collection, &mut marks, &clock);
    loop {
        let due = marks.front().map(|m: &Mark| (m.last + ttl).saturating_sub(clock.monotonic()));
        let expired = async {
            match due {
                Some(left) => clock.sleep(left).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = expired => {
                if let Some(mark) = marks.pop_front() {
                    remove(&collection, mark.revision).await;
                }
            }
            item = watch.next() => match item {
                Ok(WatchItem::Event(event)) => note(&mut marks, clock.monotonic(), event.revision, ttl),
                Ok(WatchItem::InitialEnd(_)) => {}
                Err(_) => {
                    tracing::debug!(prefix = collection.spec.prefix, at = %cache.revision(), "too many writes to see each");
                    watch = begin(&collection, &mut marks, &clock);
                }
            }
        }
    }
}

/// Everything that is there counts as written now.
fn begin(collection: &Collection, marks: &mut VecDeque<Mark>, clock: &SharedClock) -> Watch {
    let now = clock.monotonic();
    loop {
        let revision = collection.cache().revision();
        // The window may have moved on between the two.
        if let Ok(watch) = collection.cache().watch(revision, Filter::all()) {
            marks.push_back(Mark { first: now, last: now, revision });
            return watch;
        }
    }
}

fn note(marks: &mut VecDeque<Mark>, now: Duration, revision: Revision, ttl: Duration) {
    match marks.back_mut() {
        Some(mark) if now.saturating_sub(mark.first) < ttl / PARTS => {
            mark.last = now;
            mark.revision = mark.revision.max(revision);
        }
        _ => marks.push_back(Mark { first: now, last: now, revision }),
    }
}

/// Removes what was last written at `until` or before.
async fn remove(collection: &Collection, until: Revision) {
    let old: Vec<(ObjectKey, Revision)> = {
        let now = collection.cache().snapshot();
        let old = now.iter(None, None).filter(|o| o.revision <= until);
        old.map(|o| (o.key.clone(), o.revision)).collect()
    };
    for (key, revision) in old {
        match collection.delete(&key, revision, None, Terms::default()).await {
            // Written or removed meanwhile: then it is not old.
            Ok(_) | Err(WriteError::Conflict { .. }) => {}
            Err(error) => {
                tracing::warn!(%key, %error, "cannot remove what has expired");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use stdx::Tasks;
    use testkit::FakeClock;

    use super::*;
    use crate::collection::CollectionSpec;
    use crate::engine::Engine;
    use crate::memory::MemoryEngine;
    use crate::store::{Store, StoreConfig};
    use crate::testsuite::collections::{spec, thing};

    const TTL: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn what_is_not_written_again_goes() {
        let (clock, tasks) = (FakeClock::new(), Tasks::new());
        let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
        let store = Store::open(engine, StoreConfig::new(clock.shared()), &tasks).await.unwrap();
        let expiring = CollectionSpec { ttl: Some(TTL), ..spec("/registry/events/") };
        let events = store.collection(expiring).await.unwrap();
        let [a, b] = ["a", "b"].map(|name| ObjectKey::new("ns", name));
        let first = events.create(&a, thing("1"), Terms::default()).await.unwrap();
        events.create(&b, thing("1"), Terms::default()).await.unwrap();
        settle().await;
        clock.advance(TTL / 2);
        settle().await;
        events.update(&a, thing("2"), first.revision, Terms::default()).await.unwrap();
        settle().await;
        let mut seen = events.cache().watch(events.cache().revision(), Filter::all()).unwrap();
        clock.advance(TTL / 2);
        for (gone, left) in [("b", 1), ("a", 0)] {
            let Ok(WatchItem::Event(event)) = seen.next().await else { panic!() };
            assert_eq!((&*event.object.key.name, events.cache().len()), (gone, left));
            settle().await;
            clock.advance(TTL / 2);
        }
        tasks.stop().await;
    }

    /// Somebody sets the time of day: nothing goes early, and nothing stays.
    #[tokio::test]
    async fn the_time_of_day_does_not_matter() {
        let (clock, tasks) = (FakeClock::new(), Tasks::new());
        let store = Store::open(Arc::new(MemoryEngine::new()), StoreConfig::new(clock.shared()), &tasks)
            .await
            .unwrap();
        let expiring = CollectionSpec { ttl: Some(TTL), ..spec("/registry/events/") };
        let events = store.collection(expiring).await.unwrap();
        events.create(&ObjectKey::new("ns", "a"), thing("1"), Terms::default()).await.unwrap();
        settle().await;
        let mut seen = events.cache().watch(events.cache().revision(), Filter::all()).unwrap();
        for seconds in [400 * 86_400, -800 * 86_400] {
            clock.set(seconds);
            clock.advance(TTL / 4);
            settle().await;
            assert_eq!(events.cache().len(), 1);
        }
        clock.advance(TTL);
        assert!(matches!(seen.next().await, Ok(WatchItem::Event(_))));
        assert_eq!(events.cache().len(), 0);
        tasks.stop().await;
    }

    /// Lets other tasks of this thread run as far as they can.
    async fn settle() {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
}

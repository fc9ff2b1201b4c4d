//! Watchers that come and go at random under many writers see exactly the history.

use std::sync::Arc;

use apimachinery::{ObjectKey, Revision};
use cache::{EventKind, Filter, Watch, WatchItem};
use stdx::{Random, Tasks};

use super::collections::{spec, store, text, thing};
use crate::collection::{Collection, Terms, WriteError};
use crate::engine::Engine;

const WRITERS: u64 = 32;
const WRITES: u64 = 25;
const WATCHERS: u64 = 8;
const NAMESPACES: u64 = 3;

/// An event as it is compared.
type Seen = (Revision, EventKind, ObjectKey, String);

pub(super) async fn run(engine: Arc<dyn Engine>) {
    let tasks = Tasks::new();
    let things = store(engine, &tasks).await.collection(spec("/registry/things/")).await.unwrap();
    let start = things.cache().revision();
    let watchers: Vec<_> =
        (0..WATCHERS).map(|seed| tokio::spawn(watcher(things.clone(), start, seed))).collect();
    let writers: Vec<_> = (0..WRITERS).map(|seed| tokio::spawn(writer(things.clone(), seed))).collect();
    let mut history = Vec::new();
    for writer in writers {
        history.extend(writer.await.unwrap());
    }
    history.sort_by_key(|(revision, ..)| *revision);

    // The last event for everybody: they stop there.
    let key = ObjectKey::new("ns0", "end");
    let end = things.create(&key, thing("end"), Terms::default()).await.unwrap();
    history.push((end.revision, EventKind::Added, key, "end".into()));
    for (seed, watcher) in watchers.into_iter().enumerate() {
        let filter = filter(seed as u64);
        let wanted = |(_, _, key, _): &&Seen| filter.namespace.as_ref().is_none_or(|n| *n == key.namespace);
        let expected: Vec<_> = history.iter().filter(wanted).cloned().collect();
        assert_eq!(watcher.await.unwrap(), expected, "watcher {seed}");
    }
    tasks.stop().await;
}

/// Half of the watchers want one namespace only.
fn filter(seed: u64) -> Filter {
    Filter::namespace(if seed.is_multiple_of(2) { "" } else { "ns0" })
}

/// Creates, changes and deletes, and tells what it did.
async fn writer(things: Arc<Collection>, seed: u64) -> Vec<Seen> {
    let random = Random::seeded(seed);
    let mut did = Vec::new();
    for n in 0..WRITES {
        let key =
            ObjectKey::new(&format!("ns{}", random.below(NAMESPACES)), &format!("n{}", random.below(20)));
        let value = format!("{seed}.{n}");
        let current = things.cache().get(&key);
        let terms = Terms::default();
        let (kind, result) = match current {
            None => (EventKind::Added, things.create(&key, thing(&value), terms).await),
            Some(o) if random.below(3) > 0 => {
                (EventKind::Modified, things.update(&key, thing(&value), o.revision, terms).await)
            }
            Some(o) => (EventKind::Deleted, things.delete(&key, o.revision, None, terms).await),
        };
        match result {
            Ok(object) => did.push((object.revision, kind, key, text(&object))),
            // Somebody else was quicker.
            Err(WriteError::Exists | WriteError::Conflict { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    did
}

/// Follows until the last event, and now and then begins anew from where it was.
async fn watcher(things: Arc<Collection>, start: Revision, seed: u64) -> Vec<Seen> {
    let random = Random::seeded(1000 + seed);
    let connect = |from| -> Watch { things.cache().watch(from, filter(seed)).unwrap() };
    let mut seen: Vec<Seen> = Vec::new();
    let mut watch = connect(start);
    loop {
        let WatchItem::Event(event) = watch.next().await.unwrap() else {
            panic!("no initial events were asked for")
        };
        let value = text(&event.object);
        let end = value == "end";
        seen.push((event.revision, event.kind, event.object.key.clone(), value));
        if end {
            return seen;
        }
        if random.below(4) == 0 {
            // A client knows the last event or a bookmark.
            let from = if random.below(2) == 0 { event.revision } else { watch.position() };
            watch = connect(from);
        }
    }
}

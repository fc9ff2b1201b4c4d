//! Collections over an engine.

use std::sync::Arc;

use apimachinery::{Meta, ObjectKey, Revision};
use bytes::Bytes;
use cache::{EventKind, Filter, Object, WatchItem};
use stdx::{SystemClock, Tasks};

use crate::collection::{Collection, CollectionSpec, Parse, ParseError, Terms, WriteError};
use crate::engine::{Durability, Engine};
use crate::store::{OpenError, Store, StoreConfig};

pub(super) async fn run(make: &impl AsyncFn() -> Arc<dyn Engine>) {
    writes(make().await).await;
    guards(make().await).await;
    deletions(make().await).await;
    late_collections(make().await).await;
    narrow_window(make().await).await;
    forgets(make().await).await;
    closing(make().await).await;
}

/// The value of an object of the tests.
pub(crate) fn thing(text: &str) -> Bytes {
    format!(r#"{{"apiVersion":"v1","kind":"Thing","metadata":{{"name":"n"}},"text":"{text}"}}"#).into()
}

/// Puts the revision where codec would.
pub(crate) fn parse() -> Parse {
    Arc::new(|key: &ObjectKey, revision: Revision, value: &[u8]| {
        let value = std::str::from_utf8(value).map_err(|e| ParseError(e.to_string()))?;
        let (head, tail) =
            value.split_once("\"metadata\":{").ok_or_else(|| ParseError("no metadata".into()))?;
        let json = format!("{head}\"metadata\":{{\"resourceVersion\":\"{revision}\",{tail}");
        Ok(Object::new(key.clone(), revision, Meta::default(), Box::default(), json.into()))
    })
}

pub(crate) fn spec(prefix: &str) -> CollectionSpec {
    CollectionSpec {
        prefix: prefix.into(),
        parse: parse(),
        indexes: Vec::new(),
        durability: Durability::Durable,
        ttl: None,
    }
}

pub(crate) async fn store(engine: Arc<dyn Engine>, tasks: &Tasks) -> Arc<Store> {
    Store::open(engine, StoreConfig::new(SystemClock::shared()), tasks).await.unwrap()
}

/// The text that an object was made with.
pub(crate) fn text(object: &Object) -> String {
    let json = std::str::from_utf8(object.json()).unwrap();
    assert!(json.contains(&format!("\"resourceVersion\":\"{}\"", object.revision)), "{json}");
    json.split("\"text\":\"").nth(1).unwrap().split('"').next().unwrap().into()
}

async fn things(engine: Arc<dyn Engine>, tasks: &Tasks) -> Arc<Collection> {
    store(engine, tasks).await.collection(spec("/registry/things/")).await.unwrap()
}

async fn writes(engine: Arc<dyn Engine>) {
    let tasks = Tasks::new();
    let things = things(engine, &tasks).await;
    let key = ObjectKey::new("ns", "a");
    let made = things.create(&key, thing("1"), Terms::default()).await.unwrap();
    assert_eq!(text(&made), "1");
    let read = things.cache().get(&key).expect("a read after a write sees it");
    assert!(Arc::ptr_eq(&read, &made));

    let twice = things.create(&key, thing("2"), Terms::default()).await;
    assert!(matches!(twice, Err(WriteError::Exists)), "{twice:?}");
    let changed = things.update(&key, thing("2"), made.revision, Terms::default()).await.unwrap();
    assert!(changed.revision > made.revision);
    let stale = things.update(&key, thing("3"), made.revision, Terms::default()).await;
    let Err(WriteError::Conflict { current: Some(current) }) = stale else { panic!("{stale:?}") };
    assert_eq!((text(&current), current.revision), ("2".into(), changed.revision));
    let missing = ObjectKey::new("ns", "b");
    let absent = things.update(&missing, thing("3"), made.revision, Terms::default()).await;
    assert!(matches!(absent, Err(WriteError::Conflict { current: None })), "{absent:?}");
    let big = things.create(&missing, thing(&"x".repeat(crate::engine::MAX_VALUE)), Terms::default()).await;
    assert!(matches!(big, Err(WriteError::TooLarge { .. })), "{big:?}");
    let unreadable = things.create(&missing, Bytes::from_static(b"{}"), Terms::default()).await;
    assert!(matches!(unreadable, Err(WriteError::Lost(_))), "{unreadable:?}");

    let before = things.cache().snapshot_at(made.revision).unwrap();
    assert_eq!(text(before.get(&key).unwrap()), "1");
    things.fresh().await.unwrap();
    assert_eq!(things.cache().len(), 1);
    tasks.stop().await;
}

async fn guards(engine: Arc<dyn Engine>) {
    let tasks = Tasks::new();
    let store = store(engine, &tasks).await;
    let spaces = store.collection(spec("/registry/spaces/")).await.unwrap();
    let things = store.collection(spec("/registry/things/")).await.unwrap();
    let space = ObjectKey::cluster("ns");
    let key = ObjectKey::new("ns", "a");

    let exists = || Terms { guards: vec![spaces.exists(&space)], durability: None };
    let refused = things.create(&key, thing("1"), exists()).await;
    assert!(
        matches!(&refused, Err(WriteError::GuardFailed { key }) if **key == *"/registry/spaces/ns"),
        "{refused:?}"
    );
    let made = spaces.create(&space, thing("live"), Terms::default()).await.unwrap();
    things.create(&key, thing("1"), exists()).await.unwrap();

    let unchanged = Terms { guards: vec![spaces.unchanged(&space, made.revision)], durability: None };
    spaces.update(&space, thing("ending"), made.revision, Terms::default()).await.unwrap();
    let refused = things.create(&ObjectKey::new("ns", "b"), thing("1"), unchanged.clone()).await;
    assert!(matches!(refused, Err(WriteError::GuardFailed { .. })), "{refused:?}");
    // The own condition is told first: a client wants to know that it exists.
    let refused = things.create(&key, thing("1"), unchanged).await;
    assert!(matches!(refused, Err(WriteError::Exists)), "{refused:?}");
    tasks.stop().await;
}

async fn deletions(engine: Arc<dyn Engine>) {
    let tasks = Tasks::new();
    let end = if engine.keeps_last() { "end" } else { "1" };
    let things = things(engine, &tasks).await;
    let (a, b) = (ObjectKey::new("ns", "a"), ObjectKey::new("ns", "b"));
    let mut watch = things.cache().watch_initial(Filter::all());
    let made = [&a, &b].map(|key| things.create(key, thing("1"), Terms::default()));
    let [a1, b1] = made.map(|f| f);
    let (a1, b1) = (a1.await.unwrap(), b1.await.unwrap());

    let stale = things.delete(&a, b1.revision, None, Terms::default()).await;
    assert!(matches!(stale, Err(WriteError::Conflict { current: Some(_) })), "{stale:?}");
    let gone = things.delete(&a, a1.revision, None, Terms::default()).await.unwrap();
    assert_eq!(text(&gone), "1");
    assert!(gone.revision > b1.revision, "a deletion has a revision of its own");
    let gone = things.delete(&b, b1.revision, Some(thing("end")), Terms::default()).await.unwrap();
    assert_eq!(text(&gone), end);
    assert!(things.cache().is_empty());

    let mut seen = Vec::new();
    while seen.len() < 4 {
        if let WatchItem::Event(event) = watch.next().await.unwrap() {
            assert_eq!(event.object.revision, event.revision);
            seen.push((event.kind, event.object.key.name.to_string(), text(&event.object)));
        }
    }
    use EventKind::{Added, Deleted};
    let expected = [(Added, "a", "1"), (Added, "b", "1"), (Deleted, "a", "1"), (Deleted, "b", end)];
    assert_eq!(seen, expected.map(|(kind, name, text)| (kind, name.to_string(), text.to_string())));
    tasks.stop().await;
}

/// A collection that is opened later has the same history.
async fn late_collections(engine: Arc<dyn Engine>) {
    let tasks = Tasks::new();
    let store = store(engine.clone(), &tasks).await;
    let early = store.collection(spec("/registry/early/")).await.unwrap();
    let key = ObjectKey::cluster("a");
    let mut last = early.create(&key, thing("0"), Terms::default()).await.unwrap();
    let op = |text: &str| super::put("/registry/late/ns/x", std::str::from_utf8(&thing(text)).unwrap());
    let first = super::write(&*engine, op("old")).await;
    for n in 1..5 {
        last = early.update(&key, thing(&n.to_string()), last.revision, Terms::default()).await.unwrap();
    }
    super::write(&*engine, op("new")).await;

    let late = store.collection(spec("/registry/late/")).await.unwrap();
    let x = ObjectKey::new("ns", "x");
    assert_eq!(text(&late.cache().get(&x).unwrap()), "new");
    assert_eq!(text(late.cache().snapshot_at(first).unwrap().get(&x).unwrap()), "old");
    let twice = store.collection(spec("/registry/late/")).await;
    assert!(matches!(twice, Err(OpenError::Twice(_))));
    super::write(&*engine, super::put("/registry/broken/x", "{}")).await;
    let broken = store.collection(spec("/registry/broken/")).await;
    assert!(matches!(&broken, Err(OpenError::Corrupt { key, .. }) if **key == *"/registry/broken/x"));
    tasks.stop().await;
}

/// What a write returns does not depend on the window.
async fn narrow_window(engine: Arc<dyn Engine>) {
    let tasks = Tasks::new();
    let config = StoreConfig { window_bytes: 1, ..StoreConfig::new(SystemClock::shared()) };
    let store = Store::open(engine, config, &tasks).await.unwrap();
    let things = store.collection(spec("/registry/things/")).await.unwrap();
    let writer = |n: usize| {
        let things = things.clone();
        tokio::spawn(async move {
            let key = ObjectKey::new("ns", &n.to_string());
            for _ in 0..20 {
                let made = things.create(&key, thing("1"), Terms::default()).await.unwrap();
                let changed = things.update(&key, thing("2"), made.revision, Terms::default()).await.unwrap();
                let gone = things.delete(&key, changed.revision, None, Terms::default()).await.unwrap();
                assert_eq!([&made, &changed, &gone].map(|o| text(o)), ["1", "2", "2"]);
                assert!(made.revision < changed.revision && changed.revision < gone.revision);
            }
        })
    };
    for writer in (0..16).map(writer).collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    tasks.stop().await;
}

/// History leaves the engine as new comes.
async fn forgets(engine: Arc<dyn Engine>) {
    let tasks = Tasks::new();
    let config = StoreConfig { log_bytes: 100_000, ..StoreConfig::new(SystemClock::shared()) };
    let store = Store::open(engine.clone(), config, &tasks).await.unwrap();
    let things = store.collection(spec("/registry/things/")).await.unwrap();
    let key = ObjectKey::cluster("a");
    let mut last = things.create(&key, thing("1"), Terms::default()).await.unwrap();
    let (start, mut written) = (last.revision, 0);
    let big = "x".repeat(10_000);
    // The compaction comes beside the writes.
    while engine.oldest_revision() <= start {
        last = things.update(&key, thing(&big), last.revision, Terms::default()).await.unwrap();
        written += 1;
        assert!(written < 10_000, "nothing is ever compacted");
    }
    assert!(written >= 10, "{written}: what was asked for is kept");
    tasks.stop().await;
}

async fn closing(engine: Arc<dyn Engine>) {
    let tasks = Tasks::new();
    let store = store(engine.clone(), &tasks).await;
    let things = store.collection(spec("/registry/things/")).await.unwrap();
    tasks.stop().await;
    engine.close().await;
    let refused = things.create(&ObjectKey::cluster("a"), thing("1"), Terms::default()).await;
    assert!(matches!(refused, Err(WriteError::Unavailable(_) | WriteError::Lost(_))), "{refused:?}");
    assert!(matches!(store.collection(spec("/registry/more/")).await, Err(OpenError::Closing)));
}

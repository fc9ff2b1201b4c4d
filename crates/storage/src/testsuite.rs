//! What every engine must do, and what collections over it must do. Each case gets an engine of its own.

pub(crate) mod collections;
mod reconnect;

use std::sync::Arc;

use apimachinery::Revision;
use bytes::Bytes;
use futures::StreamExt;

use crate::engine::*;

/// All cases, one after the other.
pub(crate) async fn run(make: impl AsyncFn() -> Arc<dyn Engine>) {
    revisions(&*make().await).await;
    guards(&*make().await).await;
    lists(&*make().await).await;
    watches(&*make().await).await;
    watch_far_behind(&*make().await).await;
    compaction(&*make().await).await;
    limits(&*make().await).await;
    one_winner(make().await).await;
    collections::run(&make).await;
    reconnect::run(make().await).await;
}

pub(crate) fn put(key: &str, value: &str) -> Op {
    Op::Put { key: key.into(), value: Bytes::copy_from_slice(value.as_bytes()) }
}

pub(crate) fn delete(key: &str) -> Op {
    Op::Delete { key: key.into(), last: None }
}

pub(crate) fn txn(guards: Vec<Guard>, ops: Vec<Op>) -> Txn {
    Txn { guards, ops, durability: Durability::Durable, ttl: None }
}

async fn now(engine: &dyn Engine) -> Revision {
    engine.current_revision().await.unwrap()
}

/// Commits without guards.
async fn write(engine: &dyn Engine, op: Op) -> Revision {
    engine.commit(txn(vec![], vec![op])).await.unwrap()
}

async fn value(engine: &dyn Engine, key: &str) -> Option<(String, Revision)> {
    let found = engine.get(key).await.unwrap()?;
    assert_eq!(&*found.key, key);
    Some((String::from_utf8(found.value.to_vec()).unwrap(), found.revision))
}

/// A list as text: `a=1 b=2`, with `…` when there is more.
async fn list(engine: &dyn Engine, prefix: &str, after: &str, limit: usize, at: Option<Revision>) -> String {
    let after = (!after.is_empty()).then(|| after.into());
    let page = engine.list(ListRequest { prefix: prefix.into(), after, limit, at }).await.unwrap();
    let mut text: Vec<_> =
        page.items.iter().map(|kv| format!("{}={}", kv.key, String::from_utf8_lossy(&kv.value))).collect();
    if page.more {
        text.push("…".into());
    }
    text.join(" ")
}

/// The events of `prefix` after a revision until the one at `until`, as text: `put a=1 @2`.
async fn events(engine: &dyn Engine, prefix: &str, after: Revision, until: Revision) -> Vec<String> {
    let mut stream = engine.watch(prefix, after).await.unwrap();
    let mut seen = Vec::new();
    loop {
        let batch = stream.next().await.unwrap().unwrap();
        for event in batch.events {
            assert!(event.revision <= batch.revision);
            let key = &event.key;
            let what = match &event.change {
                KeyChange::Put(v) => format!("put {key}={}", String::from_utf8_lossy(v)),
                KeyChange::Deleted(None) => format!("del {key}"),
                KeyChange::Deleted(Some(v)) => format!("del {key}={}", String::from_utf8_lossy(v)),
            };
            seen.push(format!("{what} @{}", event.revision.0 - after.0));
        }
        if batch.revision >= until {
            return seen;
        }
    }
}

async fn revisions(engine: &dyn Engine) {
    let start = now(engine).await;
    assert!(start >= Revision(1), "0 is before everything");
    assert_eq!(value(engine, "/a").await, None);

    let first = write(engine, put("/a", "1")).await;
    assert_eq!(first, Revision(start.0 + 1));
    assert_eq!(value(engine, "/a").await, Some(("1".into(), first)));

    let both = engine.commit(txn(vec![], vec![put("/a", "2"), put("/b", "3")])).await.unwrap();
    assert_eq!(both, Revision(first.0 + 1), "one revision for a transaction");
    assert_eq!(value(engine, "/a").await, Some(("2".into(), both)));
    assert_eq!(value(engine, "/b").await, Some(("3".into(), both)));

    let deleted = write(engine, delete("/a")).await;
    assert_eq!(deleted, Revision(both.0 + 1));
    assert_eq!(value(engine, "/a").await, None);
    assert_eq!(write(engine, delete("/a")).await, deleted, "nothing to delete, nothing happens");
    assert_eq!(now(engine).await, deleted);

    let again = write(engine, put("/a", "")).await;
    assert_eq!(value(engine, "/a").await, Some((String::new(), again)), "an empty value is a value");
}

async fn guards(engine: &dyn Engine) {
    let a = write(engine, put("/a", "1")).await;
    let holds = [
        (Guard::Absent("/x".into()), true),
        (Guard::Absent("/a".into()), false),
        (Guard::Exists("/a".into()), true),
        (Guard::Exists("/x".into()), false),
        (Guard::Unchanged("/a".into(), a), true),
        (Guard::Unchanged("/a".into(), Revision(a.0 - 1)), false),
        (Guard::Unchanged("/x".into(), a), false),
        (Guard::Unchanged("/x".into(), Revision(0)), false),
    ];
    for (guard, expected) in &holds {
        let before = now(engine).await;
        let result = engine.commit(txn(vec![guard.clone()], vec![put("/t", "t")])).await;
        if *expected {
            assert_eq!(result, Ok(Revision(before.0 + 1)), "{guard:?}");
        } else {
            assert_eq!(result, Err(CommitError::GuardFailed { guard: 0, revision: before }), "{guard:?}");
            assert_eq!(now(engine).await, before, "{guard:?}: nothing happened");
        }
    }
    let second = vec![Guard::Exists("/a".into()), Guard::Exists("/x".into())];
    let result = engine.commit(txn(second, vec![put("/a", "no"), put("/x", "no")])).await;
    assert!(matches!(result, Err(CommitError::GuardFailed { guard: 1, .. })), "{result:?}");
    assert_eq!(list(engine, "/", "", 0, None).await, "/a=1 /t=t");
}

async fn lists(engine: &dyn Engine) {
    for key in ["/p/c", "/p/a", "/q/z", "/p/b", "/o"] {
        write(engine, put(key, "1")).await;
    }
    let before = now(engine).await;
    write(engine, put("/p/b", "2")).await;
    write(engine, delete("/p/a")).await;
    write(engine, put("/p/d", "1")).await;
    let deleted = now(engine).await;
    write(engine, put("/p/a", "3")).await;

    assert_eq!(list(engine, "/p/", "", 0, None).await, "/p/a=3 /p/b=2 /p/c=1 /p/d=1");
    assert_eq!(list(engine, "/p/", "", 0, Some(deleted)).await, "/p/b=2 /p/c=1 /p/d=1");
    assert_eq!(list(engine, "/p/", "", 0, Some(before)).await, "/p/a=1 /p/b=1 /p/c=1");
    assert_eq!(list(engine, "/p/", "", 2, Some(before)).await, "/p/a=1 /p/b=1 …");
    assert_eq!(list(engine, "/p/", "/p/b", 2, Some(before)).await, "/p/c=1");
    assert_eq!(list(engine, "/p/", "/p/bb", 1, None).await, "/p/c=1 …");
    assert_eq!(
        list(engine, "/p/", "", 4, None).await,
        "/p/a=3 /p/b=2 /p/c=1 /p/d=1",
        "exactly the limit is all"
    );
    assert_eq!(list(engine, "/none/", "", 0, None).await, "");
    assert_eq!(list(engine, "", "", 2, None).await, "/o=1 /p/a=3 …");
}

async fn watches(engine: &dyn Engine) {
    let start = now(engine).await;
    let live = engine.watch("/p/", start).await.unwrap();
    write(engine, put("/p/a", "1")).await;
    write(engine, put("/q", "1")).await;
    engine.commit(txn(vec![], vec![put("/p/a", "2"), put("/p/b", "3")])).await.unwrap();
    write(engine, Op::Delete { key: "/p/b".into(), last: Some(Bytes::from_static(b"end")) }).await;
    let end = write(engine, delete("/p/a")).await;

    let ended = if engine.keeps_last() { "del /p/b=end @4" } else { "del /p/b @4" };
    let all = ["put /p/a=1 @1", "put /p/a=2 @3", "put /p/b=3 @3", ended, "del /p/a @5"];
    assert_eq!(events(engine, "/p/", start, end).await, all);
    assert_eq!(events(engine, "/q", start, end).await, ["put /q=1 @2"], "progress comes without events");
    let middle = Revision(start.0 + 3);
    assert_eq!(events(engine, "/p/", middle, end).await, [&ended.replace("@4", "@1"), "del /p/a @2"]);

    let mut seen = 0;
    let mut live = live;
    while seen < all.len() {
        seen += live.next().await.unwrap().unwrap().events.len();
    }
    assert_eq!(seen, all.len(), "a stream opened before sees the same");
}

/// More than any engine keeps in memory, read after it was written.
async fn watch_far_behind(engine: &dyn Engine) {
    const EVENTS: u64 = 40;
    let start = now(engine).await;
    let slow = engine.watch("/", start).await.unwrap();
    let big = "x".repeat(300_000);
    for n in 0..EVENTS {
        write(engine, put(&format!("/k{}", n % 7), &format!("{n} {big}"))).await;
    }
    let mut expected = start;
    let mut stream = slow;
    while expected < Revision(start.0 + EVENTS) {
        for event in stream.next().await.unwrap().unwrap().events {
            expected = Revision(expected.0 + 1);
            assert_eq!(event.revision, expected);
            let number = expected.0 - start.0 - 1;
            assert!(
                matches!(event.change, KeyChange::Put(v) if v.starts_with(format!("{number} ").as_bytes()))
            );
        }
    }
    assert_eq!(expected, Revision(start.0 + EVENTS));
}

async fn compaction(engine: &dyn Engine) {
    for key in ["/a", "/b", "/c"] {
        write(engine, put(key, "1")).await;
    }
    let old = write(engine, put("/a", "2")).await;
    let compacted = write(engine, delete("/b")).await;
    let end = write(engine, put("/a", "3")).await;

    engine.compact(compacted).await.unwrap();
    assert_eq!(engine.oldest_revision(), compacted);
    let refused = Err(ReadError::Compacted { requested: old, oldest: compacted });
    assert_eq!(engine.list(ListRequest { at: Some(old), ..ListRequest::default() }).await, refused);
    assert_eq!(engine.watch("/", old).await.err(), refused.err());

    assert_eq!(list(engine, "/", "", 0, Some(compacted)).await, "/a=2 /c=1");
    assert_eq!(list(engine, "/", "", 0, None).await, "/a=3 /c=1");
    assert_eq!(events(engine, "/", compacted, end).await, ["put /a=3 @1"]);
    write(engine, put("/b", "4")).await;
    assert_eq!(list(engine, "/", "", 0, None).await, "/a=3 /b=4 /c=1");
    assert_eq!(list(engine, "/", "", 0, Some(end)).await, "/a=3 /c=1");
}

async fn limits(engine: &dyn Engine) {
    let before = now(engine).await;
    let just = "x".repeat(MAX_VALUE);
    let result = engine.commit(txn(vec![], vec![put("/a", &format!("{just}x"))])).await;
    assert_eq!(result, Err(CommitError::TooLarge { len: MAX_VALUE + 1, limit: MAX_VALUE }));
    assert_eq!(now(engine).await, before);
    write(engine, put("/a", &just)).await;
    assert_eq!(value(engine, "/a").await.unwrap().0.len(), MAX_VALUE);
}

/// Many writers count up one key: no count is lost or made twice.
async fn one_winner(engine: Arc<dyn Engine>) {
    const WRITERS: u64 = 32;
    const EACH: u64 = 4;
    write(&*engine, put("/n", "0")).await;
    let count_up = |engine: Arc<dyn Engine>| async move {
        for _ in 0..EACH {
            loop {
                let (n, revision) = value(&*engine, "/n").await.unwrap();
                let next = (n.parse::<u64>().unwrap() + 1).to_string();
                let guard = Guard::Unchanged("/n".into(), revision);
                if engine.commit(txn(vec![guard], vec![put("/n", &next)])).await.is_ok() {
                    break;
                }
            }
        }
    };
    let tasks: Vec<_> = (0..WRITERS).map(|_| tokio::spawn(count_up(engine.clone()))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(value(&*engine, "/n").await.unwrap().0, (WRITERS * EACH).to_string());
}

//! The etcd engine over a real etcd, besides what every engine does.

mod chaos;
mod proxy;
mod quorum;
mod server;
mod tls;

use std::sync::atomic::AtomicUsize;

use apimachinery::ObjectKey;
use bytes::Bytes;
use cache::{EventKind, Filter, WatchItem};
use futures::StreamExt;
use stdx::SystemClock;

use super::*;
use crate::collection::Terms;
use crate::engine::{Guard, KeyChange, Op};
use crate::store::{Store, StoreConfig};
use crate::testsuite::collections::{spec, store, text, thing};
use crate::testsuite::{delete, put, txn};
use proxy::Proxy;
use server::Server;

/// Keys as they are, below a prefix of the test.
fn config(url: &str, prefix: &str) -> EtcdConfig {
    EtcdConfig {
        root: String::new(),
        prefix: prefix.into(),
        compaction_interval: None,
        ..EtcdConfig::new(vec![url.into()], SystemClock::shared())
    }
}

async fn open(url: &str, tasks: &Tasks) -> Arc<EtcdEngine> {
    Arc::new(EtcdEngine::open(config(url, "/test"), tasks).await.unwrap())
}

async fn write(engine: &EtcdEngine, op: Op) -> Revision {
    engine.commit(txn(vec![], vec![op])).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_suite() {
    // The suite writes the largest value that an engine takes, which is more than a request by default.
    let server = Server::start(&["--max-request-bytes=4194304"]).await;
    let tasks = Tasks::new();
    let next = AtomicUsize::new(0);
    let make = async || {
        let prefix = format!("/suite/{}", next.fetch_add(1, Ordering::Relaxed));
        let engine = EtcdEngine::open(config(&server.url, &prefix), &tasks).await.unwrap();
        Arc::new(engine) as Arc<dyn Engine>
    };
    crate::testsuite::run(make).await;
    tasks.stop().await;
}

/// A new server begins where history does: exact lists and watches from before its start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_survives_a_restart() {
    let server = Server::start(&[]).await;
    let key = ObjectKey::new("ns", "a");
    let tasks = Tasks::new();
    let engine = open(&server.url, &tasks).await;
    let things = store(engine, &tasks).await.collection(spec("/registry/things/")).await.unwrap();
    let made = things.create(&key, thing("1"), Terms::default()).await.unwrap();
    let changed = things.update(&key, thing("2"), made.revision, Terms::default()).await.unwrap();
    let gone = things.delete(&key, changed.revision, None, Terms::default()).await.unwrap();
    tasks.stop().await;

    let tasks = Tasks::new();
    let engine = open(&server.url, &tasks).await;
    let things = store(engine, &tasks).await.collection(spec("/registry/things/")).await.unwrap();
    let then = things.cache().snapshot_at(made.revision).unwrap();
    assert_eq!(text(then.get(&key).unwrap()), "1");
    let mut watch = things.cache().watch(made.revision, Filter::all()).unwrap();
    for (kind, at) in [(EventKind::Modified, changed.revision), (EventKind::Deleted, gone.revision)] {
        let WatchItem::Event(event) = watch.next().await.unwrap() else { panic!() };
        assert_eq!((event.kind, event.revision), (kind, at));
    }
    tasks.stop().await;
}

/// Written on one server, read on another: also while its watch is stalled, and while it has come further by a foreign key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_agree() {
    let server = Server::start(&[]).await;
    let proxy = Proxy::start(&server.url).await;
    let tasks = Tasks::new();
    let collection = async |url: &str| {
        let engine = open(url, &tasks).await;
        store(engine, &tasks).await.collection(spec("/registry/things/")).await.unwrap()
    };
    let (a, b) = (collection(&server.url).await, collection(&proxy.url).await);
    let key = ObjectKey::new("ns", "a");
    let mut last = a.create(&key, thing("start"), Terms::default()).await.unwrap();
    // KNARR_TEST_READS asks for more.
    let rounds = std::env::var("KNARR_TEST_READS").ok().map_or(400, |n| n.parse::<u64>().unwrap() / 2);
    for n in 0..rounds {
        if n == rounds / 2 {
            // Calls are made over the first connection.
            proxy.freeze(1);
        }
        last = a.update(&key, thing(&n.to_string()), last.revision, Terms::default()).await.unwrap();
        let one = b.latest(&key).await.unwrap().unwrap();
        let all = b.snapshot().await.unwrap();
        assert_eq!((text(&one), one.revision), (n.to_string(), last.revision));
        assert_eq!(text(all.get(&key).unwrap()), n.to_string());
        assert!(all.revision() >= last.revision);
    }
    assert!(b.cache().revision() < last.revision, "the watch was stalled");

    // Writes go on, too, and return what they wrote.
    let written = b.update(&key, thing("b"), last.revision, Terms::default()).await.unwrap();
    assert_eq!(
        (text(&written), written.revision),
        ("b".into(), a.latest(&key).await.unwrap().unwrap().revision)
    );
    let stale = b.update(&key, thing("no"), last.revision, Terms::default()).await;
    let Err(crate::WriteError::Conflict { current: Some(current) }) = stale else { panic!("{stale:?}") };
    assert_eq!(current.revision, written.revision);
    a.delete(&key, written.revision, None, Terms::default()).await.unwrap();
    assert!(b.latest(&key).await.unwrap().is_none());
    assert!(b.snapshot().await.unwrap().is_empty());
    tasks.stop().await;
}

/// A revision that is not of any key of ours is reached all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_revision_is_reached() {
    let server = Server::start(&[]).await;
    let tasks = Tasks::new();
    let engine = open(&server.url, &tasks).await;
    let things = store(engine.clone(), &tasks).await.collection(spec("/registry/things/")).await.unwrap();
    let other = EtcdEngine::open(config(&server.url, "/other"), &tasks).await.unwrap();
    let foreign = write(&other, put("/x", "1")).await;
    assert!(things.snapshot().await.unwrap().revision() >= foreign);
    things.wait_for(foreign).await;
    assert!(things.cache().revision() >= foreign);
    things.fresh().await.unwrap();
    tasks.stop().await;
}

/// Forgotten while the server was away: watchers see the differences, and nobody can begin from before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_compacted_while_away_is_listed() {
    let server = Server::start(&[]).await;
    let proxy = Proxy::start(&server.url).await;
    let tasks = Tasks::new();
    let direct = open(&server.url, &tasks).await;
    let config = StoreConfig { compact: false, ..StoreConfig::new(SystemClock::shared()) };
    let store = Store::open(open(&proxy.url, &tasks).await, config, &tasks).await.unwrap();
    let things = store.collection(spec("/registry/things/")).await.unwrap();
    let op = |name: &str, text: &str| Op::Put {
        key: format!("/registry/things/{name}").into(),
        value: thing(text),
    };
    let before = write(&direct, op("a", "1")).await;
    write(&direct, op("b", "1")).await;
    let mut seen = things.cache().subscribe(Filter::all());
    for _ in 0..2 {
        assert!(seen.next().await.new.is_some());
    }

    proxy.refuse(true);
    write(&direct, op("a", "2")).await;
    write(&direct, op("a", "3")).await;
    write(&direct, delete("/registry/things/b")).await;
    let end = write(&direct, op("c", "1")).await;
    direct.compact(end).await.unwrap();
    proxy.refuse(false);

    let mut changes = Vec::new();
    while changes.len() < 3 {
        let change = seen.next().await;
        let key = change.new.as_ref().or(change.old.as_ref()).unwrap().key.name.to_string();
        changes.push((key, change.new.map(|o| text(&o))));
    }
    changes.sort();
    let expected = [("a", Some("3")), ("b", None), ("c", Some("1"))];
    assert_eq!(changes, expected.map(|(k, v)| (k.to_string(), v.map(String::from))));
    assert!(things.cache().watch(before, Filter::all()).is_err());
    let next = write(&direct, op("d", "1")).await;
    things.wait_for(next).await;
    assert_eq!(things.cache().len(), 3);
    tasks.stop().await;
}

/// One member away: the other is used; both away: it says so, and comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_member_takes_over() {
    let server = Server::start(&[]).await;
    let (first, second) = (Proxy::start(&server.url).await, Proxy::start(&server.url).await);
    let tasks = Tasks::new();
    let mut config = config(&first.url, "/test");
    config.servers.push(second.url.clone());
    let engine = EtcdEngine::open(config.clone(), &tasks).await.unwrap();
    let start = write(&engine, put("/a", "1")).await;
    let mut events = engine.watch("/", start).await.unwrap();
    first.refuse(true);
    let mut expected = Vec::new();
    for n in 0..20 {
        let next = loop {
            // The write that the cut hit is answered with neither yes nor no.
            match engine.commit(txn(vec![], vec![put("/a", &n.to_string())])).await {
                Ok(next) => break next,
                Err(CommitError::Unknown(_)) => {}
                Err(other) => panic!("{other}"),
            }
        };
        expected.push(next);
    }
    let mut seen = Vec::new();
    while seen.last() != expected.last() {
        seen.extend(events.next().await.unwrap().unwrap().events.into_iter().map(|e| e.revision));
    }
    assert!(expected.iter().all(|r| seen.contains(r)));
    assert!(seen.is_sorted());

    second.refuse(true);
    let away = engine.get("/a").await.unwrap_err().to_string();
    assert!(away.starts_with("etcd at http://127.0.0.1:") && away.contains("does not answer"), "{away}");
    let refused = EtcdEngine::open(config, &tasks).await.err().unwrap();
    assert!(matches!(refused, EtcdError::Away(_)), "{refused}");
    while engine.health().is_ok() {
        tokio::task::yield_now().await;
    }
    first.refuse(false);
    let after = loop {
        match engine.commit(txn(vec![], vec![put("/a", "back")])).await {
            Ok(after) => break after,
            Err(error) => assert!(!matches!(error, CommitError::GuardFailed { .. }), "{error}"),
        }
    };
    while seen.last() != Some(&after) {
        seen.extend(events.next().await.unwrap().unwrap().events.into_iter().map(|e| e.revision));
    }
    assert_eq!(engine.health(), Ok(()));
    tasks.stop().await;
}

/// The server is killed and started again: nothing is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcd_may_be_killed() {
    let mut server = Server::start(&[]).await;
    let tasks = Tasks::new();
    let engine = open(&server.url, &tasks).await;
    let before = write(&engine, put("/a", "1")).await;
    let mut events = engine.watch("/", before).await.unwrap();
    server.restart();
    let guard = Guard::Unchanged("/a".into(), before);
    let after = loop {
        match engine.commit(txn(vec![guard.clone()], vec![put("/a", "2")])).await {
            Ok(after) => break after,
            Err(CommitError::GuardFailed { .. }) => break engine.get("/a").await.unwrap().unwrap().revision,
            Err(_) => {}
        }
    };
    assert!(after > before);
    let batch = loop {
        let batch = events.next().await.unwrap().unwrap();
        if !batch.events.is_empty() {
            break batch;
        }
    };
    assert_eq!(batch.events.iter().map(|e| e.revision).collect::<Vec<_>>(), [after]);
    tasks.stop().await;
}

/// Two servers, one round: the one that counted compacts, the other takes note.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_compact_by_turns() {
    let server = Server::start(&[]).await;
    let tasks = Tasks::new();
    let (a, b) = (open(&server.url, &tasks).await, open(&server.url, &tasks).await);
    let round = async |engine: &EtcdEngine, last: (i64, Revision)| {
        compact::round(&engine.shared, last.0, last.1).await.unwrap()
    };
    let old = write(&a, put("/a", "1")).await;
    let a1 = round(&a, (0, Revision(0))).await;
    let b1 = round(&b, (0, Revision(0))).await;
    assert_eq!((a1.0, b1.0), (1, 1), "only one of them counted");
    write(&a, put("/a", "2")).await;
    let b2 = round(&b, b1).await;
    assert_eq!(b2.0, 2);
    let a2 = round(&a, a1).await;
    assert_eq!(a2.0, 2);
    assert_eq!(b.oldest_revision(), b1.1, "forgotten is what was before the last round");

    // The other learns it when it asks for something that is gone.
    let gone = a.list(ListRequest { at: Some(old), ..ListRequest::default() }).await;
    assert_eq!(gone, Err(ReadError::Compacted { requested: old, oldest: b1.1 }));
    let anew = open(&server.url, &tasks).await;
    assert_eq!(anew.oldest_revision(), b1.1);
    tasks.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_expires_shares_a_lease() {
    let server = Server::start(&[]).await;
    let tasks = Tasks::new();
    let engine = open(&server.url, &tasks).await;
    let mut leases = Vec::new();
    for (key, ttl) in [("/a", Some(3600)), ("/b", Some(3600)), ("/c", None)] {
        let ttl = ttl.map(Duration::from_secs);
        engine.commit(Txn { ttl, ..txn(vec![], vec![put(key, "1")]) }).await.unwrap();
        let request = rpc::RangeRequest { key: engine.shared.keys.outer(key), ..Default::default() };
        leases.push(engine.shared.range(request, Revision(0)).await.unwrap().kvs[0].lease);
    }
    assert!(leases[0] != 0 && leases[0] == leases[1], "{leases:?}");
    assert_eq!(leases[2], 0);
    tasks.stop().await;
}

/// By default etcd takes a little less than our limit, which counts the value alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_large_for_etcd_is_too_large() {
    let server = Server::start(&[]).await;
    let tasks = Tasks::new();
    let engine = open(&server.url, &tasks).await;
    let value = Bytes::from(vec![b'x'; crate::engine::MAX_VALUE]);
    let refused = engine.commit(txn(vec![], vec![Op::Put { key: "/a".into(), value }])).await;
    assert!(matches!(refused, Err(CommitError::TooLarge { .. })), "{refused:?}");
    tasks.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_work_is_said_at_once() {
    let check = async |change: &dyn Fn(&mut EtcdConfig), expected: &str| {
        let mut config = config("http://127.0.0.1:1", "/test");
        change(&mut config);
        let error = EtcdEngine::open(config, &Tasks::new()).await.err().unwrap();
        let text = error.to_string();
        assert!(text.contains(expected), "{text}");
        matches!(error, EtcdError::Away(_))
    };
    assert!(check(&|_| (), "etcd at http://127.0.0.1:1 does not answer").await);
    assert!(check(&|_| (), "refused").await);
    assert!(!check(&|c| c.servers = vec!["127.0.0.1:2379".into()], "write it as https://HOST:2379").await);
    assert!(!check(&|c| c.ca_file = Some("/none".into()), "--etcd-cafile /none").await);
    assert!(!check(&|c| c.cert_file = Some("/dev/null".into()), "belong together").await);
}

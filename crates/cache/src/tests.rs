//! Objects here are `ns/name=value`, where the value is also the field `f` and the owner's uid.

mod model;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use apimachinery::meta::Owner;
use apimachinery::{Meta, ObjectKey, Revision};
use stdx::{Clock, SystemClock};

use super::*;

fn object(key: &str, value: &str, revision: u64) -> Object {
    let (namespace, name) = key.split_once('/').unwrap();
    let owner = Owner {
        api_version: "v1".into(),
        kind: "Thing".into(),
        name: value.into(),
        uid: value.into(),
        controller: true,
        block_owner_deletion: false,
    };
    let meta = Meta { owners: [owner].into(), uid: format!("{key}-uid").into(), ..Meta::default() };
    let json = format!(
        r#"{{"apiVersion":"v1","kind":"Thing","metadata":{{"resourceVersion":"{revision}","name":"{name}"}},"value":"{value}"}}"#
    );
    Object::new(
        ObjectKey::new(namespace, name),
        Revision(revision),
        meta,
        [("f", value.into())].into(),
        json.into(),
    )
}

fn put(key: &str, value: &str, revision: u64) -> Update {
    Update::Put(object(key, value, revision))
}

fn delete(key: &str, revision: u64) -> Update {
    let (namespace, name) = key.split_once('/').unwrap();
    Update::Delete { key: ObjectKey::new(namespace, name), revision: Revision(revision), last: None }
}

/// An object as text; its JSON must agree with it.
fn show(object: &Object) -> String {
    let value = object.field("f").unwrap();
    let json = std::str::from_utf8(object.json()).unwrap();
    assert!(json.contains(&format!(r#""resourceVersion":"{}""#, object.revision)), "{json}");
    assert!(json.contains(&format!(r#""value":"{value}""#)), "{json}");
    format!("{}={value}@{}", object.key, object.revision)
}

fn show_all<'a>(objects: impl IntoIterator<Item = &'a Arc<Object>>) -> String {
    objects.into_iter().map(|o| show(o)).collect::<Vec<_>>().join(" ")
}

fn cache() -> Cache {
    Cache::new(CacheConfig { indexes: vec!["f", "owner"], ..CacheConfig::new(SystemClock::shared()) })
}

/// Everything that is there for a watch now, as text.
fn drain(watch: &mut Watch) -> String {
    let mut seen = Vec::new();
    loop {
        match watch.try_next() {
            Ok(Some(WatchItem::Event(event))) => {
                let line = String::from_utf8(event.frame().to_vec()).unwrap();
                let json = std::str::from_utf8(event.object.json()).unwrap();
                assert_eq!(line, format!("{{\"type\":\"{}\",\"object\":{json}}}\n", event.kind.as_str()));
                seen.push(format!("{} {}", event.kind.as_str(), show(&event.object)));
            }
            Ok(Some(WatchItem::InitialEnd(revision))) => seen.push(format!("INITIAL {revision}")),
            Ok(None) => return seen.join(", "),
            Err(expired) => {
                seen.push(format!("EXPIRED {expired}"));
                return seen.join(", ");
            }
        }
    }
}

#[test]
fn list_items_lack_type_meta() {
    let item = |json: &str| {
        let object = Object::new(
            ObjectKey::cluster("a"),
            Revision(1),
            Meta::default(),
            Box::default(),
            json.to_string().into(),
        );
        let mut out = Vec::new();
        object.write_list_item(&mut out);
        assert_eq!(out.len(), object.list_item_len());
        assert_eq!(out[1..], object.list_item_tail()[..]);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(item(r#"{"apiVersion":"v1","kind":"Pod","metadata":{}}"#), r#"{"metadata":{}}"#);
    assert_eq!(item(r#"{"kind":"Pod","apiVersion":"v1","metadata":{}}"#), r#"{"metadata":{}}"#);
    assert_eq!(item(r#"{"metadata":{},"kind":"Pod"}"#), r#"{"metadata":{},"kind":"Pod"}"#);
    assert_eq!(item(r#"{"kind":"Pod"}"#), r#"{"kind":"Pod"}"#);
    assert_eq!(item("{}"), "{}");
}

#[test]
fn the_revision_that_is_replaced_is_metadatas_own() {
    let json = r#"{"apiVersion":"v1","kind":"T","spec":{"resourceVersion":"5"},"metadata":{"labels":{"resourceVersion":"5"},"annotations":{"a":"\"resourceVersion\":\"5\" {[","b":"\\"},"n":[1,{"resourceVersion":"5"}],"g":-1.5e3,"t":true, "resourceVersion" : "5","name":"x"}}"#;
    let object =
        Object::new(ObjectKey::cluster("a"), Revision(5), Meta::default(), Box::default(), json.into());
    let moved = object.at_revision(Revision(1234));
    assert_eq!(moved.revision, Revision(1234));
    let expected = json.replace(r#""resourceVersion" : "5""#, r#""resourceVersion" : "1234""#);
    assert_eq!(moved.json(), expected.as_bytes());
    for broken in ["", "{", "[]", r#"{"metadata":5}"#, r#"{"metadata":{"a":"#, r#"{"metadata":{"a" 5}}"#] {
        let object =
            Object::new(ObjectKey::cluster("a"), Revision(5), Meta::default(), Box::default(), broken.into());
        assert_eq!(object.at_revision(Revision(6)).json(), broken.as_bytes());
    }
}

#[test]
fn snapshots_are_in_order_and_keep_what_they_show() {
    let cache = cache();
    cache.apply([put("b/1", "x", 1), put("a/2", "y", 2), put("a/1", "x", 3), put("b-c/1", "y", 4)]);
    cache.progress(Revision(9));
    let then = cache.snapshot();
    cache.apply([delete("a/1", 10), put("b/1", "y", 11)]);

    assert_eq!(then.revision(), Revision(9));
    assert_eq!(show_all(then.iter(None, None)), "a/1=x@3 a/2=y@2 b/1=x@1 b-c/1=y@4");
    assert_eq!(show_all(then.iter(Some("a"), None)), "a/1=x@3 a/2=y@2");
    assert_eq!(show_all(then.iter(Some("a"), Some(&ObjectKey::new("a", "1")))), "a/2=y@2");
    assert_eq!(show_all(then.iter(None, Some(&ObjectKey::new("a", "11")))), "a/2=y@2 b/1=x@1 b-c/1=y@4");
    assert_eq!(show_all(then.iter(Some("b"), Some(&ObjectKey::new("a", "1")))), "b/1=x@1");
    assert_eq!(show_all(then.iter(Some("c"), None)), "");
    assert_eq!(show_all(&then.by_index("f", "x")), "a/1=x@3 b/1=x@1");
    assert_eq!(show_all(&then.by_index("owner", "y")), "a/2=y@2 b-c/1=y@4");
    assert_eq!(show_all(&then.by_index("uid", "a/2-uid")), "a/2=y@2", "without an index it is searched");
    assert_eq!(show_all(&then.by_index("f", "none")), "");

    let now = cache.snapshot();
    assert_eq!((now.revision(), now.len()), (Revision(11), 3));
    assert_eq!(show_all(&now.by_index("f", "x")), "");
    assert_eq!(show_all(&now.by_index("f", "y")), "a/2=y@2 b/1=y@11 b-c/1=y@4");
    assert_eq!(
        show_all(cache.snapshot_at(Revision(10)).unwrap().iter(None, None)),
        "a/2=y@2 b/1=x@1 b-c/1=y@4"
    );
    assert_eq!(show_all(&cache.snapshot_at(Revision(9)).unwrap().by_index("f", "x")), "a/1=x@3 b/1=x@1");
    assert_eq!(cache.snapshot_at(Revision(0)).unwrap().len(), 0);
}

#[test]
fn what_is_not_news_is_ignored() {
    let cache = cache();
    let mut watch = cache.watch(Revision(0), Filter::all()).unwrap();
    cache.apply([
        put("a/1", "x", 5),
        put("a/1", "old", 4),
        put("a/1", "x", 5),
        delete("a/1", 3),
        delete("a/2", 6),
    ]);
    assert_eq!(drain(&mut watch), "ADDED a/1=x@5");
}

#[test]
fn selectors_add_and_delete() {
    let cache = cache();
    let x = Filter { index: Some(("f", "x".into())), ..Filter::default() };
    let predicate: Predicate = Arc::new(|o| o.field("f") == Some("x"));
    let same = Filter { predicate: Some(predicate), ..Filter::default() };
    let mut watches = [x, same].map(|filter| cache.watch(Revision(0), filter).unwrap());
    cache.apply([
        put("a/1", "y", 1),
        put("a/1", "x", 2),
        put("a/1", "x", 3),
        put("a/1", "y", 4),
        put("a/1", "x", 5),
        delete("a/1", 6),
    ]);
    for watch in &mut watches {
        assert_eq!(
            drain(watch),
            "ADDED a/1=x@2, MODIFIED a/1=x@3, DELETED a/1=x@4, ADDED a/1=x@5, DELETED a/1=x@6"
        );
    }
}

#[test]
fn a_watch_that_starts_in_the_future_skips_what_comes_before() {
    let cache = cache();
    let mut watch = cache.watch(Revision(2), Filter::namespace("a")).unwrap();
    cache.apply([put("a/1", "1", 1), put("a/1", "2", 2), put("a/1", "3", 3)]);
    assert_eq!(drain(&mut watch), "MODIFIED a/1=3@3");
}

#[test]
fn initial_events_come_first() {
    let cache = cache();
    cache.apply((1..=200).map(|n| put(&format!("a/{n:03}"), if n % 100 == 0 { "x" } else { "y" }, n)));
    let x = Filter { index: Some(("f", "x".into())), ..Filter::default() };
    let mut by_index = cache.watch_initial(x);
    let mut all = cache.watch_initial(Filter::all());
    cache.apply([put("a/100", "y", 201), put("b/1", "x", 202)]);
    cache.progress(Revision(300));
    assert_eq!(by_index.position(), Revision(0), "nothing to go on from before the initial events are over");
    assert_eq!(
        drain(&mut by_index),
        "ADDED a/100=x@100, ADDED a/200=x@200, INITIAL 200, DELETED a/100=x@201, ADDED b/1=x@202"
    );
    assert_eq!(by_index.position(), Revision(300));
    let seen = drain(&mut all);
    assert_eq!(seen.matches("ADDED").count(), 201);
    assert!(
        seen.ends_with("ADDED a/200=x@200, INITIAL 200, MODIFIED a/100=y@201, ADDED b/1=x@202"),
        "{seen}"
    );
}

#[test]
fn a_window_is_bounded_by_bytes() {
    let config = CacheConfig { window_bytes: 10_000, ..CacheConfig::new(SystemClock::shared()) };
    let cache = Cache::new(config);
    let mut slow = cache.watch(Revision(0), Filter::all()).unwrap();
    let mut other = cache.watch(Revision(0), Filter::namespace("b")).unwrap();
    for n in 1..=100 {
        cache.apply([put("a/1", &n.to_string(), n)]);
    }
    cache.progress(Revision(100));
    let seen = drain(&mut slow);
    assert!(seen.starts_with("EXPIRED too old resource version: 0 ("), "{seen}");
    let oldest = cache.snapshot_at(Revision(50)).unwrap_err().oldest;
    assert!((Revision(60)..Revision(99)).contains(&oldest), "{oldest}");
    assert_eq!(
        show_all(cache.snapshot_at(oldest).unwrap().iter(None, None)),
        format!("a/1={oldest}@{oldest}")
    );
    let left = 100 - oldest.0;
    assert_eq!(
        drain(&mut cache.watch(oldest, Filter::all()).unwrap()).matches("MODIFIED").count() as u64,
        left
    );
    assert!(cache.watch(Revision(oldest.0 - 1), Filter::all()).is_err());
    // What left the window was not for this one.
    assert_eq!((drain(&mut other), other.position()), (String::new(), Revision(100)));
}

/// Time that stands still until it is told.
#[derive(Debug, Default)]
struct Stopped(AtomicU64);

impl Clock for Stopped {
    fn now(&self) -> jiff::Timestamp {
        unimplemented!("caches use monotonic time")
    }
    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
    fn sleep(&self, _: Duration) -> futures::future::BoxFuture<'static, ()> {
        unimplemented!("caches do not sleep")
    }
}

#[test]
fn a_window_is_bounded_by_age() {
    let clock = Arc::new(Stopped::default());
    let cache = Cache::new(CacheConfig::new(clock.clone()));
    cache.apply([put("a/1", "1", 1)]);
    clock.0.store(599, Ordering::Relaxed);
    cache.apply([put("a/1", "2", 2)]);
    assert!(cache.watch(Revision(0), Filter::all()).is_ok());
    clock.0.store(601, Ordering::Relaxed);
    cache.trim();
    assert_eq!(cache.watch(Revision(0), Filter::all()).unwrap_err().oldest, Revision(1));
    assert!(cache.watch(Revision(1), Filter::all()).is_ok());
}

#[test]
fn nobody_goes_on_from_what_a_crash_took_back() {
    let config = CacheConfig { lost: vec![3..=9], ..CacheConfig::new(SystemClock::shared()) };
    let cache = Cache::new(config);
    cache.apply([put("a/1", "1", 2)]);
    cache.progress(Revision(10));
    let watch = |from| cache.watch(Revision(from), Filter::all()).is_ok();
    assert_eq!([2, 3, 9, 10].map(watch), [true, false, false, true]);
    assert!(cache.snapshot_at(Revision(5)).is_err());
}

#[test]
fn a_list_that_replaces_tells_the_differences() {
    let cache = Arc::new(cache());
    cache.replace(vec![object("a/1", "1", 1), object("a/2", "1", 2), object("a/3", "1", 3)], Revision(10));
    let mut watch = cache.watch(Revision(10), Filter::all()).unwrap();
    assert!(cache.watch(Revision(9), Filter::all()).is_err());
    cache.replace(vec![object("a/1", "1", 1), object("a/2", "2", 15), object("a/4", "1", 16)], Revision(20));
    assert_eq!(drain(&mut watch), "DELETED a/3=1@20, MODIFIED a/2=2@15, ADDED a/4=1@16");
    assert_eq!((cache.revision(), watch.position()), (Revision(20), Revision(20)));
    assert!(cache.watch(Revision(19), Filter::all()).is_err());
}

#[tokio::test]
async fn waiting_ends_when_it_is_there() {
    let cache = Arc::new(cache());
    let mut watch = cache.watch(Revision(0), Filter::namespace("a")).unwrap();
    let waiting = tokio::spawn({
        let cache = cache.clone();
        async move {
            cache.wait_for(Revision(7)).await;
            cache.revision()
        }
    });
    let watching = tokio::spawn(async move { watch.next().await });
    tokio::task::yield_now().await;
    cache.apply([put("a/1", "1", 5)]);
    cache.progress(Revision(7));
    assert_eq!(waiting.await.unwrap(), Revision(7));
    assert!(matches!(watching.await.unwrap(), Ok(WatchItem::Event(event)) if event.revision == Revision(5)));
}

/// An event costs only those who may want it.
#[test]
fn others_are_not_woken() {
    let cache = cache();
    let woken = |filter: Filter| {
        let mut watch = cache.watch(Revision(0), filter).unwrap();
        drain(&mut watch);
        cache.apply([put("a/1", "x", cache.revision().0 + 1)]);
        watch.is_woken()
    };
    assert!(woken(Filter::all()));
    assert!(woken(Filter::namespace("a")));
    assert!(woken(Filter { name: Some("1".into()), ..Filter::namespace("a") }));
    assert!(woken(Filter { name: Some("1".into()), ..Filter::all() }));
    assert!(woken(Filter { index: Some(("f", "x".into())), ..Filter::all() }));
    assert!(!woken(Filter::namespace("b")));
    assert!(!woken(Filter { name: Some("2".into()), ..Filter::namespace("a") }));
    assert!(!woken(Filter { index: Some(("f", "y".into())), ..Filter::all() }));
}

#[test]
fn labels_find_who_has_them() {
    let mut state = crate::state::State::new(&[crate::LABELS]);
    let object = |key: &str, revision: u64, labels: &[(&str, &str)]| {
        let (namespace, name) = key.split_once('/').unwrap();
        let labels: Vec<(Arc<str>, Arc<str>)> =
            labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        let meta = apimachinery::Meta { labels: labels.into(), ..Default::default() };
        let key = ObjectKey::new(namespace, name);
        Arc::new(Object::new(key, Revision(revision), meta, Box::default(), "{}".into()))
    };
    state.put(object("a/1", 1, &[("app", "x"), ("tier", "1")]));
    state.put(object("b/2", 2, &[("app", "x")]));
    state.put(object("a/3", 3, &[("app", "y")]));
    state.put(object("a/3", 4, &[("app", "x")]));
    state.put(object("c/4", 5, &[("app", "x")]));
    state.remove(&ObjectKey::new("c", "4"));
    let snapshot = crate::Snapshot { state: Arc::new(state), revision: Revision(6) };
    let check = |namespace: &str, labels: &[(&str, &str)], expected: &str| {
        let labels = labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        let found = snapshot.narrowed(&Filter { labels, ..Filter::namespace(namespace) }).unwrap();
        let found: Vec<String> = found.iter().map(|o| o.key.to_string()).collect();
        assert_eq!(found.join(" "), expected);
    };
    check("", &[("app", "x")], "a/1 a/3 b/2");
    check("a", &[("app", "x")], "a/1 a/3");
    check("", &[("app", "x"), ("tier", "1")], "a/1");
    check("", &[("app", "y")], "");
    check("", &[("app", "x"), ("nobody", "has")], "");
    assert!(snapshot.narrowed(&Filter::all()).is_none());
}

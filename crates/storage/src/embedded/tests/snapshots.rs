//! Snapshots are whole, checked, and put back with revisions going on.

use std::path::PathBuf;

use super::*;
use crate::embedded::snapshot::{self, SnapshotError};

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Place { dir: tempfile::tempdir().unwrap() }
    }

    fn db(&self) -> PathBuf {
        self.dir.path().join("db")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

async fn get(engine: &EmbeddedEngine, key: &str) -> Option<String> {
    let found = engine.get(key).await.unwrap()?;
    Some(String::from_utf8(found.value.to_vec()).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taken_while_running_and_put_back() {
    let place = Place::new();
    let engine = open(&place.db()).unwrap();
    let old = write(&engine, put("/a", "1")).await.unwrap();
    write(&engine, put("/b", "1")).await.unwrap();
    write(&engine, delete("/b")).await.unwrap();
    let at = write(&engine, put("/a", "2")).await.unwrap();
    let about = snapshot::save(&place.db(), &place.file("s"), 1234).unwrap();
    assert_eq!((about.revision, about.keys, about.saved), (at, 1, 1234));
    assert_eq!(snapshot::read(&place.file("s")).unwrap(), about);
    let twice = snapshot::save(&place.db(), &place.file("s"), 0);
    assert!(matches!(twice, Err(SnapshotError::Exists(_))));

    let later = write(&engine, put("/a", "3")).await.unwrap();
    write(&engine, put("/c", "1")).await.unwrap();
    let refused = snapshot::restore(&place.file("s"), &place.db(), None).unwrap_err().to_string();
    assert!(refused.contains("is in use by another server"), "{refused}");
    engine.close().await;

    let restored = snapshot::restore(&place.file("s"), &place.db(), None).unwrap();
    // No further than what the store may have given to anybody: a copy into an etcd writes once for each.
    assert!((later.0 + 2..=later.0 + 20_000).contains(&restored.0), "{restored}");
    let engine = open(&place.db()).unwrap();
    assert_eq!(engine.current_revision().await, Ok(restored));
    assert_eq!(get(&engine, "/a").await.as_deref(), Some("2"));
    assert_eq!(count(&engine).await, 1);
    for before in [old, later] {
        let gone = engine.watch("/", before).await.err();
        assert_eq!(gone, Some(ReadError::Compacted { requested: before, oldest: restored }));
    }
    assert_eq!(write(&engine, put("/d", "1")).await, Ok(Revision(restored.0 + 1)));
    engine.close().await;

    // What was there before is there still, beside it.
    let aside = Place::new();
    std::fs::create_dir(aside.db()).unwrap();
    std::fs::copy(place.db().join("store.db.before-restore"), aside.db().join("store.db")).unwrap();
    assert_eq!(get(&open(&aside.db()).unwrap(), "/a").await.as_deref(), Some("3"));
}

/// Under many writers a snapshot is of one moment: the revision it says, and every change up to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_of_one_moment() {
    let place = Place::new();
    let engine = Arc::new(open(&place.db()).unwrap());
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writer = tokio::spawn({
        let (engine, stop) = (engine.clone(), stop.clone());
        async move {
            let mut n = 0;
            while !stop.load(Ordering::SeqCst) {
                n += 1;
                // Both or neither.
                let ops = vec![put("/a", &n.to_string()), put("/b", &n.to_string())];
                engine.commit(txn(vec![], ops)).await.unwrap();
            }
        }
    });
    while engine.get("/a").await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    for n in 0..5 {
        let (db, file) = (place.db(), place.file(&n.to_string()));
        let taken = tokio::task::spawn_blocking(move || snapshot::save(&db, &file, 0)).await.unwrap();
        let about = taken.unwrap();
        let other = Place::new();
        snapshot::restore(&place.file(&n.to_string()), &other.db(), Some(1)).unwrap();
        let copy = open(&other.db()).unwrap();
        let (a, b) = (get(&copy, "/a").await.unwrap(), get(&copy, "/b").await.unwrap());
        assert_eq!(a, b);
        let exact =
            engine.list(ListRequest { at: Some(about.revision), ..ListRequest::default() }).await.unwrap();
        assert_eq!(exact.items[0].value, a.as_bytes());
    }
    stop.store(true, Ordering::SeqCst);
    writer.await.unwrap();
}

/// The store is gone, or nobody can read it: then revisions go on far above the snapshot's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_old_store_revisions_leap() {
    let place = Place::new();
    let engine = open(&place.db()).unwrap();
    let at = write(&engine, put("/a", "1")).await.unwrap();
    snapshot::save(&place.db(), &place.file("s"), 0).unwrap();
    engine.close().await;
    std::fs::write(place.db().join("store.db"), vec![0xa5; 8192]).unwrap();
    let restored = snapshot::restore(&place.file("s"), &place.db(), None).unwrap();
    assert_eq!(restored.0, at.0 + snapshot::BUMP_BLIND);
    assert_eq!(get(&open(&place.db()).unwrap(), "/a").await.as_deref(), Some("1"));
    std::fs::remove_dir_all(place.db()).unwrap();
    let restored = snapshot::restore(&place.file("s"), &place.db(), None).unwrap();
    assert_eq!(restored.0, at.0 + snapshot::BUMP_BLIND);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_one_is_refused_and_changes_nothing() {
    let place = Place::new();
    let engine = open(&place.db()).unwrap();
    write(&engine, put("/a", &"x".repeat(20_000))).await.unwrap();
    snapshot::save(&place.db(), &place.file("s"), 0).unwrap();
    engine.close().await;
    let whole = std::fs::read(place.file("s")).unwrap();
    let check = |change: &dyn Fn(&mut Vec<u8>), expected: &str| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        std::fs::write(place.file("bad"), bytes).unwrap();
        let refused = snapshot::restore(&place.file("bad"), &place.db(), None).unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
    };
    check(&|b| b[10_000] ^= 1, "its checksum is wrong");
    check(&|b| b.truncate(b.len() - 1), "its end is not that of one");
    check(&|b| b.truncate(10), "it is too short");
    check(&|b| drop(b.drain(..4096)), "its length is wrong");
    assert_eq!(count(&open(&place.db()).unwrap()).await, 1);
    let none = snapshot::save(&place.file("none"), &place.file("t"), 0);
    assert!(matches!(none, Err(SnapshotError::NoStore(_))));
}

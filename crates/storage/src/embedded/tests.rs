//! The embedded engine besides what every engine does.

mod crash;
mod disk;
mod powercut;
mod snapshots;
mod trouble;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use apimachinery::ObjectKey;
use cache::{EventKind, Filter, WatchItem};
use futures::future::join_all;
use stdx::Tasks;

use super::*;
use crate::collection::Terms;
use crate::engine::{Durability, Guard, Op};
use crate::testsuite::collections::{spec, store, text, thing};
use crate::testsuite::{delete, put, txn};
use disk::Disk;

fn open(dir: &Path) -> Result<EmbeddedEngine, EmbeddedError> {
    EmbeddedEngine::open(EmbeddedConfig { on_fatal: OnFatal::Refuse, ..EmbeddedConfig::new(dir) })
}

fn open_on(disk: &Disk, dir: &Path) -> EmbeddedEngine {
    let vfs = Some(disk.name.clone());
    EmbeddedEngine::open(EmbeddedConfig { vfs, on_fatal: OnFatal::Refuse, ..EmbeddedConfig::new(dir) })
        .unwrap()
}

async fn write(engine: &EmbeddedEngine, op: Op) -> Result<Revision, CommitError> {
    engine.commit(txn(vec![], vec![op])).await
}

async fn count(engine: &EmbeddedEngine) -> usize {
    engine.list(ListRequest::default()).await.unwrap().items.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_suite() {
    let dirs: Mutex<Vec<tempfile::TempDir>> = Mutex::default();
    let engine = async || {
        let dir = tempfile::tempdir().unwrap();
        let engine = open(dir.path()).unwrap();
        dirs.lock().unwrap().push(dir);
        Arc::new(engine) as Arc<dyn Engine>
    };
    crate::testsuite::run(engine).await;
}

/// A proper close and start is as if nothing had happened: revisions, exact lists, watches.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let key = ObjectKey::new("ns", "a");
    let tasks = Tasks::new();
    let engine = Arc::new(open(dir.path()).unwrap());
    let things = store(engine.clone(), &tasks).await.collection(spec("/registry/things/")).await.unwrap();
    let made = things.create(&key, thing("1"), Terms::default()).await.unwrap();
    let changed = things.update(&key, thing("2"), made.revision, Terms::default()).await.unwrap();
    let gone = things.delete(&key, changed.revision, Some(thing("end")), Terms::default()).await.unwrap();
    tasks.stop().await;
    engine.close().await;

    let tasks = Tasks::new();
    let engine = Arc::new(open(dir.path()).unwrap());
    assert_eq!(engine.current_revision().await, Ok(gone.revision));
    let things = store(engine.clone(), &tasks).await.collection(spec("/registry/things/")).await.unwrap();
    let then = things.cache().snapshot_at(made.revision).unwrap();
    assert_eq!(text(then.get(&key).unwrap()), "1");
    let mut watch = things.cache().watch(made.revision, Filter::all()).unwrap();
    for (kind, value) in [(EventKind::Modified, "2"), (EventKind::Deleted, "end")] {
        let WatchItem::Event(event) = watch.next().await.unwrap() else { panic!() };
        assert_eq!((event.kind, &*text(&event.object)), (kind, value));
    }
    let next = things.create(&key, thing("3"), Terms::default()).await.unwrap();
    assert_eq!(next.revision, Revision(gone.revision.0 + 1));
    tasks.stop().await;
}

/// Compacted rows leave the file, and a start finds only what is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compaction_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path()).unwrap();
    for n in 0..2000 {
        let op = put(&format!("/{}", n % 10), &n.to_string());
        engine.commit(Txn { durability: Durability::Relaxed, ..txn(vec![], vec![op]) }).await.unwrap();
    }
    write(&engine, delete("/0")).await.unwrap();
    let end = write(&engine, put("/1", "end")).await.unwrap();
    engine.compact(Revision(end.0 - 1)).await.unwrap();
    engine.close().await;

    let rows = || Connection::open(dir.path().join(database::FILE)).unwrap();
    let rows = rows().query_row("SELECT count(*) FROM log", [], |r| r.get::<_, i64>(0)).unwrap();
    assert_eq!(rows, 10, "nine keys and the last change of one, which the window still shows");
    let engine = open(dir.path()).unwrap();
    assert_eq!(engine.oldest_revision(), Revision(end.0 - 1));
    assert_eq!(engine.current_revision().await, Ok(end));
    assert_eq!(count(&engine).await, 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path()).unwrap();
    let refused = open(dir.path()).err().unwrap().to_string();
    let pid = std::process::id();
    assert_eq!(refused, format!("{} is in use by another server (process {pid})", dir.path().display()));
    write(&engine, put("/a", "1")).await.unwrap();
    engine.close().await;
    assert_eq!(count(&open(dir.path()).unwrap()).await, 1);
}

#[test]
fn newer_and_foreign_files_are_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(database::FILE);
    drop(open(dir.path()).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let refused = open(dir.path()).err().unwrap().to_string();
    assert!(
        refused.contains("has format 99, written by a newer Knarr; this one reads formats up to 1"),
        "{refused}"
    );

    std::fs::write(
        &path,
        "this is not a database, it is a letter to the editor, long enough for a header ….........",
    )
    .unwrap();
    let before = std::fs::read(&path).unwrap();
    let refused = open(dir.path()).err().unwrap().to_string();
    assert_eq!(refused, format!("{} is not a Knarr store", path.display()));
    assert_eq!(std::fs::read(&path).unwrap(), before);

    std::fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE other (a)").unwrap();
    let refused = open(dir.path()).err().unwrap().to_string();
    assert_eq!(refused, format!("{} is not a Knarr store", path.display()));
}

/// The power may go at any sync of the very first start, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_that_is_cut_short_is_begun_anew() {
    let disk = Disk::new("first-start");
    let images = Arc::new(Mutex::new(Vec::new()));
    let (kept, random) = (images.clone(), stdx::Random::seeded(1));
    disk.at_sync(move |disk| {
        let mut images = kept.lock().unwrap();
        images.push(disk.cut(None));
        images.extend((0..4).map(|_| disk.cut(Some(&random))));
    });
    let dir = tempfile::tempdir().unwrap();
    drop(open_on(&disk, dir.path()));
    disk.at_sync(|_| ());
    let images = std::mem::take(&mut *images.lock().unwrap());
    assert!(images.len() > 20, "{}", images.len());
    for image in images {
        let dir = tempfile::tempdir().unwrap();
        disk::restore(&image, dir.path());
        let engine = open(dir.path()).unwrap();
        write(&engine, put("/a", "1")).await.unwrap();
        assert_eq!(count(&engine).await, 1);
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(database::FILE);
    Connection::open(&path).unwrap().query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() > 0);
    open(dir.path()).unwrap();
}

#[test]
fn only_the_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    drop(open(&data).unwrap());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(&data), mode(&data.join(database::FILE)), mode(&data.join("lock"))),
        (0o700, 0o600, 0o600)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_writes_until_there_is_space() {
    let disk = Disk::new("full");
    let dir = tempfile::tempdir().unwrap();
    let engine = open_on(&disk, dir.path());
    let before = write(&engine, put("/a", "1")).await.unwrap();

    disk.full.store(true, Ordering::SeqCst);
    let all = (0..32).map(|n| engine.commit(txn(vec![], vec![put("/a", "2"), put(&format!("/{n}"), "2")])));
    for result in join_all(all).await {
        let why = "no space left on the disk under the store";
        assert_eq!(result, Err(CommitError::Unavailable(why.into())));
    }
    assert_eq!(engine.current_revision().await, Ok(before));
    assert_eq!(count(&engine).await, 1, "nothing is half done, and reads go on");

    disk.full.store(false, Ordering::SeqCst);
    let next = engine.commit(txn(vec![Guard::Unchanged("/a".into(), before)], vec![put("/a", "3")])).await;
    assert_eq!(next, Ok(Revision(before.0 + 1)));
    engine.close().await;
    let engine = open(dir.path()).unwrap();
    assert_eq!(&engine.get("/a").await.unwrap().unwrap().value[..], b"3");
    assert_eq!(count(&engine).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failed_fsync_nothing_is_written_any_more() {
    let disk = Disk::new("failed");
    let dir = tempfile::tempdir().unwrap();
    let engine = open_on(&disk, dir.path());
    let before = write(&engine, put("/a", "1")).await.unwrap();
    disk.fails.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        let refused = write(&engine, put("/b", "2")).await;
        let Err(CommitError::Unavailable(why)) = refused else { panic!("{refused:?}") };
        assert!(why.starts_with("the disk under the store has failed"), "{why}");
        // It works again, but what is on it is not known.
        disk.fails.store(false, Ordering::SeqCst);
    }
    assert_eq!(engine.current_revision().await, Ok(before));
    assert_eq!(count(&engine).await, 1, "reads go on");
}

/// Relaxed writes are in the log that a checkpoint syncs: when that fails they may be lost, and durable ones behind them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failed_checkpoint_nothing_is_written_any_more() {
    let disk = Disk::new("failed-checkpoint");
    let dir = tempfile::tempdir().unwrap();
    let config = EmbeddedConfig {
        vfs: Some(disk.name.clone()),
        checkpoint_pages: 20,
        on_fatal: OnFatal::Refuse,
        ..EmbeddedConfig::new(dir.path())
    };
    let engine = EmbeddedEngine::open(config).unwrap();
    disk.fails.store(true, Ordering::SeqCst);
    let relaxed = || Txn { durability: Durability::Relaxed, ..txn(vec![], vec![put("/lease", "1")]) };
    let mut written = 0;
    while engine.commit(relaxed()).await.is_ok() {
        written += 1;
        assert!(written < 100_000, "the checkpoint fails and nobody minds");
    }
    assert!(written > 5, "relaxed writes need no sync");
    disk.fails.store(false, Ordering::SeqCst);
    assert!(write(&engine, put("/a", "1")).await.is_err());
}

/// Many writers share an fsync; relaxed writes need none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_share_an_fsync() {
    let disk = Disk::new("group-commit");
    let dir = tempfile::tempdir().unwrap();
    let engine = open_on(&disk, dir.path());
    let begin = disk.syncs.load(Ordering::SeqCst);
    join_all((0..500).map(|n| write(&engine, put(&format!("/{n}"), "1")))).await;
    let durable = disk.syncs.load(Ordering::SeqCst) - begin;
    assert!((1..100).contains(&durable), "{durable} syncs for 500 commits");

    let relaxed =
        |n| Txn { durability: Durability::Relaxed, ..txn(vec![], vec![put("/lease", &format!("{n}"))]) };
    for n in 0..50 {
        engine.commit(relaxed(n)).await.unwrap();
    }
    assert_eq!(disk.syncs.load(Ordering::SeqCst) - begin, durable, "no sync for relaxed writes");
    write(&engine, put("/a", "1")).await.unwrap();
    assert_eq!(disk.syncs.load(Ordering::SeqCst) - begin, durable + 1);
}

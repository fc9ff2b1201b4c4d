//! What the disk may do to a store while nobody looks, and files of before.

use std::io::{Seek, SeekFrom, Write};

use super::*;

/// The form of format 1, as the first release wrote it: never to be changed with the code.
const FORMAT_1: &str = "
    PRAGMA application_id = 1265525106;
    PRAGMA user_version = 1;
    CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE lost (first INTEGER PRIMARY KEY, last INTEGER NOT NULL);
    CREATE TABLE log (id INTEGER PRIMARY KEY, key TEXT NOT NULL, live INTEGER NOT NULL, value BLOB);
    INSERT INTO meta VALUES ('reserved', 10001), ('clean', 5), ('compacted', 2);
    INSERT INTO log VALUES (256, '/a', 1, x'31'), (384, '/b', 1, x'32'), (512, '/b', 0, NULL), (640, '/a', 1, x'33');
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_format_1_is_read() {
    let dir = tempfile::tempdir().unwrap();
    Connection::open(dir.path().join(database::FILE)).unwrap().execute_batch(FORMAT_1).unwrap();
    let engine = open(dir.path()).unwrap();
    assert_eq!(engine.current_revision().await, Ok(Revision(5)));
    assert_eq!(engine.oldest_revision(), Revision(2));
    let at = |revision| ListRequest { at: Some(Revision(revision)), ..ListRequest::default() };
    let keys = |page: ListPage| page.items.iter().map(|kv| kv.key.to_string()).collect::<Vec<_>>();
    assert_eq!(keys(engine.list(at(3)).await.unwrap()), ["/a", "/b"]);
    assert_eq!(keys(engine.list(at(5)).await.unwrap()), ["/a"]);
    assert_eq!(&engine.get("/a").await.unwrap().unwrap().value[..], b"3");
    assert_eq!(write(&engine, put("/c", "1")).await, Ok(Revision(6)));
}

/// Pages that are not what was written: the start refuses, says what to do, and changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_store_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path()).unwrap();
    for n in 0..200 {
        write(&engine, put(&format!("/{n}"), &"x".repeat(1000))).await.unwrap();
    }
    engine.close().await;
    let path = dir.path().join(database::FILE);
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let len = file.metadata().unwrap().len();
    file.seek(SeekFrom::Start(4 * 4096)).unwrap();
    file.write_all(&vec![0xa5; len as usize - 4 * 4096]).unwrap();
    drop(file);
    let before = std::fs::read(&path).unwrap();
    let refused = open(dir.path()).err().unwrap();
    assert!(matches!(refused, EmbeddedError::Corrupt { .. }), "{refused}");
    let text = refused.to_string();
    assert!(text.contains("is damaged") && text.contains("knarr snapshot restore FILE"), "{text}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

/// A disk that is mounted for reading only.
#[test]
fn a_read_only_disk_is_refused() {
    let error =
        |kind| EmbeddedError::Io { path: "/d/lock".into(), source: std::io::Error::from(kind) }.to_string();
    let text = error(std::io::ErrorKind::ReadOnlyFilesystem);
    assert!(text.contains("mount the disk for writing"), "{text}");
    assert!(error(std::io::ErrorKind::StorageFull).contains("make space"));
    let read_only =
        rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_READONLY), None);
    let text = database::explain(Path::new("/d/store.db"), read_only).to_string();
    assert!(text.contains("mount the disk for writing"), "{text}");
}

//! What the file looks like, and how it is opened after whatever happened.
//!
//! `log` holds every version of every key since the last compaction, in order; a deletion is a row, too. `meta` holds
//! numbers by name: `reserved` (revisions up to here may have been handed out), `clean` (the last revision, present only
//! after a proper close), `compacted`. `lost` holds ranges of revisions that a crash took back.

use std::ops::RangeInclusive;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use apimachinery::Revision;
use bytes::Bytes;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};

use super::EmbeddedError;
use crate::engine::{Key, KeyChange, KeyEvent, MAX_OPS};
use crate::mvcc::{Mvcc, Version};

pub(super) const FILE: &str = "store.db";

/// "Knar"
const APPLICATION_ID: i64 = 0x4b6e_6172;

/// The format that this code reads and writes. To change it: raise it and add a step to [`upgrade`].
const FORMAT: i64 = 1;

/// Revisions reserved at once: one more row in a batch that is committed anyway, so many revisions apart.
const RESERVED: u64 = 10_000;

const SCHEMA: &str = "
    CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE lost (first INTEGER PRIMARY KEY, last INTEGER NOT NULL);
    CREATE TABLE log (id INTEGER PRIMARY KEY, key TEXT NOT NULL, live INTEGER NOT NULL, value BLOB);
    INSERT INTO meta VALUES ('reserved', 1), ('clean', 1), ('compacted', 1);
";

/// A version of a key as stored.
#[derive(Debug)]
pub(super) struct Row {
    /// The revision and the place within its transaction: see [`row_id`].
    pub id: i64,
    pub key: Key,
    pub live: bool,
    /// Always there for a live version.
    pub value: Option<Bytes>,
}

/// The row of the `place`th operation of a revision.
pub(super) fn row_id(revision: u64, place: usize) -> i64 {
    (revision * MAX_OPS as u64 + place as u64) as i64
}

fn row_revision(id: i64) -> Revision {
    Revision(id as u64 / MAX_OPS as u64)
}

impl Row {
    pub fn revision(&self) -> Revision {
        row_revision(self.id)
    }

    pub fn into_event(self) -> KeyEvent {
        let revision = self.revision();
        let change = match self.live {
            true => KeyChange::Put(self.value.unwrap_or_default()),
            false => KeyChange::Deleted(self.value),
        };
        KeyEvent { key: self.key, revision, change }
    }
}

/// What is in memory of the file.
pub(super) struct Loaded {
    pub versions: Mvcc<i64>,
    /// Revisions that may be handed out without another reservation.
    pub reserved: u64,
    pub lost: Vec<RangeInclusive<u64>>,
}

/// A connection for one thread.
pub(super) fn connect(path: &Path, vfs: Option<&str>) -> rusqlite::Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = match vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs)?,
        None => Connection::open_with_flags(path, flags)?,
    };
    conn.busy_timeout(Duration::from_secs(10))?;
    // Checkpoints are made by their own thread.
    conn.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY;",
    )?;
    Ok(conn)
}

/// The writer's connection to the file, which is made or upgraded as needed, with everything in it on the disk.
pub(super) fn open(path: &Path, vfs: Option<&str>) -> Result<Connection, EmbeddedError> {
    let conn = connect(path, vfs).map_err(|e| explain(path, e))?;
    let format = identify(&conn, path)?;
    prepare(&conn, format).map_err(|e| explain(path, e))?;
    let io = |source| EmbeddedError::Io { path: path.into(), source };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(io)?;
    Ok(conn)
}

/// The file's format; 0 for a new file.
pub(super) fn identify(conn: &Connection, path: &Path) -> Result<i64, EmbeddedError> {
    let number = |sql: &str| conn.query_row(sql, [], |r| r.get::<_, i64>(0));
    let read = || -> rusqlite::Result<_> {
        let application = number("PRAGMA application_id")?;
        let format = number("PRAGMA user_version")?;
        // Not the size: a crash may leave a header without contents.
        Ok((application, format, number("SELECT count(*) FROM sqlite_schema")?))
    };
    match read().map_err(|e| explain(path, e))? {
        (0, 0, 0) => Ok(0),
        (APPLICATION_ID, format, _) if format <= FORMAT => Ok(format),
        (APPLICATION_ID, found, _) => Err(EmbeddedError::Newer { path: path.into(), found, known: FORMAT }),
        _ => Err(EmbeddedError::Foreign { path: path.into() }),
    }
}

fn prepare(conn: &Connection, format: i64) -> rusqlite::Result<()> {
    conn.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    if format < FORMAT {
        upgrade(conn, format)?;
    }
    // What a crash left in the write-ahead log may be in the page cache only, and would be lost to a power cut together
    // with what is appended to it: write it anew.
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// From `format` to [`FORMAT`], in one transaction.
fn upgrade(conn: &Connection, format: i64) -> rusqlite::Result<()> {
    let tx = conn.unchecked_transaction()?;
    if format < 1 {
        tx.execute_batch(SCHEMA)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    tx.pragma_update(None, "user_version", FORMAT)?;
    tx.commit()
}

/// Reads the index of all versions and reserves revisions, above all that may have been handed out before.
pub(super) fn load(conn: &Connection) -> rusqlite::Result<Loaded> {
    let compacted = meta(conn, "compacted")?.unwrap_or(1);
    let reserved = meta(conn, "reserved")?.unwrap_or(1);
    let last = conn.query_row("SELECT max(id) FROM log", [], |r| r.get::<_, Option<i64>>(0))?;
    let last = last.map_or(0, |id| row_revision(id).0).max(compacted);
    let clean = meta(conn, "clean")?;
    let tx = conn.unchecked_transaction()?;
    let current = match clean {
        Some(clean) => clean.max(last),
        None => {
            tx.execute("INSERT OR REPLACE INTO lost VALUES (?1, ?2)", [last as i64 + 1, reserved as i64])?;
            reserved + 1
        }
    };
    // Nobody asks for what was before the window.
    tx.execute("DELETE FROM lost WHERE last < ?1 OR last < first", [compacted as i64])?;
    tx.execute("DELETE FROM meta WHERE name = 'clean'", [])?;
    let reserved = reserve(&tx, current)?;
    tx.commit()?;

    let mut versions = Mvcc::new(Revision(compacted), Revision(current));
    let mut select = conn.prepare("SELECT id, key, live FROM log ORDER BY id")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (id, key, live) = (row.get(0)?, Key::from(row.get_ref(1)?.as_str()?), row.get(2)?);
        versions.push(&key, Version { revision: row_revision(id), live, value: id });
    }
    let mut select = conn.prepare("SELECT first, last FROM lost")?;
    let lost = select.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?;
    let lost = lost
        .map(|range| range.map(|(a, b): (i64, i64)| a as u64..=b as u64))
        .collect::<rusqlite::Result<_>>()?;
    Ok(Loaded { versions, reserved, lost })
}

/// Of the last change that is in the file, or the start of history.
pub(super) fn last_revision(conn: &Connection) -> rusqlite::Result<Revision> {
    let last = conn.query_row("SELECT max(id) FROM log", [], |r| r.get::<_, Option<i64>>(0))?;
    let last = last.map_or(0, |id| row_revision(id).0);
    Ok(Revision(last.max(meta(conn, "compacted")?.unwrap_or(1)).max(meta(conn, "clean")?.unwrap_or(1))))
}

/// No revision above this one has been given to anybody.
pub(super) fn last_handed_out(conn: &Connection) -> rusqlite::Result<Revision> {
    let reserved = meta(conn, "reserved")?.unwrap_or(1);
    Ok(last_revision(conn)?.max(Revision(reserved)))
}

/// Forgets all history, and goes on above `revision`, as after a proper close.
pub(super) fn begin_at(conn: &Connection, revision: Revision) -> rusqlite::Result<()> {
    let tx = conn.unchecked_transaction()?;
    tx.execute_batch(
        "DELETE FROM log WHERE live = 0 OR id NOT IN (SELECT max(id) FROM log GROUP BY key);
         DELETE FROM lost;",
    )?;
    for name in ["reserved", "clean", "compacted"] {
        set_meta(&tx, name, revision.0)?;
    }
    tx.commit()
}

/// Reserves revisions above `current`; counts when it is durable.
pub(super) fn reserve(conn: &Connection, current: u64) -> rusqlite::Result<u64> {
    let reserved = current + RESERVED;
    set_meta(conn, "reserved", reserved)?;
    Ok(reserved)
}

pub(super) fn set_meta(conn: &Connection, name: &str, value: u64) -> rusqlite::Result<()> {
    conn.prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?
        .execute(params![name, value as i64])?;
    Ok(())
}

fn meta(conn: &Connection, name: &str) -> rusqlite::Result<Option<u64>> {
    let value = conn.query_row("SELECT value FROM meta WHERE name = ?1", [name], |r| r.get::<_, i64>(0));
    Ok(value.optional()?.map(|v| v as u64))
}

/// An error of opening, in words.
pub(super) fn explain(path: &Path, source: rusqlite::Error) -> EmbeddedError {
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => EmbeddedError::Foreign { path: path.into() },
        Some(ErrorCode::DatabaseCorrupt) => {
            EmbeddedError::Corrupt { path: path.into(), why: source.to_string() }
        }
        Some(ErrorCode::ReadOnly | ErrorCode::DiskFull | ErrorCode::PermissionDenied) => {
            let kind = match source.sqlite_error_code() {
                Some(ErrorCode::ReadOnly) => std::io::ErrorKind::ReadOnlyFilesystem,
                Some(ErrorCode::DiskFull) => std::io::ErrorKind::StorageFull,
                _ => std::io::ErrorKind::PermissionDenied,
            };
            EmbeddedError::Io { path: path.into(), source: std::io::Error::new(kind, source.to_string()) }
        }
        _ => EmbeddedError::Sql { path: path.into(), source },
    }
}

//! Snapshots: the whole store in one file, taken while a server runs, checked, and put back.
//!
//! A snapshot is a SQLite file in the store's format, a trailer ([`About`]) and the SHA-256 of both.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use apimachinery::Revision;
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use sha2::{Digest, Sha256};

use super::database::{self, FILE};
use super::{DirLock, EmbeddedError};

const MAGIC: &[u8; 8] = b"KNARRSN1";

/// Magic, revision, keys, seconds, length of the database; then the checksum.
const ABOUT_LEN: usize = 40;
const TRAILER_LEN: u64 = ABOUT_LEN as u64 + 32;

/// Revisions between what was there before and what comes after a restore. A store reserves revisions on the disk before it
/// gives them to anybody, so that no more is needed: a later copy into an etcd must write once for each.
pub const BUMP: u64 = 1;

/// The same when the store that the snapshot is of cannot be read any more: nobody knows how far it had come.
pub const BUMP_BLIND: u64 = 1_000_000;

/// What a snapshot is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    pub revision: Revision,
    /// Live keys.
    pub keys: u64,
    /// Seconds since 1970.
    pub saved: i64,
    /// Of the database, in bytes.
    pub len: u64,
}

/// Why a snapshot could not be taken, read or put back.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error(transparent)]
    Store(#[from] EmbeddedError),
    #[error("there is no store in {}", .0.display())]
    NoStore(PathBuf),
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    #[error("{} is no whole snapshot of Knarr: {why}", path.display())]
    Damaged { path: PathBuf, why: String },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> SnapshotError {
    let path = path.to_owned();
    move |source| SnapshotError::Io { path, source }
}

fn sql(path: &Path) -> impl FnOnce(rusqlite::Error) -> SnapshotError {
    let path = path.to_owned();
    move |source| SnapshotError::Store(database::explain(&path, source))
}

/// Writes a snapshot of the store in `dir`, whether a server uses it or not. `file` appears when it is whole and checked.
/// `now` in seconds since 1970. Blocks.
pub fn save(dir: &Path, file: &Path, now: i64) -> Result<About, SnapshotError> {
    let store = dir.join(FILE);
    if !store.exists() {
        return Err(SnapshotError::NoStore(dir.into()));
    }
    if file.exists() {
        return Err(SnapshotError::Exists(file.into()));
    }
    let partial = with_suffix(file, ".partial");
    remove_if_there(&partial)?;
    // Before SQLite makes it for everybody to read.
    create(&partial)?;
    let done = copy(&store, &partial).and_then(|(revision, keys)| {
        let about = About { revision, keys, saved: now, len: len_of(&partial)? };
        seal(&partial, &about)?;
        read(&partial)?;
        std::fs::rename(&partial, file).map_err(io(file))?;
        sync_dir(file)?;
        Ok(about)
    });
    if done.is_err() {
        // What matters is why it failed.
        let _ = std::fs::remove_file(&partial);
    }
    done
}

/// The store as it is at one moment. Gives its revision and how many keys are live.
fn copy(store: &Path, to: &Path) -> Result<(Revision, u64), SnapshotError> {
    let source = database::connect(store, None).map_err(sql(store))?;
    database::identify(&source, store)?;
    let mut target = Connection::open(to).map_err(sql(to))?;
    {
        let backup = Backup::new(&source, &mut target).map_err(sql(store))?;
        // All pages in one step are of one moment; commits go on beside it.
        while backup.step(-1).map_err(sql(store))? != StepResult::Done {
            std::thread::yield_now();
        }
    }
    // A file that is whole by itself.
    target.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(())).map_err(sql(to))?;
    check_pages(&target, to)?;
    summary(&target).map_err(sql(to))
}

fn check_pages(conn: &Connection, path: &Path) -> Result<(), SnapshotError> {
    let found: String = conn.query_row("PRAGMA quick_check(1)", [], |r| r.get(0)).map_err(sql(path))?;
    match &*found {
        "ok" => Ok(()),
        why => Err(SnapshotError::Damaged { path: path.into(), why: why.into() }),
    }
}

fn summary(conn: &Connection) -> rusqlite::Result<(Revision, u64)> {
    let last = database::last_revision(conn)?;
    // With max(), SQLite takes the other columns from the row that has it.
    let live = "SELECT count(*) FROM (SELECT live, max(id) FROM log GROUP BY key) WHERE live = 1";
    let keys: i64 = conn.query_row(live, [], |r| r.get(0))?;
    Ok((last, keys as u64))
}

/// Appends trailer and checksum.
fn seal(path: &Path, about: &About) -> Result<(), SnapshotError> {
    let mut file = OpenOptions::new().read(true).append(true).open(path).map_err(io(path))?;
    file.write_all(&about.encode()).map_err(io(path))?;
    let checksum = checksum(&mut file, about.len + ABOUT_LEN as u64).map_err(io(path))?;
    file.write_all(&checksum).and_then(|()| file.sync_all()).map_err(io(path))
}

/// What a snapshot is of, after it has been read to the end and its checksum was found right.
pub fn read(path: &Path) -> Result<About, SnapshotError> {
    let damaged = |why: &str| SnapshotError::Damaged { path: path.into(), why: why.into() };
    let mut file = File::open(path).map_err(io(path))?;
    let len = len_of(path)?;
    let database = len.checked_sub(TRAILER_LEN).ok_or_else(|| damaged("it is too short"))?;
    let mut trailer = [0; TRAILER_LEN as usize];
    file.seek(SeekFrom::Start(database)).and_then(|_| file.read_exact(&mut trailer)).map_err(io(path))?;
    let about = About::decode(&trailer[..ABOUT_LEN]).ok_or_else(|| damaged("its end is not that of one"))?;
    if about.len != database {
        return Err(damaged("its length is wrong"));
    }
    let found = checksum(&mut file, database + ABOUT_LEN as u64).map_err(io(path))?;
    match found[..] == trailer[ABOUT_LEN..] {
        true => Ok(about),
        false => Err(damaged("its checksum is wrong")),
    }
}

/// Makes a snapshot the store in `dir`, which no server may use. What was there is kept beside it, as
/// `store.db.before-restore`. Revisions go on `bump` above all that there was, so that nobody takes an old one for a new;
/// what was asked from before is answered as forgotten. Gives the revision that the store then has. Blocks.
pub fn restore(path: &Path, dir: &Path, bump: Option<u64>) -> Result<Revision, SnapshotError> {
    let _lock = DirLock::take(dir)?;
    let about = read(path)?;
    let store = dir.join(FILE);
    let before = newest(&store);
    let bump = bump.unwrap_or(if before.is_some() { BUMP } else { BUMP_BLIND });
    let revision = Revision(before.unwrap_or_default().max(about.revision).0 + bump);

    let restoring = dir.join("store.db.restoring");
    for suffix in ["", "-wal", "-shm"] {
        remove_if_there(&with_suffix(&restoring, suffix))?;
    }
    let mut source = File::open(path).map_err(io(path))?.take(about.len);
    let mut target = create(&restoring)?;
    std::io::copy(&mut source, &mut target).map_err(io(&restoring))?;
    rewrite(&restoring, revision)?;
    File::open(&restoring).and_then(|f| f.sync_all()).map_err(io(&restoring))?;
    set_aside(&store)?;
    std::fs::rename(&restoring, &store).map_err(io(&store))?;
    sync_dir(&store)?;
    Ok(revision)
}

/// A new store in `dir`, whose revisions begin at `revision`.
pub fn begin_at(dir: &Path, revision: Revision) -> Result<(), SnapshotError> {
    let _lock = DirLock::take(dir)?;
    let store = dir.join(FILE);
    if store.exists() {
        return Err(SnapshotError::Exists(store));
    }
    rewrite(&store, revision)?;
    sync_dir(&store)
}

/// Makes `revision` the oldest and newest of a database file, whose history is forgotten.
fn rewrite(path: &Path, revision: Revision) -> Result<(), SnapshotError> {
    let conn = database::open(path, None)?;
    check_pages(&conn, path)?;
    database::begin_at(&conn, revision).map_err(sql(path))?;
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(sql(path))?;
    conn.close().map_err(|(_, error)| sql(path)(error))
}

/// The last revision that a store may have handed out; none when there is none that can be read.
fn newest(store: &Path) -> Option<Revision> {
    if !store.exists() {
        return None;
    }
    let conn = database::connect(store, None).ok()?;
    database::identify(&conn, store).ok()?;
    let newest = database::last_handed_out(&conn).ok()?;
    // So that the file is whole without its log.
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).ok()?;
    Some(newest)
}

/// Keeps what is there under another name. The file stays until the new one takes its place: a crash in between leaves the
/// old store. Its log must go before that, or it would be taken for the new one's.
fn set_aside(store: &Path) -> Result<(), SnapshotError> {
    let aside = with_suffix(store, ".before-restore");
    for suffix in ["", "-wal", "-shm"] {
        remove_if_there(&with_suffix(&aside, suffix))?;
    }
    if store.exists() {
        std::fs::hard_link(store, &aside).map_err(io(&aside))?;
    }
    for suffix in ["-wal", "-shm"] {
        let (from, to) = (with_suffix(store, suffix), with_suffix(&aside, suffix));
        match std::fs::rename(&from, &to) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io(&from)(e)),
            _ => {}
        }
    }
    sync_dir(store)
}

impl About {
    fn encode(&self) -> [u8; ABOUT_LEN] {
        let mut out = [0; ABOUT_LEN];
        out[..8].copy_from_slice(MAGIC);
        let numbers = [self.revision.0, self.keys, self.saved as u64, self.len];
        for (place, number) in out[8..].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let numbers = bytes.strip_prefix(MAGIC)?;
        let mut numbers = numbers.chunks_exact(8).filter_map(|n| n.try_into().ok()).map(u64::from_be_bytes);
        let mut next = || numbers.next();
        Some(About { revision: Revision(next()?), keys: next()?, saved: next()? as i64, len: next()? })
    }
}

fn checksum(file: &mut File, len: u64) -> std::io::Result<[u8; 32]> {
    file.seek(SeekFrom::Start(0))?;
    let mut hash = Sha256::new();
    let mut rest = file.take(len);
    let mut buffer = vec![0; 64 << 10];
    loop {
        match rest.read(&mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            read => hash.update(&buffer[..read]),
        }
    }
}

fn create(path: &Path) -> Result<File, SnapshotError> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io(path))
}

fn len_of(path: &Path) -> Result<u64, SnapshotError> {
    Ok(std::fs::metadata(path).map_err(io(path))?.len())
}

fn remove_if_there(path: &Path) -> Result<(), SnapshotError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io(path)(e)),
        _ => Ok(()),
    }
}

fn sync_dir(file: &Path) -> Result<(), SnapshotError> {
    let dir = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir).and_then(|d| d.sync_all()).map_err(io(dir))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

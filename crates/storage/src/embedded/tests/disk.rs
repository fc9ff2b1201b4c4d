//! A disk that can lose power, fill up and fail: a SQLite VFS over the real one that knows for every file what has been
//! synced and what has only been written.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs};
use stdx::Random;

/// A registered VFS. Kept for the life of the process, as SQLite wants it.
pub struct Disk {
    pub name: String,
    /// `sync` does nothing, though it says so.
    pub lies: AtomicBool,
    /// `sync` fails.
    pub fails: AtomicBool,
    /// No space for writes.
    pub full: AtomicBool,
    pub syncs: AtomicUsize,
    files: Mutex<BTreeMap<String, File>>,
    /// Called at the beginning of every sync, the moment when most is at risk.
    at_sync: Mutex<Option<Box<dyn Fn(&Disk) + Send + Sync>>>,
    base: *mut sqlite3_vfs,
}

// SAFETY: `base` is SQLite's default VFS, which lives for ever and may be called from any thread.
unsafe impl Send for Disk {}
// SAFETY: as above; all else is behind locks and atomics.
unsafe impl Sync for Disk {}

#[derive(Clone, Default)]
struct File {
    /// What is on the disk for sure.
    durable: Vec<u8>,
    /// What may be on it, or part of it.
    pending: Vec<Write>,
}

#[derive(Clone)]
enum Write {
    At(usize, Vec<u8>),
    Truncate(usize),
}

/// The unit that reaches a disk whole.
const SECTOR: usize = 512;

/// What is on the disk after the power was cut, by file name.
pub type Image = BTreeMap<String, Vec<u8>>;

impl Disk {
    pub fn new(name: &str) -> Arc<Disk> {
        // SAFETY: finds the default VFS; SQLite initialises itself.
        let base = unsafe {
            ffi::sqlite3_initialize();
            ffi::sqlite3_vfs_find(std::ptr::null())
        };
        assert!(!base.is_null());
        let disk = Arc::new(Disk {
            name: name.into(),
            lies: AtomicBool::new(false),
            fails: AtomicBool::new(false),
            full: AtomicBool::new(false),
            syncs: AtomicUsize::new(0),
            files: Mutex::default(),
            at_sync: Mutex::default(),
            base,
        });
        let name = CString::new(name).unwrap().into_raw();
        // SAFETY: a copy of the default VFS, whose functions but xOpen do not look at the VFS they are called with; name,
        // VFS and disk are leaked, so they outlive all use.
        unsafe {
            let mut vfs = *base;
            vfs.pNext = std::ptr::null_mut();
            vfs.zName = name;
            vfs.pAppData = Arc::into_raw(disk.clone()) as *mut c_void;
            vfs.szOsFile += size_of::<Handle>() as c_int;
            vfs.xOpen = Some(open);
            vfs.xDelete = Some(delete);
            let registered = ffi::sqlite3_vfs_register(Box::into_raw(Box::new(vfs)), 0);
            assert_eq!(registered, ffi::SQLITE_OK);
        }
        disk
    }

    pub fn at_sync(&self, hook: impl Fn(&Disk) + Send + Sync + 'static) {
        *self.at_sync.lock().unwrap() = Some(Box::new(hook));
    }

    /// What a power cut now leaves: all that was synced, and of the rest any sectors that `random` picks, or none.
    pub fn cut(&self, random: Option<&Random>) -> Image {
        let files = self.files.lock().unwrap();
        let image = |(path, file): (&String, &File)| {
            let mut content = file.durable.clone();
            for write in random.map_or(&[][..], |_| &file.pending) {
                apply(&mut content, write, random);
            }
            (Path::new(path).file_name().unwrap().to_str().unwrap().to_string(), content)
        };
        files.iter().map(image).collect()
    }

    fn write(&self, path: &str, write: Write) {
        self.files.lock().unwrap().entry(path.into()).or_default().pending.push(write);
    }

    fn sync(&self, path: &str) -> c_int {
        if let Some(hook) = &*self.at_sync.lock().unwrap() {
            hook(self);
        }
        self.syncs.fetch_add(1, Ordering::SeqCst);
        if self.fails.load(Ordering::SeqCst) {
            return ffi::SQLITE_IOERR_FSYNC;
        }
        if !self.lies.load(Ordering::SeqCst) {
            let mut files = self.files.lock().unwrap();
            let file = files.entry(path.into()).or_default();
            for write in std::mem::take(&mut file.pending) {
                apply(&mut file.durable, &write, None);
            }
        }
        ffi::SQLITE_OK
    }
}

/// Writes an image where an engine can be opened.
pub fn restore(image: &Image, dir: &Path) {
    for (name, content) in image {
        std::fs::write(dir.join(name), content).unwrap();
    }
}

/// With `random` each sector reaches the disk or not.
fn apply(content: &mut Vec<u8>, write: &Write, random: Option<&Random>) {
    match write {
        Write::Truncate(len) => content.resize(*len, 0),
        Write::At(offset, data) => {
            for (n, sector) in data.chunks(SECTOR).enumerate() {
                if random.is_some_and(|r| r.below(3) == 0) {
                    continue;
                }
                let at = offset + n * SECTOR;
                if content.len() < at + sector.len() {
                    content.resize(at + sector.len(), 0);
                }
                content[at..at + sector.len()].copy_from_slice(sector);
            }
        }
    }
}

/// What SQLite holds for an open file; the real VFS's own follows it in memory.
#[repr(C)]
struct Handle {
    file: sqlite3_file,
    disk: *const Disk,
    /// Null for temporary files.
    path: *mut String,
}

impl Handle {
    /// # Safety
    /// `file` was opened by [`open`].
    unsafe fn of<'a>(file: *mut sqlite3_file) -> (&'a Disk, Option<&'a str>, *mut sqlite3_file) {
        // SAFETY: then it is a Handle with room for the real file behind it, and the disk lives for ever.
        unsafe {
            let handle = file.cast::<Handle>();
            let path = (*handle).path.as_ref().map(String::as_str);
            (&*(*handle).disk, path, handle.add(1).cast())
        }
    }
}

unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: called by SQLite with our VFS and room for `szOsFile` bytes at `file`.
    unsafe {
        let disk = (*vfs).pAppData as *const Disk;
        let handle = file.cast::<Handle>();
        let real: *mut sqlite3_file = handle.add(1).cast();
        let base = (*disk).base;
        let result = (*base).xOpen.unwrap()(base, name, real, flags, out_flags);
        (*handle).disk = disk;
        (*handle).path = std::ptr::null_mut();
        (*handle).file.pMethods = if (*real).pMethods.is_null() { std::ptr::null() } else { &METHODS };
        if result == ffi::SQLITE_OK && !name.is_null() {
            let path = CStr::from_ptr(name).to_str().unwrap().to_string();
            let durable = std::fs::read(&path).unwrap();
            let new = || File { durable, pending: Vec::new() };
            (*disk).files.lock().unwrap().entry(path.clone()).or_insert_with(new);
            (*handle).path = Box::into_raw(Box::new(path));
        }
        result
    }
}

unsafe extern "C" fn delete(vfs: *mut sqlite3_vfs, name: *const c_char, sync_dir: c_int) -> c_int {
    // SAFETY: called by SQLite with our VFS.
    unsafe {
        let disk = (*vfs).pAppData as *const Disk;
        if let Ok(path) = CStr::from_ptr(name).to_str() {
            (*disk).files.lock().unwrap().remove(path);
        }
        (*(*disk).base).xDelete.unwrap()((*disk).base, name, sync_dir)
    }
}

/// Defines methods that go to the real file as they are.
macro_rules! forward {
    ($($name:ident($($arg:ident: $type:ty),*) -> $result:ty = $method:ident;)*) => {
        $(unsafe extern "C" fn $name(file: *mut sqlite3_file, $($arg: $type),*) -> $result {
            // SAFETY: called by SQLite with a file that `open` made; the real VFS has this method.
            unsafe {
                let (_, _, real) = Handle::of(file);
                (*(*real).pMethods).$method.unwrap()(real, $($arg),*)
            }
        })*
    };
}

forward! {
    read(buffer: *mut c_void, len: c_int, offset: sqlite3_int64) -> c_int = xRead;
    file_size(size: *mut sqlite3_int64) -> c_int = xFileSize;
    lock(level: c_int) -> c_int = xLock;
    unlock(level: c_int) -> c_int = xUnlock;
    check_reserved(result: *mut c_int) -> c_int = xCheckReservedLock;
    control(op: c_int, arg: *mut c_void) -> c_int = xFileControl;
    sector_size() -> c_int = xSectorSize;
    characteristics() -> c_int = xDeviceCharacteristics;
    shm_map(page: c_int, size: c_int, extend: c_int, out: *mut *mut c_void) -> c_int = xShmMap;
    shm_lock(offset: c_int, n: c_int, flags: c_int) -> c_int = xShmLock;
    shm_barrier() -> () = xShmBarrier;
    shm_unmap(delete: c_int) -> c_int = xShmUnmap;
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: as in `forward`; SQLite does not use the file after this.
    unsafe {
        let (_, _, real) = Handle::of(file);
        let path = (*file.cast::<Handle>()).path;
        if !path.is_null() {
            drop(Box::from_raw(path));
        }
        (*(*real).pMethods).xClose.unwrap()(real)
    }
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    buffer: *const c_void,
    len: c_int,
    offset: sqlite3_int64,
) -> c_int {
    // SAFETY: as in `forward`; `buffer` has `len` bytes.
    unsafe {
        let (disk, path, real) = Handle::of(file);
        if disk.full.load(Ordering::SeqCst) {
            return ffi::SQLITE_FULL;
        }
        if let Some(path) = path {
            let data = std::slice::from_raw_parts(buffer.cast::<u8>(), len as usize).to_vec();
            disk.write(path, Write::At(offset as usize, data));
        }
        (*(*real).pMethods).xWrite.unwrap()(real, buffer, len, offset)
    }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    // SAFETY: as in `forward`.
    unsafe {
        let (disk, path, real) = Handle::of(file);
        if let Some(path) = path {
            disk.write(path, Write::Truncate(size as usize));
        }
        (*(*real).pMethods).xTruncate.unwrap()(real, size)
    }
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: as in `forward`. The real disk is not synced: nothing here depends on it.
    let (disk, path, _) = unsafe { Handle::of(file) };
    path.map_or(ffi::SQLITE_OK, |path| disk.sync(path))
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved),
    xFileControl: Some(control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

//! Unpacks one layer on top of those below it, as a child of its own: the layers are mounted in its mount namespace and
//! it changes root into them, so that no path or link of the archive leads out, and a crash leaves no mount behind.
//!
//! Because the archive is applied to the merged tree, links of lower layers mean in it what they mean in the container,
//! hard links to lower files work, and removing a whited-out file lets overlayfs write the whiteout.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, SFlag, makedev, mknod, umask};
use nix::sys::time::TimeSpec;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tar::{Archive, Entry, EntryType};

/// What to unpack where. The archive, compressed or not, comes on standard input.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct UnpackSpec {
    /// Where `lowers` are relative to.
    pub layers: PathBuf,
    /// Topmost first.
    pub lowers: Vec<String>,
    /// The new layer's directory.
    pub upper: PathBuf,
    /// Scratch directories, removed by the caller.
    pub work: PathBuf,
    pub merged: PathBuf,
    /// `sha256:…` of the uncompressed archive.
    pub diff_id: String,
}

/// The answer on standard output: the bytes of the regular files.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Unpacked {
    pub size: u64,
}

/// `unpack SPEC`
pub fn main(args: &[String]) -> ExitCode {
    match run(args) {
        Ok(done) => {
            println!("{}", serde_json::to_string(&done).unwrap_or_default());
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("{e:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<Unpacked> {
    let spec: UnpackSpec = serde_json::from_str(args.first().context("expected a spec")?)?;
    enter(&spec)?;
    umask(Mode::from_bits_truncate(0o022));
    let mut input = Hashing { inner: decompress(BufReader::new(io::stdin().lock()))?, hash: Sha256::new() };
    let size = Applier::default().apply(&mut input)?;
    // The tail behind the archive's end counts for the digest.
    io::copy(&mut input, &mut io::sink()).context("read layer")?;
    let diff_id = format!("sha256:{}", hex(&input.hash.finalize()));
    if diff_id != spec.diff_id {
        bail!("layer has digest {diff_id}, not {}", spec.diff_id);
    }
    Ok(Unpacked { size })
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn enter(spec: &UnpackSpec) -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS).context("create mount namespace")?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_SLAVE | MsFlags::MS_REC, None::<&str>)?;
    let mut root = &spec.upper;
    if !spec.lowers.is_empty() {
        std::env::set_current_dir(&spec.layers).context("enter the layer directory")?;
        let lowers = spec.lowers.join(":");
        let options =
            format!("lowerdir={lowers},upperdir={},workdir={}", spec.upper.display(), spec.work.display());
        mount(Some("overlay"), &spec.merged, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
            .with_context(|| format!("mount overlay ({options})"))?;
        root = &spec.merged;
    }
    nix::unistd::chroot(root).context("change root")?;
    std::env::set_current_dir("/")?;
    Ok(())
}

/// gzip, zstd or neither, by the first bytes.
fn decompress<'a>(mut input: impl io::BufRead + 'a) -> Result<Box<dyn Read + 'a>> {
    let head = input.fill_buf().context("read layer")?;
    Ok(match head {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::stream::read::Decoder::with_buffer(input)?),
        _ => Box::new(input),
    })
}

struct Hashing<R> {
    inner: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hash.update(&buffer[..n]);
        Ok(n)
    }
}

#[derive(Default)]
struct Applier {
    /// What this layer made: an opaque directory keeps these only.
    made: HashSet<PathBuf>,
    /// Directory times are set last, since filling a directory changes them.
    times: Vec<(PathBuf, i64)>,
    size: u64,
}

impl Applier {
    fn apply(mut self, input: &mut impl Read) -> Result<u64> {
        let mut archive = Archive::new(input);
        for entry in archive.entries()? {
            let mut entry = entry.context("read layer")?;
            let path = clean(&entry.path().context("read layer")?)?;
            self.entry(&mut entry, &path).with_context(|| format!("unpack {}", path.display()))?;
        }
        for (path, time) in self.times.iter().rev() {
            set_time(path, *time)?;
        }
        Ok(self.size)
    }

    fn entry<R: Read>(&mut self, entry: &mut Entry<'_, R>, path: &Path) -> Result<()> {
        let Some(name) = path.file_name() else { return self.directory(entry, path) };
        if let Some(removed) = name.as_bytes().strip_prefix(b".wh.") {
            return self.whiteout(path, removed);
        }
        let parent = path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(parent)?;
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            return self.directory(entry, path);
        }
        if kind.is_pax_global_extensions() {
            return Ok(());
        }
        remove(path)?;
        match kind {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => self.file(entry, path)?,
            EntryType::Link => {
                let target = clean(&entry.link_name()?.context("hard link without a target")?)?;
                fs::hard_link(&target, path).with_context(|| format!("link to {}", target.display()))?;
                self.made.insert(path.to_path_buf());
                return Ok(());
            }
            EntryType::Symlink => {
                symlink(entry.link_name()?.context("link without a target")?, path)?;
            }
            EntryType::Char | EntryType::Block | EntryType::Fifo => node(entry, path, kind)?,
            other => bail!("unsupported entry type {other:?}"),
        }
        self.made.insert(path.to_path_buf());
        attributes(entry, path)?;
        set_time(path, entry.header().mtime().unwrap_or(0) as i64)
    }

    fn directory<R: Read>(&mut self, entry: &mut Entry<'_, R>, path: &Path) -> Result<()> {
        match fs::symlink_metadata(path) {
            Ok(m) if m.is_dir() => {}
            Ok(_) => {
                remove(path)?;
                fs::create_dir(path)?;
            }
            Err(_) => fs::create_dir(path)?,
        }
        self.made.insert(path.to_path_buf());
        attributes(entry, path)?;
        self.times.push((path.to_path_buf(), entry.header().mtime().unwrap_or(0) as i64));
        Ok(())
    }

    fn file<R: Read>(&mut self, entry: &mut Entry<'_, R>, path: &Path) -> Result<()> {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).open(path)?;
        self.size += io::copy(entry, &mut file)?;
        Ok(())
    }

    fn whiteout(&mut self, path: &Path, removed: &[u8]) -> Result<()> {
        let parent = path.parent().unwrap_or(Path::new("/"));
        if removed != b".wh..opq" {
            // A name of nothing but `.` or `..` would remove more than a file.
            return match removed {
                b"" | b"." | b".." => bail!("whiteout of {:?}", OsStr::from_bytes(removed)),
                name => remove(&parent.join(OsStr::from_bytes(name))),
            };
        }
        self.clear(parent)
    }

    /// Removes what lower layers have in `directory`.
    fn clear(&self, directory: &Path) -> Result<()> {
        let Ok(entries) = fs::read_dir(directory) else { return Ok(()) };
        for entry in entries {
            let path = entry?.path();
            if !self.made.contains(&path) {
                let kept = self.made.iter().any(|made| made.starts_with(&path));
                if kept { self.clear(&path)? } else { remove(&path)? }
            } else if fs::symlink_metadata(&path)?.is_dir() {
                self.clear(&path)?;
            }
        }
        Ok(())
    }
}

/// An absolute path without `.` and `..`.
fn clean(path: &Path) -> Result<PathBuf> {
    let mut clean = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                bail!("path {} leads out of the layer", path.display())
            }
        }
    }
    Ok(clean)
}

fn remove(path: &Path) -> Result<()> {
    let result = match fs::symlink_metadata(path) {
        Ok(m) if m.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) => Err(e),
    };
    match result {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(anyhow!(e).context(format!("remove {}", path.display())))
        }
        _ => Ok(()),
    }
}

fn node<R: Read>(entry: &Entry<'_, R>, path: &Path, kind: EntryType) -> Result<()> {
    let header = entry.header();
    let device = makedev(
        u64::from(header.device_major()?.unwrap_or(0)),
        u64::from(header.device_minor()?.unwrap_or(0)),
    );
    let kind = match kind {
        EntryType::Char => SFlag::S_IFCHR,
        EntryType::Block => SFlag::S_IFBLK,
        _ => SFlag::S_IFIFO,
    };
    mknod(path, kind, Mode::from_bits_truncate(0o600), device)?;
    Ok(())
}

/// Owner, then mode (a change of owner clears setuid), then extended attributes.
fn attributes<R: Read>(entry: &mut Entry<'_, R>, path: &Path) -> Result<()> {
    let (uid, gid) = (entry.header().uid()?, entry.header().gid()?);
    lchown(path, Some(uid as u32), Some(gid as u32))?;
    if entry.header().entry_type() != EntryType::Symlink {
        fs::set_permissions(path, fs::Permissions::from_mode(entry.header().mode()? & 0o7777))?;
    }
    let Some(extensions) = entry.pax_extensions()? else { return Ok(()) };
    for extension in extensions {
        let extension = extension?;
        if let Some(name) = extension.key_bytes().strip_prefix(b"SCHILY.xattr.") {
            set_attribute(path, name, extension.value_bytes())?;
        }
    }
    Ok(())
}

fn set_attribute(path: &Path, name: &[u8], value: &[u8]) -> Result<()> {
    // overlayfs's own marks in an archive would change what other layers show.
    if name.starts_with(b"trusted.overlay.") {
        return Ok(());
    }
    match crate::sys::set_xattr(path, name, value) {
        Err(e) if e.raw_os_error() == Some(libc::ENOTSUP) => Ok(()),
        result => result.with_context(|| format!("set attribute {}", String::from_utf8_lossy(name))),
    }
}

fn set_time(path: &Path, seconds: i64) -> Result<()> {
    let time = TimeSpec::new(seconds, 0);
    let flag = nix::sys::stat::UtimensatFlags::NoFollowSymlink;
    match nix::sys::stat::utimensat(nix::fcntl::AT_FDCWD, path, &time, &time, flag) {
        // A later entry of the archive removed it.
        Err(nix::errno::Errno::ENOENT) => Ok(()),
        result => result.with_context(|| format!("set time of {}", path.display())),
    }
}

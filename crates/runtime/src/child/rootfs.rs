//! The root file system: overlay, /proc, /dev, /sys, the pod's mounts, and what is hidden or read-only in it.
//!
//! Everything is mounted in the container's own mount namespace: when its last process ends, it is gone, and the host
//! never sees any of it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, SFlag, fchmodat, makedev, mknodat, umask};
use nix::unistd::{Gid, Uid, fchownat, symlinkat};

use super::paths::{self, Kind};
use super::{Control, mounts};
use crate::spec::{InitSpec, Node, Rootfs};
use crate::sys;

/// Enters the container's root. Afterwards the host's file system cannot be reached.
///
/// With a user namespace everything is still mounted by the host's root, so that nothing in the container can undo it;
/// layers and volumes are shown with the namespace's ids.
pub fn enter(spec: &InitSpec, userns: Option<BorrowedFd<'_>>, control: &Control) -> Result<()> {
    // Sources are cloned while our copies are still peers of the host's mounts: Bidirectional needs that.
    let binds = mounts::clone_sources(&spec.mounts)?;
    let shm = spec.shm.as_deref().map(|path| sys::open_tree(path, false)).transpose();
    let shm = shm.context("open the pod's /dev/shm")?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_SLAVE | MsFlags::MS_REC, None::<&str>)
        .context("keep mounts from the host")?;
    umask(Mode::empty());

    let root = overlay(&spec.rootfs, userns)?;
    let root = root.as_fd();
    kernel_mounts(root, spec)?;
    devices(root, spec, control)?;
    if let Some(shm) = shm {
        let target = paths::open_in(root, Path::new("/dev/shm")).context("open /dev/shm")?;
        sys::move_mount(shm.as_fd(), target.as_fd()).context("mount /dev/shm")?;
    }
    let images = mounts::image_sources(&spec.mounts, &spec.rootfs.target, userns)?;
    mounts::attach(root, binds.into_iter().chain(images).collect(), userns)?;

    nix::unistd::fchdir(root).context("enter root")?;
    sys::pivot_to_current_directory().context("pivot root")?;
    spec.readonly_paths.iter().try_for_each(|path| make_readonly(path))?;
    spec.masked_paths.iter().try_for_each(|path| mask(path))?;
    if spec.rootfs.readonly {
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
        mount(None::<&str>, "/", None::<&str>, flags, None::<&str>).context("make root read-only")?;
    }
    umask(Mode::from_bits_truncate(0o022));
    Ok(())
}

/// Mounts the overlay and returns its root.
fn overlay(rootfs: &Rootfs, userns: Option<BorrowedFd<'_>>) -> Result<OwnedFd> {
    if let Some(userns) = userns {
        rootfs.lowers.iter().try_for_each(|lower| map_layer(&rootfs.layers.join(lower), userns))?;
    }
    nix::unistd::chdir(&rootfs.layers).context("enter the layer directory")?;
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        rootfs.lowers.join(":"),
        rootfs.upper.display(),
        rootfs.work.display()
    );
    mount(Some("overlay"), &rootfs.target, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
        .with_context(|| format!("mount overlay ({options})"))?;
    let flags = nix::fcntl::OFlag::O_PATH | nix::fcntl::OFlag::O_DIRECTORY | nix::fcntl::OFlag::O_CLOEXEC;
    nix::fcntl::open(&rootfs.target, flags, Mode::empty()).context("open root")
}

/// Shows a layer with the ids of a user namespace, in our mount namespace only.
pub fn map_layer(layer: &Path, userns: BorrowedFd<'_>) -> Result<()> {
    let what = || format!("map the ids of {}", layer.display());
    let mount = sys::open_tree(layer, false).with_context(what)?;
    let attr = sys::MountAttr { userns: Some(userns), propagation: libc::MS_PRIVATE, ..Default::default() };
    sys::mount_setattr(mount.as_fd(), attr).with_context(what)?;
    let flags = nix::fcntl::OFlag::O_PATH | nix::fcntl::OFlag::O_CLOEXEC;
    let target = nix::fcntl::open(layer, flags, Mode::empty()).with_context(what)?;
    sys::move_mount(mount.as_fd(), target.as_fd()).with_context(what)
}

struct KernelMount {
    target: &'static str,
    fstype: &'static str,
    flags: MsFlags,
    options: &'static str,
}

const QUIET: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NOEXEC).union(MsFlags::MS_NODEV);

/// In mounting order.
const KERNEL_MOUNTS: &[KernelMount] = &[
    KernelMount { target: "/proc", fstype: "proc", flags: QUIET, options: "" },
    KernelMount {
        target: "/dev",
        fstype: "tmpfs",
        flags: MsFlags::MS_NOSUID.union(MsFlags::MS_STRICTATIME),
        options: "mode=755,size=65536k",
    },
    KernelMount {
        target: "/dev/pts",
        fstype: "devpts",
        flags: MsFlags::MS_NOSUID.union(MsFlags::MS_NOEXEC),
        options: "newinstance,ptmxmode=0666,mode=0620",
    },
    KernelMount { target: "/dev/mqueue", fstype: "mqueue", flags: QUIET, options: "" },
];

fn kernel_mounts(root: BorrowedFd<'_>, spec: &InitSpec) -> Result<()> {
    let (uid, gid, terminals) =
        (spec.process.host_uid(0), spec.process.host_gid(0), spec.process.host_gid(5));
    for m in KERNEL_MOUNTS {
        let options = match m.fstype {
            "tmpfs" => format!("{},uid={uid},gid={gid}", m.options),
            "devpts" => format!("{},gid={terminals}", m.options),
            _ => m.options.to_string(),
        };
        match mount_in(root, m.target, m.fstype, m.flags, &options) {
            // A kernel without POSIX message queues.
            Err(e) if m.fstype == "mqueue" && is_errno(&e, Errno::ENODEV) => {}
            result => result?,
        }
    }
    paths::create_in(root, Path::new("/dev/shm"), Kind::Directory).context("create /dev/shm")?;
    let lock = if spec.privileged { MsFlags::empty() } else { MsFlags::MS_RDONLY };
    mount_in(root, "/sys", "sysfs", QUIET | lock, "")?;
    cgroups(root, lock)
}

/// The container's own cgroups only: it lives in a cgroup namespace.
fn cgroups(root: BorrowedFd<'_>, lock: MsFlags) -> Result<()> {
    const AT: &str = "/sys/fs/cgroup";
    let own = std::fs::read_to_string("/proc/self/cgroup").context("read own cgroups")?;
    let v1: Vec<&str> =
        own.lines().filter_map(|line| line.split(':').nth(1)).filter(|c| !c.is_empty()).collect();
    if v1.is_empty() {
        return mount_in(root, AT, "cgroup2", QUIET | lock, "");
    }
    mount_in(root, AT, "tmpfs", QUIET, "mode=755")?;
    for controllers in v1 {
        let (name, options) = match controllers.strip_prefix("name=") {
            Some(name) => (name, format!("none,{controllers}")),
            None => (controllers, controllers.to_string()),
        };
        mount_in(root, &format!("{AT}/{name}"), "cgroup", QUIET | lock, &options)?;
    }
    if own.lines().any(|line| line.starts_with("0::")) {
        mount_in(root, &format!("{AT}/unified"), "cgroup2", QUIET | lock, "")?;
    }
    if lock.is_empty() {
        return Ok(());
    }
    let top = paths::open_in(root, Path::new(AT)).context("open cgroup directory")?;
    mount(
        None::<&str>,
        &proc_path(&top),
        None::<&str>,
        MsFlags::MS_REMOUNT | MsFlags::MS_BIND | QUIET | lock,
        None::<&str>,
    )
    .context("make the cgroup directory read-only")
}

fn mount_in(root: BorrowedFd<'_>, target: &str, fstype: &str, flags: MsFlags, options: &str) -> Result<()> {
    let at = paths::create_in(root, Path::new(target), Kind::Directory)
        .with_context(|| format!("create mount point {target}"))?;
    mount(Some(fstype), &proc_path(&at), Some(fstype), flags, Some(options))
        .with_context(|| format!("mount {fstype} on {target}"))
}

/// A path to what is open, for calls that take paths only. Works until the root is left.
fn proc_path(fd: &OwnedFd) -> std::path::PathBuf {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", fd.as_raw_fd()).into()
}

fn is_errno(error: &anyhow::Error, errno: Errno) -> bool {
    error.downcast_ref::<Errno>() == Some(&errno)
}

const LINKS: &[(&str, &str)] = &[
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
];

fn devices(root: BorrowedFd<'_>, spec: &InitSpec, control: &Control) -> Result<()> {
    let dev = paths::open_in(root, Path::new("/dev")).context("open /dev")?;
    for (target, name) in LINKS {
        symlinkat(*target, &dev, *name).with_context(|| format!("link /dev/{name}"))?;
    }
    for node in &spec.devices {
        let (uid, gid) = (spec.process.host_uid(node.uid), spec.process.host_gid(node.gid));
        match device(root, &Node { uid, gid, ..node.clone() }) {
            Err(e) if is_errno(&e, Errno::EPERM) => control.warn(format!("{e:#}")),
            result => result?,
        }
    }
    Ok(())
}

fn device(root: BorrowedFd<'_>, node: &Node) -> Result<()> {
    let path = Path::new(&node.path);
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        bail!("device path {:?} names no file", node.path)
    };
    let parent = paths::create_in(root, parent, Kind::Directory)
        .with_context(|| format!("create the directory of {}", node.path))?;
    let kind = if node.block { SFlag::S_IFBLK } else { SFlag::S_IFCHR };
    let mode = Mode::from_bits_truncate(node.mode);
    let what = || format!("make device {}", node.path);
    match mknodat(&parent, name, kind, mode, makedev(node.major, node.minor)) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(e) => return Err(e).with_context(what),
    }
    let flags = nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW;
    fchownat(&parent, name, Some(Uid::from_raw(node.uid)), Some(Gid::from_raw(node.gid)), flags)
        .with_context(what)?;
    // The umask is empty, but a node that was there keeps its own mode otherwise.
    fchmodat(&parent, name, mode, nix::sys::stat::FchmodatFlags::FollowSymlink).with_context(what)
}

/// Hides a path: a file behind /dev/null, a directory behind an empty one. What is not there needs no hiding.
fn mask(path: &str) -> Result<()> {
    match mount(Some("/dev/null"), path, None::<&str>, MsFlags::MS_BIND, None::<&str>) {
        Err(Errno::ENOTDIR) => mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::MS_RDONLY, Some("size=0k"))
            .with_context(|| format!("mask directory {path}")),
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(e) => Err(e).with_context(|| format!("mask {path}")),
    }
}

fn make_readonly(path: &str) -> Result<()> {
    let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
    match mount(Some(path), path, None::<&str>, bind, None::<&str>) {
        Err(Errno::ENOENT) => return Ok(()),
        bound => bound.with_context(|| format!("bind {path}"))?,
    }
    // Flags that the mount below has must be repeated, or the kernel refuses to take them away.
    let kept =
        nix::sys::statvfs::statvfs(path).map(|s| s.flags()).unwrap_or(nix::sys::statvfs::FsFlags::empty());
    let kept = MsFlags::from_bits_truncate(kept.bits() as _)
        & (MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC);
    let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | MsFlags::MS_REC | kept;
    mount(None::<&str>, path, None::<&str>, flags, None::<&str>)
        .with_context(|| format!("make {path} read-only"))
}

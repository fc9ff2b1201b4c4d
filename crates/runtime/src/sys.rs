//! The kernel calls that neither std nor nix has. All of the crate's raw system calls are here; each returns an
//! `io::Error` and owns no policy.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// A path as the kernel takes it.
pub fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "path has a NUL byte"))
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn owned(result: libc::c_long) -> io::Result<OwnedFd> {
    let fd = check(result)?;
    // SAFETY: the kernel just returned this descriptor to us, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// A detached copy of the mount that `path` is on, with `path` as its root.
pub fn open_tree(path: &Path, recursive: bool) -> io::Result<OwnedFd> {
    let path = c_path(path)?;
    let mut flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= libc::AT_RECURSIVE as libc::c_uint;
    }
    // SAFETY: `path` is a NUL-terminated string that outlives the call.
    owned(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) })
}

/// Attaches the detached mount `from` at what `to` (an O_PATH descriptor) is open on.
pub fn move_mount(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    const F_EMPTY_PATH: libc::c_uint = 0x04;
    const T_EMPTY_PATH: libc::c_uint = 0x40;
    let empty = c"".as_ptr();
    let (from, to) = (from.as_raw_fd(), to.as_raw_fd());
    // SAFETY: both descriptors are open, both paths are empty C strings.
    check(unsafe { libc::syscall(libc::SYS_move_mount, from, empty, to, empty, F_EMPTY_PATH | T_EMPTY_PATH) })
        .map(drop)
}

/// What to change of a mount; see mount_setattr(2).
#[derive(Clone, Copy, Debug, Default)]
pub struct MountAttr<'a> {
    pub set: u64,
    pub clear: u64,
    /// `MS_PRIVATE`, `MS_SLAVE`, `MS_SHARED` or 0.
    pub propagation: u64,
    /// The user namespace of an id-mapped mount.
    pub userns: Option<BorrowedFd<'a>>,
    pub recursive: bool,
}

pub const MOUNT_ATTR_RDONLY: u64 = 0x1;
pub const MOUNT_ATTR_NODEV: u64 = 0x4;
const MOUNT_ATTR_IDMAP: u64 = 0x0010_0000;

/// Changes the mount that `mount` is the root of.
pub fn mount_setattr(mount: BorrowedFd<'_>, attr: MountAttr<'_>) -> io::Result<()> {
    let raw = libc::mount_attr {
        attr_set: attr.set | if attr.userns.is_some() { MOUNT_ATTR_IDMAP } else { 0 },
        attr_clr: attr.clear,
        propagation: attr.propagation,
        userns_fd: attr.userns.map_or(0, |fd| fd.as_raw_fd() as u64),
    };
    let mut flags = libc::AT_EMPTY_PATH;
    if attr.recursive {
        flags |= libc::AT_RECURSIVE;
    }
    // SAFETY: `raw` is a mount_attr that outlives the call, and its size is passed with it.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw as *const libc::mount_attr,
            size_of::<libc::mount_attr>(),
        )
    })
    .map(drop)
}

/// Makes the current directory the root and lets go of the old one.
pub fn pivot_to_current_directory() -> io::Result<()> {
    // pivot_root(".", ".") stacks the old root on the new one, where it can be detached without a directory for it.
    let here = c".".as_ptr();
    // SAFETY: both arguments are C strings.
    check(unsafe { libc::syscall(libc::SYS_pivot_root, here, here) })?;
    nix::mount::umount2(".", nix::mount::MntFlags::MNT_DETACH)?;
    nix::unistd::chdir("/")?;
    Ok(())
}

/// The calling thread's (effective, permitted, inheritable) capabilities.
pub fn capget() -> io::Result<(u64, u64, u64)> {
    let mut header = CapHeader { version: CAP_VERSION_3, pid: 0 };
    let mut data = [CapData::default(); 2];
    // SAFETY: version 3 takes a header and two data elements, which is what is passed.
    check(unsafe { libc::syscall(libc::SYS_capget, &mut header, data.as_mut_ptr()) })?;
    let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    Ok((
        join(data[0].effective, data[1].effective),
        join(data[0].permitted, data[1].permitted),
        join(data[0].inheritable, data[1].inheritable),
    ))
}

/// Sets the calling thread's capabilities.
pub fn capset(effective: u64, permitted: u64, inheritable: u64) -> io::Result<()> {
    let mut header = CapHeader { version: CAP_VERSION_3, pid: 0 };
    let part = |shift: u32| CapData {
        effective: (effective >> shift) as u32,
        permitted: (permitted >> shift) as u32,
        inheritable: (inheritable >> shift) as u32,
    };
    let data = [part(0), part(32)];
    // SAFETY: version 3 takes a header and two data elements, which is what is passed.
    check(unsafe { libc::syscall(libc::SYS_capset, &mut header, data.as_ptr()) }).map(drop)
}

const CAP_VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// prctl(2) with number arguments only.
pub fn prctl(option: i32, a: u64, b: u64) -> io::Result<i32> {
    // SAFETY: the options used with it (dumpable, keepcaps, bounding and ambient capabilities, no_new_privs,
    // subreaper, parent-death signal) take plain numbers and no pointers.
    let result = unsafe { libc::prctl(option, a as libc::c_ulong, b as libc::c_ulong, 0, 0) };
    check(result.into()).map(|n| n as i32)
}

/// Installs a seccomp filter for this thread. Without no_new_privs this needs CAP_SYS_ADMIN.
pub fn seccomp_filter(program: &[u64]) -> io::Result<()> {
    let filter: Vec<libc::sock_filter> = program
        .iter()
        .map(|n| libc::sock_filter {
            code: (n >> 48) as u16,
            jt: (n >> 40) as u8,
            jf: (n >> 32) as u8,
            k: *n as u32,
        })
        .collect();
    let len = u16::try_from(filter.len())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "seccomp filter is too long"))?;
    let raw = libc::sock_fprog { len, filter: filter.as_ptr().cast_mut() };
    // SAFETY: `raw` points to `len` instructions that outlive the call; the kernel copies them.
    check(unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw) }).map(drop)
}

/// Marks every descriptor from `first` on close-on-exec.
pub fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: only flags of descriptors change.
    check(unsafe {
        libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC as libc::c_uint)
    })
    .map(drop)
}

/// Makes `terminal` the controlling terminal of this session leader.
pub fn set_controlling_terminal(terminal: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: TIOCSCTTY takes a number.
    check(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, 0) }.into()).map(drop)
}

/// Sets a terminal's size.
pub fn set_window_size(terminal: BorrowedFd<'_>, columns: u16, rows: u16) -> io::Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCSWINSZ reads a winsize, which outlives the call.
    check(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &size) }.into()).map(drop)
}

/// The slave side of a pseudo terminal, opened through its master (no path is looked up).
pub fn terminal_peer(master: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: TIOCGPTPEER takes open flags as a number and returns a new descriptor.
    owned(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags) }.into())
}

/// Unlocks a pseudo terminal's slave side.
pub fn unlock_terminal(master: BorrowedFd<'_>) -> io::Result<()> {
    let locked: libc::c_int = 0;
    // SAFETY: TIOCSPTLCK reads an int, which outlives the call.
    check(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &locked) }.into()).map(drop)
}

/// Brings the loopback interface of the current network namespace up.
pub fn loopback_up() -> io::Result<()> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: an all-zero ifreq is a valid value of this plain C struct.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads an ifreq, which outlives the call.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request) }.into()).map(drop)
}

/// How one process becomes two.
pub enum Fork {
    /// In the parent, with the child's id.
    Parent(u32),
    Child,
}

/// fork(2), for single-threaded processes only.
pub fn fork_single_threaded() -> io::Result<Fork> {
    // SAFETY: callers are the re-executed children, which never start a thread, so that no lock can be held by a
    // thread that the child does not have.
    match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Parent { child } => Ok(Fork::Parent(child.as_raw() as u32)),
        nix::unistd::ForkResult::Child => Ok(Fork::Child),
    }
}

/// Takes a descriptor whose number came on the command line.
pub fn inherited_fd(number: i32) -> io::Result<OwnedFd> {
    // SAFETY: F_GETFD only asks whether the descriptor is open.
    check(unsafe { libc::fcntl(number, libc::F_GETFD) }.into())?;
    // SAFETY: it is open, our parent passed it for us to own, and the command line names it once.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    set_inheritable(fd.as_fd(), false)?;
    Ok(fd)
}

/// Whether a descriptor survives exec.
pub fn set_inheritable(fd: BorrowedFd<'_>, inheritable: bool) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    let flags = if inheritable { FdFlag::empty() } else { FdFlag::FD_CLOEXEC };
    fcntl(fd, FcntlArg::F_SETFD(flags))?;
    Ok(())
}

/// Makes reads and writes of `fd` return at once.
pub fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// The most descriptors that one packet carries.
pub const MAX_FDS: usize = 4;
/// The longest packet.
pub const MAX_PACKET: usize = 128 << 10;

/// Sends one packet with descriptors over a SEQPACKET socket.
pub fn send_packet(socket: BorrowedFd<'_>, data: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let raw: Vec<i32> = fds.iter().map(|fd| fd.as_raw_fd()).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
    let iov = [io::IoSlice::new(data)];
    sendmsg::<()>(socket.as_raw_fd(), &iov, control, MsgFlags::MSG_NOSIGNAL, None)?;
    Ok(())
}

/// Receives one packet with its descriptors; an empty one is the end.
pub fn receive_packet(socket: BorrowedFd<'_>) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    // Its length first: most are small, and every sandbox has a reader.
    let peek = MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC;
    let length = nix::sys::socket::recv(socket.as_raw_fd(), &mut [], peek)?;
    if length > MAX_PACKET {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "packet is too long"));
    }
    let mut buffer = vec![0; length];
    let mut space = nix::cmsg_space!([i32; MAX_FDS]);
    let mut iov = [io::IoSliceMut::new(&mut buffer)];
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut iov, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    let mut fds = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(raw) = control {
            // SAFETY: the kernel made these descriptors for us with this very message.
            fds.extend(raw.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    Ok((buffer, fds))
}

/// A null-terminated copy of strings for exec.
pub fn c_strings(strings: &[String]) -> io::Result<Vec<CString>> {
    strings
        .iter()
        .map(|s| {
            CString::new(s.as_bytes())
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, format!("{s:?} has a NUL byte")))
        })
        .collect()
}

/// Replaces this process; returns only on failure.
pub fn exec(program: &CStr, args: &[CString], env: &[CString]) -> io::Error {
    match nix::unistd::execve(program, args, env) {
        Ok(never) => match never {},
        Err(e) => e.into(),
    }
}

/// Default handlers and an empty mask for every signal: a command inherits both.
pub fn reset_signals() -> io::Result<()> {
    use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask};
    for number in Signal::iterator().filter(|s| !matches!(s, Signal::SIGKILL | Signal::SIGSTOP)) {
        // SAFETY: the default handler runs no code of ours.
        unsafe { signal(number, SigHandler::SigDfl) }?;
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    Ok(())
}

/// Lets the kernel reap this process's children, adopted ones too.
pub fn ignore_children() -> io::Result<()> {
    use nix::sys::signal::{SigHandler, Signal, signal};
    // SAFETY: ignoring runs no code of ours.
    unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) }?;
    Ok(())
}

/// A resource limit: (soft, hard).
pub fn get_rlimit(resource: u32) -> io::Result<(u64, u64)> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit to write to.
    check(unsafe { libc::getrlimit(resource as _, &mut limit) }.into())?;
    Ok((limit.rlim_cur, limit.rlim_max))
}

/// Sets a resource limit.
pub fn set_rlimit(resource: u32, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: `limit` is a valid rlimit that outlives the call.
    check(unsafe { libc::setrlimit(resource as _, &limit) }.into()).map(drop)
}

/// A descriptor for the process `pid`.
pub fn pidfd_open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: takes numbers, returns a new descriptor.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })
}

/// Closes every descriptor from `first` on. Nothing that owns one may be used afterwards.
pub fn close_from(first: u32) -> io::Result<()> {
    // SAFETY: the only caller never returns to code that owns a descriptor.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) }).map(drop)
}

/// Sets an extended attribute of `path` itself, not of what it links to.
pub fn set_xattr(path: &Path, name: &[u8], value: &[u8]) -> io::Result<()> {
    let path = c_path(path)?;
    let name = CString::new(name).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: both names are C strings and `value` is as long as said; all outlive the call.
    let result =
        unsafe { libc::lsetxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) };
    check(result.into()).map(drop)
}

/// Ignores the signals by which a terminal or an init system ends processes.
pub fn ignore_termination() -> io::Result<()> {
    use nix::sys::signal::{SigHandler, Signal, signal};
    for number in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM, Signal::SIGQUIT, Signal::SIGPIPE] {
        // SAFETY: ignoring runs no code of ours.
        unsafe { signal(number, SigHandler::SigIgn) }?;
    }
    Ok(())
}

/// Takes what accept4(2) returned.
pub fn accepted(fd: std::os::fd::RawFd) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: the only caller passes the descriptor that accept4 has just made.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends a signal by number.
pub fn kill(pid: u32, signal: i32) -> io::Result<()> {
    // 0 and negative numbers would mean whole process groups.
    let pid = i32::try_from(pid).ok().filter(|pid| *pid > 0);
    let pid = pid.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: takes numbers only.
    check(unsafe { libc::kill(pid, signal) }.into()).map(drop)
}

/// Kills a process that leads its own group, and what of the group is left.
pub fn kill_group(leader: u32) -> io::Result<()> {
    // -1 would mean every process there is.
    let group = i32::try_from(leader).ok().filter(|pid| *pid > 1);
    let group = group.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: takes numbers only.
    check(unsafe { libc::kill(-group, libc::SIGKILL) }.into()).map(drop)
}

/// Writes everything of the file system that `file` is on to its disk.
pub fn sync_file_system(file: &std::fs::File) -> io::Result<()> {
    // SAFETY: takes an open descriptor.
    check(unsafe { libc::syncfs(file.as_raw_fd()) }.into()).map(drop)
}

/// A descriptor that tokio tells the readiness of.
pub fn async_fd(fd: OwnedFd) -> io::Result<tokio::io::unix::AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd is one open descriptor until it is dropped, which happens with the AsyncFd that owns it.
    unsafe { tokio::io::unix::AsyncFd::register(fd) }.map_err(|e| e.into_parts().1)
}

/// `No such file or directory (os error 2)` → `no such file or directory`
pub fn words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => nix::errno::Errno::from_raw(number).desc().to_lowercase(),
        None => error.to_string(),
    }
}

//! The last steps of a process: terminal, identity, capabilities, seccomp, exec.

use std::convert::Infallible;
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use nix::unistd::{Gid, Uid};

use super::Control;
use super::user::{self, Identity};
use crate::caps;
use crate::spec::{Capabilities, ProcessSpec, Progress, Rlimit};
use crate::sys::{self, words as plain};

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Becomes the command. The root, the namespaces and the cgroups are the container's already.
/// `userns` is the user namespace to enter, or a process in it.
pub fn become_command(
    spec: &ProcessSpec,
    userns: Option<BorrowedFd<'_>>,
    control: &Control,
) -> Result<Infallible> {
    let identity = user::resolve(&spec.user)?;
    let Identity { uid, gid, ref groups, .. } = identity;
    control.send(&Progress::User { uid, gid, groups: groups.clone() });
    let owner = Uid::from_raw(spec.host_uid(uid));
    if spec.tty {
        open_terminal(owner, control)?;
    } else {
        own_streams(owner);
    }
    spec.rlimits.iter().for_each(|limit| set_limit(limit, control));
    sys::reset_signals().context("reset signals")?;
    if let Some(userns) = userns {
        enter_user_namespace(userns)?;
    }
    let env = environment(spec, &identity);
    let cwd = working_directory(&spec.cwd)?;

    limit_bounding_set(spec.capabilities.bounding)?;
    change_identity(&identity, spec.capabilities)?;
    nix::unistd::chdir(cwd)
        .map_err(|e| anyhow!("chdir to cwd ({cwd:?}) failed: {}", e.desc().to_lowercase()))?;
    let Some(name) = spec.args.first() else { bail!("no command specified") };
    let program = find_program(name, &env)?;

    let args = sys::c_strings(&spec.args)?;
    let c_env = sys::c_strings(&env)?;
    let program = CString::new(program.as_os_str().as_bytes())?;
    if spec.no_new_privs {
        sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0).context("set no_new_privs")?;
    }
    // Nothing of ours may leak into the command.
    sys::close_on_exec_from(3).context("close descriptors")?;
    // The capability that lets us do this without no_new_privs goes right after it.
    for filter in &spec.seccomp {
        sys::seccomp_filter(filter).context("install seccomp filter")?;
    }
    drop_capabilities(spec.capabilities)?;
    verify(spec)?;
    let failure = sys::exec(&program, &args, &c_env);
    Err(anyhow!("exec {name:?}: {}", plain(&failure)))
}

/// Makes a terminal of the container's own devpts our stdio and hands its master over.
fn open_terminal(owner: Uid, control: &Control) -> Result<()> {
    use nix::sys::stat::{SFlag, fstat, major, minor};
    let flags = nix::fcntl::OFlag::O_RDWR | nix::fcntl::OFlag::O_NOCTTY | nix::fcntl::OFlag::O_CLOEXEC;
    let master =
        nix::fcntl::open("/dev/pts/ptmx", flags, nix::sys::stat::Mode::empty()).context("open a terminal")?;
    // The image or a volume may have put something else there.
    let found = fstat(&master)?;
    let character = SFlag::from_bits_truncate(found.st_mode).contains(SFlag::S_IFCHR);
    if !character || (major(found.st_rdev), minor(found.st_rdev)) != (5, 2) {
        bail!("/dev/pts/ptmx of the container is not a terminal multiplexer");
    }
    sys::unlock_terminal(master.as_fd()).context("unlock terminal")?;
    let terminal = sys::terminal_peer(master.as_fd()).context("open terminal")?;
    sys::set_controlling_terminal(terminal.as_fd()).context("set controlling terminal")?;
    nix::unistd::fchown(&terminal, Some(owner), None).context("own terminal")?;
    replace_stdio(&terminal)?;
    if std::process::id() == 1 {
        console(&terminal);
    }
    control.send_with(&Progress::Terminal, &[master.as_fd()]);
    Ok(())
}

fn replace_stdio(terminal: &OwnedFd) -> Result<()> {
    nix::unistd::dup2_stdin(terminal)?;
    nix::unistd::dup2_stdout(terminal)?;
    nix::unistd::dup2_stderr(terminal)?;
    Ok(())
}

/// /dev/console is the container's terminal. A container without one works as well.
fn console(terminal: &OwnedFd) {
    use std::os::fd::AsRawFd;
    let path = Path::new("/dev/console");
    if let Ok(name) = std::fs::read_link(format!("/proc/self/fd/{}", terminal.as_raw_fd()))
        && (path.exists() || std::fs::File::create(path).is_ok())
    {
        let bind = nix::mount::MsFlags::MS_BIND;
        _ = nix::mount::mount(Some(&name), path, None::<&str>, bind, None::<&str>);
    }
}

/// /dev/stdout leads to our pipe, which another user could not open otherwise.
fn own_streams(owner: Uid) {
    let owner = Some(owner);
    // Fails for streams that are not pipes of ours; those stay as they are.
    _ = nix::unistd::fchown(std::io::stdin(), owner, None);
    _ = nix::unistd::fchown(std::io::stdout(), owner, None);
    _ = nix::unistd::fchown(std::io::stderr(), owner, None);
}

/// Becomes the root of a user namespace. The host's rights end here.
fn enter_user_namespace(userns: BorrowedFd<'_>) -> Result<()> {
    nix::sched::setns(userns, nix::sched::CloneFlags::CLONE_NEWUSER).context("join user namespace")?;
    let (uid, gid) = (Uid::from_raw(0), Gid::from_raw(0));
    nix::unistd::setgroups(&[]).context("leave the host's groups")?;
    nix::unistd::setresgid(gid, gid, gid).context("become the namespace's root group")?;
    nix::unistd::setresuid(uid, uid, uid).context("become the namespace's root")
}

/// Raising a hard limit needs CAP_SYS_RESOURCE; without it the limit is what the machine allows.
fn set_limit(limit: &Rlimit, control: &Control) {
    if sys::set_rlimit(limit.resource, limit.soft, limit.hard).is_ok() {
        return;
    }
    let clamped = sys::get_rlimit(limit.resource)
        .and_then(|(_, hard)| sys::set_rlimit(limit.resource, limit.soft.min(hard), limit.hard.min(hard)));
    if let Err(e) = clamped {
        control.warn(format!("resource limit {} is not permitted here: {e}", limit.resource));
    }
}

fn environment(spec: &ProcessSpec, identity: &Identity) -> Vec<String> {
    let mut env = spec.env.clone();
    let has =
        |env: &[String], name: &str| env.iter().any(|e| e.split_once('=').is_some_and(|(n, _)| n == name));
    if !has(&env, "PATH") {
        env.push(format!("PATH={DEFAULT_PATH}"));
    }
    if !has(&env, "HOME") {
        env.push(format!("HOME={}", identity.home));
    }
    if spec.tty && !has(&env, "TERM") {
        env.push("TERM=xterm".to_string());
    }
    env
}

fn working_directory(cwd: &str) -> Result<&str> {
    let cwd = if cwd.is_empty() { "/" } else { cwd };
    match std::fs::create_dir_all(cwd) {
        Ok(()) => {}
        Err(_) if Path::new(cwd).is_dir() => {}
        Err(e) => bail!("create working directory {cwd:?}: {}", plain(&e)),
    }
    Ok(cwd)
}

fn limit_bounding_set(keep: u64) -> Result<()> {
    for cap in 0..=caps::last() {
        if keep & (1 << cap) == 0 {
            sys::prctl(libc::PR_CAPBSET_DROP, cap, 0).with_context(|| format!("drop capability {cap}"))?;
        }
    }
    Ok(())
}

/// What installing the filter and leaving our capabilities takes.
const LAST_STEPS: u64 = 1 << caps::SYS_ADMIN | 1 << caps::SETPCAP;

fn change_identity(identity: &Identity, capabilities: Capabilities) -> Result<()> {
    sys::prctl(libc::PR_SET_KEEPCAPS, 1, 0).context("keep capabilities")?;
    let groups: Vec<Gid> = identity.groups.iter().map(|g| Gid::from_raw(*g)).collect();
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    nix::unistd::setgroups(&groups).context("set groups")?;
    nix::unistd::setresgid(gid, gid, gid).context("set group")?;
    nix::unistd::setresuid(uid, uid, uid).context("set user")?;
    let (_, permitted, _) = sys::capget().context("get capabilities")?;
    // From here on files are looked up with no more rights than the command will have.
    let keep = (capabilities.bounding | LAST_STEPS) & permitted;
    let effective = (capabilities.effective | LAST_STEPS) & permitted;
    sys::capset(effective, keep, capabilities.inheritable & permitted).context("set capabilities")
}

fn drop_capabilities(wanted: Capabilities) -> Result<()> {
    sys::capset(wanted.effective, wanted.effective, wanted.inheritable).context("drop capabilities")?;
    for cap in (0..=caps::last()).filter(|cap| wanted.ambient & (1 << cap) != 0) {
        sys::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE as u64, cap)
            .context("raise ambient capability")?;
    }
    Ok(())
}

/// A container with more rights than it should have never starts.
fn verify(spec: &ProcessSpec) -> Result<()> {
    let (effective, permitted, _) = sys::capget().context("get capabilities")?;
    if effective != spec.capabilities.effective || permitted != spec.capabilities.effective {
        bail!("capabilities are {effective:#x}, not {:#x}", spec.capabilities.effective);
    }
    // A filter of the user's may forbid the question.
    if !spec.seccomp.is_empty() && sys::prctl(libc::PR_GET_SECCOMP, 0, 0).is_ok_and(|mode| mode != 2) {
        bail!("the seccomp filter is not in force");
    }
    Ok(())
}

/// Finds the program as a shell would, with runc's words when it cannot.
fn find_program(name: &str, env: &[String]) -> Result<PathBuf> {
    if name.contains('/') {
        let path = Path::new(name);
        return match std::fs::metadata(path) {
            Err(e) => bail!("exec: {name:?}: stat {name}: {}", plain(&e)),
            Ok(m) if m.is_dir() => bail!("exec: {name:?}: is a directory"),
            Ok(_) if !executable(path) => bail!("exec: {name:?}: permission denied"),
            Ok(_) => Ok(path.to_path_buf()),
        };
    }
    let path = env.iter().rev().find_map(|e| e.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH);
    let candidates = path.split(':').map(|dir| Path::new(if dir.is_empty() { "." } else { dir }).join(name));
    let found = candidates.into_iter().find(|p| p.is_file() && executable(p));
    found.ok_or_else(|| anyhow!("exec: {name:?}: executable file not found in $PATH"))
}

fn executable(path: &Path) -> bool {
    let any = std::fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o111 != 0);
    any && nix::unistd::eaccess(path, nix::unistd::AccessFlags::X_OK).is_ok()
}

//! Processes that the shim starts and waits for: containers' first ones, commands in them, the pause process.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use super::Shim;
use super::clients::ReplyTo;
use super::container::Streams;
use super::proto::{Answer, Message, StartContainer};
use crate::program::own_command;
use crate::spec::{Progress, ShimSpec};
use crate::sys;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Container(String),
    Exec(String),
}

/// A process on its way to its command, and then until its end.
#[derive(Debug)]
pub(crate) struct Launch {
    pub id: u64,
    pub kind: Kind,
    /// Open until the command runs or cannot.
    pub control: Option<OwnedFd>,
    /// The process, 0 while its id is not known.
    pub pid: u32,
    reply: Option<ReplyTo>,
    error: Option<String>,
    terminal: Option<OwnedFd>,
    end: Option<End>,
}

/// How a process ended: the exit code (128 and the signal's number for a signal), and the signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub code: i32,
    pub signal: i32,
}

/// What a role gets besides its two descriptors.
struct Stdios {
    stdin: Stdio,
    stdout: Stdio,
    stderr: Stdio,
}

impl Stdios {
    fn null() -> Self {
        Stdios { stdin: Stdio::null(), stdout: Stdio::null(), stderr: Stdio::null() }
    }
}

/// Starts ourselves in `role` and returns our end of its control socket.
fn spawn(role: &str, spec: OwnedFd, stdios: Stdios, extra: &[String]) -> Result<OwnedFd> {
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    // One thread: nothing else can start a process that would inherit these in between.
    sys::set_inheritable(theirs.as_fd(), true)?;
    sys::set_inheritable(spec.as_fd(), true)?;
    let mut command = own_command(role);
    command.arg(theirs.as_raw_fd().to_string()).arg(spec.as_raw_fd().to_string());
    command.args(extra);
    command.stdin(stdios.stdin).stdout(stdios.stdout).stderr(stdios.stderr);
    // Its end is seen by `children_ended`, like that of every other process below us.
    command.spawn().with_context(|| format!("start {role}"))?;
    Ok(ours)
}

/// Starts the pause process and waits until it has locked itself in.
pub fn start_pause(spec: &ShimSpec) -> Result<u32> {
    let file = memory_file(&serde_json::to_vec(spec)?)?;
    let control = spawn("pause", file, Stdios::null(), &[])?;
    let mut pid = 0;
    loop {
        let (packet, _) = sys::receive_packet(control.as_fd())?;
        if packet.is_empty() {
            break;
        }
        match serde_json::from_slice(&packet)? {
            Progress::Pid(child) => pid = child,
            Progress::Error(e) => bail!("start pause process: {e}"),
            Progress::Terminal | Progress::User { .. } | Progress::Namespaces | Progress::Warning(_) => {}
        }
    }
    if pid == 0 {
        bail!("the pause process ended at once");
    }
    Ok(pid)
}

/// Has a child make the sandbox's namespaces inside a new user namespace and joins them, staying in the host's user
/// namespace ourselves. Returns the new one.
pub fn enter_user_owned_namespaces(spec: &ShimSpec) -> Result<OwnedFd> {
    let control = spawn("userns", memory_file(&serde_json::to_vec(spec)?)?, Stdios::null(), &[])?;
    let mut process = None;
    loop {
        let (packet, _) = sys::receive_packet(control.as_fd())?;
        if packet.is_empty() {
            bail!("the process for the user namespace ended at once");
        }
        match (serde_json::from_slice(&packet)?, process) {
            (Progress::Pid(pid), _) => {
                map_ids(pid, spec)?;
                sys::send_packet(control.as_fd(), b"go", &[])?;
                process = Some(pid);
            }
            (Progress::Namespaces, Some(pid)) => {
                let open = |name: &str| std::fs::File::open(format!("/proc/{pid}/ns/{name}"));
                for name in ["net", "ipc", "uts"] {
                    setns(open(name)?, CloneFlags::empty())
                        .with_context(|| format!("join {name} namespace"))?;
                }
                return Ok(open("user")?.into());
            }
            (Progress::Error(e), _) => bail!("{e}"),
            _ => {}
        }
    }
}

fn map_ids(pid: u32, spec: &ShimSpec) -> Result<()> {
    let Some(userns) = &spec.userns else { return Ok(()) };
    for (file, mappings) in [("uid_map", &userns.uids), ("gid_map", &userns.gids)] {
        let lines = mappings.iter().map(|m| format!("{} {} {}\n", m.container_id, m.host_id, m.length));
        let path = format!("/proc/{pid}/{file}");
        std::fs::write(&path, lines.collect::<String>()).with_context(|| format!("write {path}"))?;
    }
    Ok(())
}

fn memory_file(contents: &[u8]) -> Result<OwnedFd> {
    use std::io::{Seek, Write};
    let fd = nix::sys::memfd::memfd_create(c"spec", nix::sys::memfd::MFdFlags::MFD_CLOEXEC)?;
    let mut file = std::fs::File::from(fd);
    file.write_all(contents)?;
    file.rewind()?;
    Ok(file.into())
}

/// A socket on its way to a port on localhost in the shim's, and so the sandbox's, network namespace. It may still be
/// connecting: whoever gets it asks for the outcome.
pub fn connect_localhost(port: u16, ipv6: bool) -> Result<OwnedFd> {
    use nix::sys::socket::{SockaddrIn, SockaddrIn6, connect, socket};
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let family = if ipv6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let socket = socket(family, SockType::Stream, flags, None)?;
    let result = if ipv6 {
        let address = std::net::SocketAddrV6::new(std::net::Ipv6Addr::LOCALHOST, port, 0, 0);
        connect(socket.as_raw_fd(), &SockaddrIn6::from(address))
    } else {
        let address = std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, port);
        connect(socket.as_raw_fd(), &SockaddrIn::from(address))
    };
    match result {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(socket),
        Err(e) => bail!("connect to localhost:{port}: {}", e.desc().to_lowercase()),
    }
}

impl Shim {
    /// Starts a container's first process.
    pub(super) fn launch_init(&mut self, to: ReplyTo, start: &StartContainer) -> Result<(Launch, Streams)> {
        let spec = std::fs::File::open(start.dir.join("init.json")).context("open container spec")?;
        let mut stdios = Stdios::null();
        let mut streams = Streams::default();
        if !start.tty {
            let (read, write) = pipe()?;
            (stdios.stdout, streams.stdout) = (write.into(), Some(read));
            let (read, write) = pipe()?;
            (stdios.stderr, streams.stderr) = (write.into(), Some(read));
            if start.stdin {
                let (read, write) = pipe()?;
                (stdios.stdin, streams.stdin) = (read.into(), Some(write));
            }
        }
        let mut extra = vec![self.pause.to_string()];
        // A copy for the child alone: ours stays closed to the others.
        let userns = self.userns.as_ref().map(|fd| fd.try_clone()).transpose()?;
        if let Some(fd) = &userns {
            sys::set_inheritable(fd.as_fd(), true)?;
            extra.push(fd.as_raw_fd().to_string());
        }
        let control = spawn("init", spec.into(), stdios, &extra)?;
        let launch = self.launch(Kind::Container(start.id.clone()), control, to)?;
        Ok((launch, streams))
    }

    /// Starts a command in a running container. `fds`: the spec, and its streams unless it gets a terminal.
    pub(super) fn start_exec(
        &mut self,
        to: ReplyTo,
        exec: String,
        container: &str,
        tty: bool,
        fds: Vec<OwnedFd>,
    ) -> Result<()> {
        if !self.containers.get(container).is_some_and(|c| c.running()) {
            bail!("container {container} is not running");
        }
        let mut fds = fds.into_iter();
        let spec = fds.next().context("exec without a spec")?;
        let mut stdios = Stdios::null();
        if !tty {
            let mut stream = || fds.next().map(Stdio::from).context("exec without its streams");
            stdios = Stdios { stdin: stream()?, stdout: stream()?, stderr: stream()? };
        }
        let control = spawn("exec", spec, stdios, &[])?;
        let launch = self.launch(Kind::Exec(exec), control, to)?;
        self.launches.push(launch);
        Ok(())
    }

    fn launch(&mut self, kind: Kind, control: OwnedFd, to: ReplyTo) -> Result<Launch> {
        sys::set_nonblocking(control.as_fd())?;
        let id = self.new_id();
        let control = Some(control);
        Ok(Launch { id, kind, control, pid: 0, reply: Some(to), error: None, terminal: None, end: None })
    }

    /// Reads what a process on its way says.
    pub(super) fn launch_ready(&mut self, id: u64) {
        while let Some(at) = self.launches.iter().position(|l| l.id == id) {
            let Some(control) = &self.launches[at].control else { return };
            match sys::receive_packet(control.as_fd()) {
                Ok((packet, fds)) if !packet.is_empty() => {
                    if let Ok(progress) = serde_json::from_slice(&packet) {
                        self.progress(at, progress, fds);
                    }
                }
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => {
                    self.launches[at].control = None;
                    return self.settle(at);
                }
            }
        }
    }

    fn progress(&mut self, at: usize, progress: Progress, fds: Vec<OwnedFd>) {
        let launch = &mut self.launches[at];
        let container = match &launch.kind {
            Kind::Container(id) => self.containers.get_mut(id),
            Kind::Exec(_) => None,
        };
        match (progress, container) {
            (Progress::Pid(pid), container) => {
                launch.pid = pid;
                if let Some(container) = container {
                    container.status.pid = pid;
                }
                if let Some(known) = self.unclaimed.iter().position(|(ended, _)| *ended == pid) {
                    launch.end = Some(self.unclaimed.swap_remove(known).1);
                }
            }
            (Progress::Error(e), _) => launch.error = Some(e),
            (Progress::Terminal, Some(container)) => {
                if let Some(Err(e)) = fds.into_iter().next().map(|fd| container.set_terminal(fd)) {
                    container.status.warnings.push(format!("the terminal is lost: {e}"));
                }
            }
            (Progress::Terminal, None) => launch.terminal = fds.into_iter().next(),
            (Progress::User { uid, gid, groups }, Some(container)) => {
                container.status.user = Some((uid, gid, groups));
            }
            (Progress::Warning(warning), Some(container)) => container.status.warnings.push(warning),
            (Progress::Namespaces, _) | (Progress::User { .. } | Progress::Warning(_), None) => {}
        }
    }

    /// The command runs, or it is known that it will not.
    fn settle(&mut self, at: usize) {
        let launch = &mut self.launches[at];
        if launch.error.is_none() && launch.pid == 0 {
            launch.error = Some("the process was killed before it could start".to_string());
        }
        let (reply, kind) = (launch.reply.take(), launch.kind.clone());
        let (error, terminal) = (launch.error.clone(), launch.terminal.take());
        match (&error, &kind) {
            (Some(_), kind) => self.forget_failed(kind),
            (None, Kind::Container(id)) => self.container_started(id),
            (None, Kind::Exec(_)) => {}
        }
        if let Some(reply) = reply {
            let fds: Vec<_> = terminal.iter().map(|fd| fd.as_fd()).collect();
            self.answer(reply, error.map_or(Answer::Done, Answer::Failed), &fds);
        }
        self.finish_launch(at);
    }

    /// Collects ended processes.
    pub(super) fn children_ended(&mut self) {
        while let Ok(Some(_)) = self.signals.read_signal() {}
        // What they said before they ended comes first.
        let talking: Vec<u64> = self.launches.iter().filter(|l| l.control.is_some()).map(|l| l.id).collect();
        talking.into_iter().for_each(|id| self.launch_ready(id));
        while let Some((pid, end)) = next_end() {
            if let Some(at) = self.launches.iter().position(|l| l.pid == pid) {
                self.launches[at].end = Some(end);
                self.finish_launch(at);
            } else if pid == self.pause {
                self.pause = 0;
            } else if self.launches.iter().any(|l| l.pid == 0) {
                self.unclaimed.push((pid, end));
            }
        }
        if self.launches.iter().all(|l| l.pid != 0) {
            self.unclaimed.clear();
        }
    }

    /// Ends a launch whose process has ended and whose start has been answered.
    fn finish_launch(&mut self, at: usize) {
        let launch = &self.launches[at];
        if launch.control.is_some() || (launch.end.is_none() && launch.pid != 0) {
            return;
        }
        let launch = self.launches.swap_remove(at);
        let Some(end) = launch.end.filter(|_| launch.error.is_none()) else { return };
        match launch.kind {
            Kind::Container(id) => self.container_ended(&id, end),
            Kind::Exec(exec) => self.publish(&Message::ExecExited { exec, code: end.code }),
        }
    }

    pub(super) fn kill_exec(&mut self, exec: &str) {
        let kind = Kind::Exec(exec.to_string());
        if let Some(launch) = self.launches.iter().find(|l| l.kind == kind && l.pid != 0) {
            // It leads a session of its own: what it has started goes with it. Before it does, it is alone.
            if sys::kill_group(launch.pid).is_err() {
                drop(sys::kill(launch.pid, Signal::SIGKILL as i32));
            }
        }
    }
}

fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    Ok(nix::unistd::pipe2(OFlag::O_CLOEXEC)?)
}

fn next_end() -> Option<(u32, End)> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => return Some((pid.as_raw() as u32, End { code, signal: 0 })),
            Ok(WaitStatus::Signaled(pid, signal, _)) => {
                let signal = signal as i32;
                return Some((pid.as_raw() as u32, End { code: 128 + signal, signal }));
            }
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return None,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return None,
        }
    }
}

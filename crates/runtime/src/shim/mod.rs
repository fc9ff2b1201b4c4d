//! The shim: one small process per sandbox that outlives the server. It is the parent of the sandbox's containers, owns
//! their stdio, writes their logs, keeps their exit codes and tells whoever is connected. Start at [`Shim::turn`].
//!
//! One thread, one `poll`. It lives in the sandbox's network, IPC and UTS namespaces and so keeps them; it is the
//! subreaper of everything below it, so that nothing can end unnoticed. It decides nothing: restarts, time-outs and
//! limits are the server's.

mod children;
mod clients;
mod container;
mod log;
pub(crate) mod proto;
mod sandbox;
mod streams;

pub(crate) use self::sandbox::namespaces;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use stdx::{Clock, SystemClock};

use self::children::Launch;
use self::clients::{Client, ReplyTo};
use self::container::Container;
use crate::spec::ShimSpec;

/// `shim SPEC-FILE`. Says on its standard output when the sandbox is ready (`{}`) or why it is not.
pub fn main(args: &[String]) -> ExitCode {
    match Shim::start(args) {
        Ok(mut shim) => {
            sandbox::announce(None);
            while shim.turn() {}
            ExitCode::SUCCESS
        }
        Err(e) => {
            sandbox::announce(Some(&format!("{e:#}")));
            ExitCode::FAILURE
        }
    }
}

pub(crate) struct Shim {
    signals: SignalFd,
    listener: OwnedFd,
    clients: BTreeMap<u64, Client>,
    containers: BTreeMap<String, Container>,
    /// Processes between their start and their end.
    launches: Vec<Launch>,
    /// Ends of processes that nobody has claimed yet: a launch may learn its process's id after its end.
    unclaimed: Vec<(u32, children::End)>,
    /// The sandbox's user namespace, if it has one.
    userns: Option<OwnedFd>,
    /// The pause process, 0 without one.
    pause: u32,
    next: u64,
    /// Who asked us to end.
    stopping: Option<ReplyTo>,
}

/// What a descriptor that became ready belongs to.
#[derive(Clone, Debug)]
enum Source {
    Signals,
    Listener,
    Client(u64),
    Launch(u64),
    /// A container's output stream, by its position.
    Output(String, usize),
    /// An attached reader of it has room again.
    Sink(String, usize),
}

impl Shim {
    fn start(args: &[String]) -> Result<Self> {
        let spec = args.first().context("expected a spec file")?;
        let spec: ShimSpec = serde_json::from_slice(&std::fs::read(spec).context("read spec")?)?;
        sandbox::detach(&spec)?;
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        mask.thread_block()?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let userns = sandbox::create(&spec)?;
        let pause = if spec.shared_pid { children::start_pause(&spec)? } else { 0 };
        let listener = listen_on(&spec.dir)?;
        Ok(Shim {
            signals,
            listener,
            clients: BTreeMap::new(),
            containers: BTreeMap::new(),
            launches: Vec::new(),
            unclaimed: Vec::new(),
            pause,
            userns,
            next: 1,
            stopping: None,
        })
    }

    /// Waits for something to happen and acts on it; false when the shim's work is done.
    fn turn(&mut self) -> bool {
        let ready = match self.wait() {
            Ok(ready) => ready,
            Err(Errno::EINTR) => return true,
            // Out of memory for the list; the next turn tries again.
            Err(_) => return true,
        };
        for source in ready {
            match source {
                Source::Signals => self.children_ended(),
                Source::Listener => self.accept(),
                Source::Client(id) => self.client_ready(id),
                Source::Launch(id) => self.launch_ready(id),
                Source::Output(id, stream) => self.output_ready(&id, stream),
                Source::Sink(id, stream) => self.sink_ready(&id, stream),
            }
        }
        self.remove_ended_outputs();
        !self.finished()
    }

    fn wait(&self) -> std::result::Result<Vec<Source>, Errno> {
        let mut sources = vec![Source::Signals, Source::Listener];
        let mut fds = vec![read_end(self.signals.as_fd()), read_end(self.listener.as_fd())];
        for (id, client) in &self.clients {
            sources.push(Source::Client(*id));
            fds.push(read_end(client.socket.as_fd()));
        }
        for launch in &self.launches {
            if let Some(control) = &launch.control {
                sources.push(Source::Launch(launch.id));
                fds.push(read_end(control.as_fd()));
            }
        }
        for (id, container) in &self.containers {
            for (stream, output) in container.outputs.iter().enumerate() {
                if !output.blocked() {
                    sources.push(Source::Output(id.clone(), stream));
                    fds.push(read_end(output.fd.as_fd()));
                }
                for sink in output.waiting() {
                    sources.push(Source::Sink(id.clone(), stream));
                    fds.push(PollFd::new(sink.as_fd(), PollFlags::POLLOUT));
                }
            }
        }
        poll(&mut fds, PollTimeout::NONE)?;
        let ready = fds.iter().map(|fd| fd.revents().is_some_and(|events| !events.is_empty()));
        Ok(ready.zip(sources).filter_map(|(ready, source)| ready.then_some(source)).collect())
    }

    /// Whether we were asked to end and nothing runs any more.
    fn finished(&mut self) -> bool {
        let running = self.containers.values().any(Container::running) || !self.launches.is_empty();
        if running || self.stopping.is_none() {
            return false;
        }
        if let Some(reply) = self.stopping.take() {
            self.answer(reply, proto::Answer::Done, &[]);
        }
        true
    }

    fn new_id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

fn read_end(fd: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::new(fd, PollFlags::POLLIN)
}

/// The time for logs and states. The shim is never part of a simulation.
fn now() -> jiff::Timestamp {
    SystemClock.now()
}

fn now_nanos() -> i64 {
    i64::try_from(now().as_nanosecond()).unwrap_or(i64::MAX)
}

/// Listens on `shim.sock` in `directory`, for root only.
fn listen_on(directory: &Path) -> Result<OwnedFd> {
    let socket = socket(
        AddressFamily::Unix,
        SockType::SeqPacket,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        None,
    )?;
    // Through the open directory: socket addresses are short, state directories may not be.
    let directory = std::fs::File::open(directory).context("open sandbox directory")?;
    let old = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o177));
    let bound = socket_address(&directory).and_then(|address| {
        use std::os::fd::AsRawFd;
        bind(socket.as_raw_fd(), &address)
    });
    nix::sys::stat::umask(old);
    bound.context("bind shim socket")?;
    listen(&socket, Backlog::new(16)?).context("listen on shim socket")?;
    Ok(socket)
}

/// The address of the shim's socket in an open sandbox directory.
pub(crate) fn socket_address(directory: &std::fs::File) -> nix::Result<UnixAddr> {
    use std::os::fd::AsRawFd;
    UnixAddr::new(format!("/proc/self/fd/{}/shim.sock", directory.as_raw_fd()).as_str())
}

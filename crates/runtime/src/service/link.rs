//! The server's side of its connection to one shim.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, connect, getsockopt, socket};
use stdx::clock::SharedClock;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::shim::proto::{Answer, Message, Op, Request, Status, VERSION};
use crate::shim::socket_address;
use crate::sys;

/// Containers that were killed need not take longer to end.
const SHUTDOWN: Duration = Duration::from_secs(30);

type Reply = (Answer, Vec<OwnedFd>);

#[derive(Debug)]
pub(crate) struct Link {
    socket: AsyncFd<OwnedFd>,
    /// Nobody may wait any more once the connection has ended: then it is `None`.
    waiting: Mutex<Option<BTreeMap<u64, oneshot::Sender<Reply>>>>,
    next: AtomicU64,
    ended: CancellationToken,
}

/// What a shim says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Greeting {
    pub pid: u32,
    pub containers: Vec<Status>,
}

impl Link {
    /// Connects to the shim of the sandbox directory `dir`.
    pub fn connect(dir: &Path) -> Result<Arc<Self>> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
        let dir = std::fs::File::open(dir).context("open sandbox directory")?;
        connect(socket.as_raw_fd(), &socket_address(&dir)?).context("connect to shim")?;
        let socket = crate::sys::async_fd(socket)?;
        Ok(Arc::new(Link {
            socket,
            waiting: Mutex::new(Some(BTreeMap::new())),
            next: AtomicU64::new(1),
            ended: CancellationToken::new(),
        }))
    }

    /// Introduces us; from then on [`Link::next`] brings what happens. Needs a task in [`Link::next`] to be answered.
    pub async fn greet(&self) -> Result<Greeting> {
        match self.call(Op::Hello { version: VERSION }, &[]).await? {
            (Answer::Hello { version, .. }, _) if version > VERSION => {
                bail!("the shim speaks protocol {version}, which is newer than {VERSION}")
            }
            (Answer::Hello { pid, containers, .. }, _) => Ok(Greeting { pid, containers }),
            (other, _) => bail!("the shim answered {other:?}"),
        }
    }

    /// Asks the shim and waits for its answer; a failure it reports is an error with its words.
    pub async fn call(&self, op: Op, fds: &[BorrowedFd<'_>]) -> Result<Reply> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let packet = serde_json::to_vec(&Request { id, op })?;
        let (sender, receiver) = oneshot::channel();
        match &mut *self.lock() {
            Some(waiting) => drop(waiting.insert(id, sender)),
            None => return Err(ended()),
        }
        let sent =
            self.socket.async_io(Interest::WRITABLE, |socket| sys::send_packet(socket.as_fd(), &packet, fds));
        if let Err(e) = sent.await {
            self.lock().as_mut().and_then(|waiting| waiting.remove(&id));
            return Err(e).context("send to shim");
        }
        match receiver.await.map_err(|_| ended())? {
            (Answer::Failed(message), _) => Err(anyhow!(message)),
            reply => Ok(reply),
        }
    }

    /// The next thing that happened, `None` when the shim is gone. Answers are handed to those who wait.
    pub async fn next(&self) -> Option<Message> {
        loop {
            let received =
                self.socket.async_io(Interest::READABLE, |socket| sys::receive_packet(socket.as_fd()));
            let (packet, fds) = match received.await {
                Ok((packet, fds)) if !packet.is_empty() => (packet, fds),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Ok(_) | Err(_) => {
                    *self.lock() = None;
                    self.ended.cancel();
                    return None;
                }
            };
            match serde_json::from_slice(&packet) {
                Ok(Message::Reply { id, answer }) => {
                    let waiting = self.lock().as_mut().and_then(|waiting| waiting.remove(&id));
                    // Whoever asked may have given up.
                    drop(waiting.map(|sender| sender.send((answer, fds))));
                }
                Ok(message) => return Some(message),
                Err(e) => tracing::warn!("a shim sent something unknown: {e}"),
            }
        }
    }

    /// Completes when the connection has ended and everything it brought was handed on.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Has the shim kill everything and end; one that does not answer is killed itself.
    pub async fn shut_down(&self, clock: &SharedClock) {
        tokio::select! {
            // An error means that it has ended already.
            _ = self.call(Op::Shutdown, &[]) => {}
            () = clock.sleep(SHUTDOWN) => {
                if let Ok(peer) = getsockopt(self.socket.get_ref(), PeerCredentials) {
                    tracing::warn!(pid = peer.pid(), "a shim does not answer and is killed");
                    drop(sys::kill(peer.pid().unsigned_abs(), libc::SIGKILL));
                }
            }
        }
    }

    /// The same for a shim that no task of ours listens to.
    pub async fn shut_down_stray(&self, clock: &SharedClock) {
        tokio::select! {
            () = self.shut_down(clock) => {}
            () = async { while self.next().await.is_some() {} } => {}
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<BTreeMap<u64, oneshot::Sender<Reply>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ended() -> anyhow::Error {
    anyhow!("the sandbox's shim has ended")
}

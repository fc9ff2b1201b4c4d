//! Waiting for changes in a directory, by inotify.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd, RawFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::io::unix::AsyncFd;

struct Fd(Inotify);

impl AsRawFd for Fd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// One directory.
pub struct Watch(AsyncFd<Fd>);

impl Watch {
    pub fn new(dir: &Path) -> io::Result<Watch> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let what = AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_DELETE_SELF;
        inotify.add_watch(dir, what)?;
        // SAFETY: the descriptor is owned by the value that is handed over, and stays the same until that is dropped.
        let registered = unsafe { AsyncFd::register(Fd(inotify)) };
        Ok(Watch(registered.map_err(|e| io::Error::other(e.to_string()))?))
    }

    /// Completes when something has changed since the last time.
    pub async fn changed(&self) -> io::Result<()> {
        loop {
            let mut ready = self.0.readable().await?;
            match ready.try_io(|fd| match fd.get_ref().0.read_events() {
                Err(Errno::EAGAIN) => Err(io::ErrorKind::WouldBlock.into()),
                events => Ok(events?),
            }) {
                Ok(events) => return events.map(drop),
                Err(_would_block) => {}
            }
        }
    }
}

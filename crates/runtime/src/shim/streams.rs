//! A container's output on its way: into the log, and to whoever is attached.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use jiff::Timestamp;
use nix::errno::Errno;

use super::log::{Lines, LogFile, MAX_LINE};

/// One output stream of a container: the read end of a pipe or a terminal's master.
#[derive(Debug)]
pub(crate) struct Output {
    pub fd: OwnedFd,
    lines: Lines,
    sinks: Vec<Sink>,
}

/// Somebody attached. What a slow reader has not taken holds the container back, as a terminal would.
#[derive(Debug)]
struct Sink {
    fd: OwnedFd,
    pending: Vec<u8>,
}

/// What a read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Data,
    /// Nothing now.
    Empty,
    End,
}

impl Output {
    pub fn new(fd: OwnedFd, stream: &'static str) -> io::Result<Self> {
        crate::sys::set_nonblocking(fd.as_fd())?;
        Ok(Output { fd, lines: Lines::new(stream), sinks: Vec::new() })
    }

    /// Copies further output to `fd`.
    pub fn attach(&mut self, fd: OwnedFd) -> io::Result<()> {
        crate::sys::set_nonblocking(fd.as_fd())?;
        self.sinks.push(Sink { fd, pending: Vec::new() });
        Ok(())
    }

    /// Reads once and passes on.
    pub fn read(&mut self, log: Option<&mut LogFile>, now: Timestamp) -> Read {
        let mut buffer = [0u8; MAX_LINE];
        let n = match nix::unistd::read(&self.fd, &mut buffer) {
            Ok(0) => return Read::End,
            Ok(n) => n,
            Err(Errno::EAGAIN | Errno::EINTR) => return Read::Empty,
            // A terminal whose last slave was closed says EIO.
            Err(_) => return Read::End,
        };
        if let Some(log) = log {
            let mut records = Vec::with_capacity(n + 128);
            self.lines.push(&buffer[..n], now, &mut records);
            log.write(&records);
        }
        self.sinks.retain_mut(|sink| {
            sink.pending.extend_from_slice(&buffer[..n]);
            sink.flush()
        });
        Read::Data
    }

    /// Writes the begun line, at the end of the stream.
    pub fn finish(&mut self, log: Option<&mut LogFile>, now: Timestamp) {
        if let Some(log) = log {
            let mut records = Vec::new();
            self.lines.finish(now, &mut records);
            log.write(&records);
        }
    }

    /// Sends what attached readers have room for; whether all of it went.
    pub fn flush(&mut self) -> bool {
        self.sinks.retain_mut(Sink::flush);
        !self.blocked()
    }

    /// Whether an attached reader is behind.
    pub fn blocked(&self) -> bool {
        self.sinks.iter().any(|sink| !sink.pending.is_empty())
    }

    /// The descriptors to wait for while blocked.
    pub fn waiting(&self) -> impl Iterator<Item = &OwnedFd> {
        self.sinks.iter().filter(|sink| !sink.pending.is_empty()).map(|sink| &sink.fd)
    }
}

impl Sink {
    /// Whether the reader is still there.
    fn flush(&mut self) -> bool {
        while !self.pending.is_empty() {
            match nix::unistd::write(&self.fd, &self.pending) {
                Ok(n) => drop(self.pending.drain(..n)),
                Err(Errno::EAGAIN) => return true,
                Err(Errno::EINTR) => {}
                Err(_) => return false,
            }
        }
        self.pending.shrink_to(0);
        true
    }
}

//! The server's connection: requests in, replies and events out.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{SockFlag, accept4, getsockopt, sockopt::PeerCredentials};

use super::proto::{Answer, Message, Op, Request, VERSION};
use super::{Shim, children};
use crate::sys;

#[derive(Debug)]
pub(crate) struct Client {
    pub socket: OwnedFd,
    /// Gets events: it has said hello.
    pub greeted: bool,
}

/// Who waits for which answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReplyTo {
    pub client: u64,
    pub id: u64,
}

impl Shim {
    pub(super) fn accept(&mut self) {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let Ok(raw) = accept4(self.listener.as_raw_fd(), flags) else { return };
        let Ok(socket) = sys::accepted(raw) else { return };
        // The file's mode says it already; a descriptor passed around does not.
        if getsockopt(&socket, PeerCredentials)
            .is_ok_and(|peer| peer.uid() == nix::unistd::geteuid().as_raw())
        {
            let id = self.new_id();
            self.clients.insert(id, Client { socket, greeted: false });
        }
    }

    /// Reads one request. Whoever sends nonsense is disconnected.
    pub(super) fn client_ready(&mut self, id: u64) {
        let Some(client) = self.clients.get(&id) else { return };
        let received = match sys::receive_packet(client.socket.as_fd()) {
            Err(e)
                if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::Interrupted) =>
            {
                return;
            }
            other => other,
        };
        let request = received.ok().filter(|(packet, _)| !packet.is_empty()).and_then(|(packet, fds)| {
            let request: Request = serde_json::from_slice(&packet).ok()?;
            Some((request, fds))
        });
        match request {
            Some((request, fds)) => self.serve(ReplyTo { client: id, id: request.id }, request.op, fds),
            None => drop(self.clients.remove(&id)),
        }
    }

    fn serve(&mut self, to: ReplyTo, op: Op, fds: Vec<OwnedFd>) {
        let result = match op {
            Op::Hello { .. } => return self.hello(to),
            Op::Start(start) => self.start_container(to, start),
            Op::Exec { exec, container, tty } => self.start_exec(to, exec, &container, tty, fds),
            Op::Attach { container, stdin, stdout, stderr } => {
                match self.attach(&container, stdin, stdout, stderr, fds) {
                    Ok(fd) => {
                        let fds: Vec<BorrowedFd<'_>> = fd.iter().map(|fd| fd.as_fd()).collect();
                        return self.answer(to, Answer::Done, &fds);
                    }
                    Err(e) => Err(e),
                }
            }
            Op::Connect { port, ipv6 } => match children::connect_localhost(port, ipv6) {
                Ok(socket) => return self.answer(to, Answer::Done, &[socket.as_fd()]),
                Err(e) => Err(e),
            },
            Op::Signal { container, signal } => {
                self.signal(&container, signal).map(|()| self.answer(to, Answer::Done, &[]))
            }
            Op::Kill { container } => self.kill(&container).map(|()| self.answer(to, Answer::Done, &[])),
            Op::ReopenLog { container } => {
                self.reopen_log(&container).map(|()| self.answer(to, Answer::Done, &[]))
            }
            Op::KillExec { exec } => {
                self.kill_exec(&exec);
                self.answer(to, Answer::Done, &[]);
                Ok(())
            }
            Op::Forget { container } => {
                if self.containers.get(&container).is_some_and(|c| !c.running()) {
                    self.containers.remove(&container);
                }
                self.answer(to, Answer::Done, &[]);
                Ok(())
            }
            Op::Shutdown => {
                self.shut_down(to);
                Ok(())
            }
        };
        if let Err(e) = result {
            self.answer(to, Answer::Failed(format!("{e:#}")), &[]);
        }
    }

    fn hello(&mut self, to: ReplyTo) {
        let containers = self.containers.values().map(|c| c.status.clone()).collect();
        let (pid, pause) = (std::process::id(), self.pause);
        if let Some(client) = self.clients.get_mut(&to.client) {
            client.greeted = true;
        }
        self.answer(to, Answer::Hello { version: VERSION, pid, pause, containers }, &[]);
    }

    pub(super) fn answer(&mut self, to: ReplyTo, answer: Answer, fds: &[BorrowedFd<'_>]) {
        self.send(to.client, &Message::Reply { id: to.id, answer }, fds);
    }

    /// Tells everybody.
    pub(super) fn publish(&mut self, message: &Message) {
        let greeted: Vec<u64> = self.clients.iter().filter(|(_, c)| c.greeted).map(|(id, _)| *id).collect();
        greeted.into_iter().for_each(|id| self.send(id, message, &[]));
    }

    /// A reader so far behind that its socket is full is disconnected; it comes back and gets the whole state.
    fn send(&mut self, client: u64, message: &Message, fds: &[BorrowedFd<'_>]) {
        let Some(to) = self.clients.get(&client) else { return };
        let sent = serde_json::to_vec(message)
            .map_err(std::io::Error::from)
            .and_then(|packet| sys::send_packet(to.socket.as_fd(), &packet, fds));
        if sent.is_err() {
            self.clients.remove(&client);
        }
    }
}

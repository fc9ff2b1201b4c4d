//! More connections than a machine's kernel can keep track of.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

use crate::Host;

/// Connections that are told to the kernel at once.
const BATCH: u32 = 128;
/// Connection tracking's part of netfilter's messages.
const CONNTRACK: u16 = 1 << 8;
const NEW: u16 = CONNTRACK;
const DELETE: u16 = CONNTRACK | 2;
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const CREATE: u16 = 0x600;
const ERROR: u16 = 2;
const NESTED: u16 = 0x8000;
/// Answered, and busy: the kernel gives the place of such a connection to no other.
const ASSURED: u32 = 2 | 4 | 8;

/// Fills the machine's table of connections, and keeps it full until it is dropped: then the table is empty.
pub struct Flood {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    netlink: Arc<OwnedFd>,
}

impl Flood {
    /// Returns when there is no more room.
    pub fn start(host: &Host) -> Self {
        let netlink = Arc::new(host.on_machine(|| {
            let netfilter = SockProtocol::NetlinkNetFilter;
            socket(AddressFamily::Netlink, SockType::Raw, SockFlag::empty(), netfilter)
                .expect("a netlink socket")
        }));
        let mut next = 0;
        fill(&netlink, &mut next);
        let stop = Arc::new(AtomicBool::new(false));
        let (ends, to) = (stop.clone(), netlink.clone());
        let thread = std::thread::spawn(move || {
            while !ends.load(Ordering::SeqCst) {
                fill(&to, &mut next);
                std::thread::park_timeout(Duration::from_millis(20));
            }
        });
        Flood { stop, thread: Some(thread), netlink }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
        let answer = message(DELETE, REQUEST | ACK, &[]);
        if let Err(error) =
            send(&self.netlink, &answer).and_then(|()| failed(&self.netlink, MsgFlags::empty()))
        {
            eprintln!("cannot empty the table of connections: {error}");
        }
    }
}

/// Connections of nobody's, from the `next`th on, until the kernel takes no more.
fn fill(netlink: &OwnedFd, next: &mut u32) {
    loop {
        let batch: Vec<u8> = (*next..*next + BATCH).flat_map(connection).collect();
        *next += BATCH;
        send(netlink, &batch).expect("tell the kernel of connections");
        if failed(netlink, MsgFlags::MSG_DONTWAIT).is_err() {
            // Further complaints of this batch are of no interest.
            while recv(netlink.as_raw_fd(), &mut [0; 4096], MsgFlags::MSG_DONTWAIT).is_ok() {}
            return;
        }
    }
}

/// The kernel's complaint, if there is one.
fn failed(netlink: &OwnedFd, flags: MsgFlags) -> io::Result<()> {
    let mut answer = [0; 4096];
    match recv(netlink.as_raw_fd(), &mut answer, flags) {
        Err(nix::errno::Errno::EAGAIN) => return Ok(()),
        got => got?,
    };
    let kind = u16::from_ne_bytes([answer[4], answer[5]]);
    let code = i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]);
    match (kind, code) {
        (ERROR, 0) => Ok(()),
        (ERROR, code) => Err(io::Error::from_raw_os_error(-code)),
        _ => Ok(()),
    }
}

fn send(netlink: &OwnedFd, messages: &[u8]) -> io::Result<()> {
    sendto(netlink.as_raw_fd(), messages, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    Ok(())
}

/// A flow of UDP from 198.18.0.0/15, the benchmarks' addresses.
fn connection(number: u32) -> Vec<u8> {
    let (low, high) = ((number % 60_000) as u16 + 1, number / 60_000);
    let (here, there) = (0xc612_0000 + high, 0xc613_0001_u32);
    let tuple = |from: u32, from_port: u16, to: u32, to_port: u16| {
        let ip = [attribute(1, &from.to_be_bytes()), attribute(2, &to.to_be_bytes())].concat();
        let ports = [attribute(2, &from_port.to_be_bytes()), attribute(3, &to_port.to_be_bytes())].concat();
        let protocol = [attribute(1, &[17]), ports].concat();
        [attribute(1 | NESTED, &ip), attribute(2 | NESTED, &protocol)].concat()
    };
    let attributes = [
        attribute(1 | NESTED, &tuple(here, low, there, 9)),
        attribute(2 | NESTED, &tuple(there, 9, here, low)),
        attribute(3, &ASSURED.to_be_bytes()),
        attribute(7, &600_u32.to_be_bytes()),
    ];
    message(NEW, REQUEST | CREATE, &attributes.concat())
}

fn message(kind: u16, flags: u16, attributes: &[u8]) -> Vec<u8> {
    let family = if attributes.is_empty() { 0 } else { 2 };
    let length = (20 + attributes.len()) as u32;
    let head =
        [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &flags.to_ne_bytes(), &[0; 8], &[family, 0, 0, 0]];
    [&head.concat(), attributes].concat()
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = (4 + value.len()) as u16;
    let mut bytes = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

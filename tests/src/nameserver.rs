//! A nameserver out in the world, and the smallest of clients. Just enough of DNS for both.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::host::{Host, WORLD};

/// What every name has, there.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);
const HEADER: usize = 12;

/// Answers every question for an address with `192.0.2.77`, until it is dropped.
pub struct Nameserver {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Nameserver {
    /// On port 53 of the world's address.
    pub fn start(host: &Host) -> Self {
        let socket = host.in_world(|| UdpSocket::bind((WORLD, 53)).expect("listen on port 53"));
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("set the time-out");
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (ends, count) = (stop.clone(), asked.clone());
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while !ends.load(Ordering::SeqCst) {
                let Ok((len, client)) = socket.recv_from(&mut buffer) else { continue };
                count.fetch_add(1, Ordering::SeqCst);
                if let Some(answer) = answer(&buffer[..len]) {
                    let _ = socket.send_to(&answer, client);
                }
            }
        });
        Nameserver { stop, asked, thread: Some(thread) }
    }

    /// Questions so far.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Nameserver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(packet: &[u8]) -> Option<Vec<u8>> {
    let name = packet.get(HEADER..)?.iter().position(|b| *b == 0)?;
    let end = HEADER + name + 5;
    let question = packet.get(HEADER..end)?;
    let is_a = question[question.len() - 4..] == [0, 1, 0, 1];
    // An answer, recursion desired and available; one question, its answer if it asks for an address.
    let mut reply = vec![packet[0], packet[1], 0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0];
    reply.extend(question);
    if is_a {
        reply.extend([0xc0, HEADER as u8, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        reply.extend(ADDRESS.octets());
    }
    Some(reply)
}

/// The code of the answer to a question for the name's address, asked from the world; `None` when there is none.
pub fn ask(host: &Host, server: SocketAddr, name: &str) -> Option<u8> {
    let mut packet = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.trim_end_matches('.').split('.') {
        packet.push(label.len() as u8);
        packet.extend(label.as_bytes());
    }
    packet.extend([0, 0, 1, 0, 1]);
    host.in_world(|| {
        let socket = UdpSocket::bind((WORLD, 0)).expect("open a socket");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("set the time-out");
        socket.send_to(&packet, server).expect("send");
        let mut buffer = [0; 4096];
        let len = socket.recv(&mut buffer).ok()?;
        (len >= HEADER).then(|| buffer[3] & 0x0f)
    })
}

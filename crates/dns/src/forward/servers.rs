//! The nameservers of a resolv.conf, and which of them are alive.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// A server that failed is asked again after this long, by one question.
const REST: Duration = Duration::from_secs(1);
/// As resolvers do.
const SERVERS_MAX: usize = 3;

/// The file's servers, read again when it changes.
pub struct Servers {
    file: PathBuf,
    own: Vec<SocketAddr>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// The file's state when it was read: modification time and length.
    seen: Option<(SystemTime, u64)>,
    servers: Vec<Arc<Server>>,
}

impl Servers {
    pub fn new(file: PathBuf, own: Vec<SocketAddr>) -> Self {
        Servers { file, own, known: Mutex::default() }
    }

    pub fn current(&self) -> Vec<Arc<Server>> {
        let state = std::fs::metadata(&self.file).and_then(|m| Ok((m.modified()?, m.len()))).ok();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if state != known.seen {
            let text = std::fs::read_to_string(&self.file).unwrap_or_default();
            let addresses = parse(&text).into_iter().filter(|a| !self.own.contains(a)).take(SERVERS_MAX);
            let before = std::mem::take(&mut known.servers);
            known.servers = addresses
                .map(|a| before.iter().find(|s| s.address == a).cloned().unwrap_or_else(|| Server::new(a)))
                .collect();
            known.seen = state;
        }
        known.servers.clone()
    }
}

/// The `nameserver` lines. A port may follow the address as `[ADDRESS]:PORT`, which resolvers do not know but tests do.
pub fn parse(text: &str) -> Vec<SocketAddr> {
    let words = text.lines().map(|l| l.split(['#', ';']).next().unwrap_or_default().split_whitespace());
    let named = words.filter_map(|mut w| (w.next() == Some("nameserver")).then(|| w.next()).flatten());
    named
        .filter_map(|word| {
            let address = word.split('%').next().unwrap_or_default();
            address.parse().map(|ip| SocketAddr::new(ip, 53)).or_else(|_| word.parse()).ok()
        })
        .collect()
}

/// A nameserver.
pub struct Server {
    pub address: SocketAddr,
    /// Set while it is thought dead: from when on one question may try it.
    rests_until: Mutex<Option<Duration>>,
}

impl Server {
    fn new(address: SocketAddr) -> Arc<Self> {
        Arc::new(Server { address, rests_until: Mutex::default() })
    }

    /// Whether this question may go to it. Of a server that has failed, one at a time finds out whether it is back.
    pub fn may_be_asked(&self, now: Duration) -> bool {
        let mut rests = self.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        match *rests {
            Some(until) if now < until => false,
            Some(_) => {
                *rests = Some(now + REST);
                true
            }
            None => true,
        }
    }

    pub fn answered(&self) {
        *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// True when this is news.
    pub fn failed(&self, now: Duration) -> bool {
        let mut rests = self.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        rests.replace(now + REST).is_none()
    }
}

//! Questions about the rest of the world go to the node's own nameservers. Start at [`Forwarder::resolve`].
//!
//! [`cache`] keeps answers as long as they say. A server that does not answer is left alone for a moment, so that while all are dead
//! questions fail at once.

mod cache;
mod exchange;
mod servers;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_proto::op::{Query, ResponseCode};
use stdx::clock::SharedClock;

use crate::within;
use crate::zone::Answer;
use cache::{Cache, Key};
use servers::{Server, Servers};

/// Stub resolvers give up after five seconds; they should hear of it before.
const TRY_ALL_FOR: Duration = Duration::from_secs(4);

/// Asks the nameservers of a resolv.conf.
pub struct Forwarder {
    servers: Servers,
    cache: Mutex<Cache>,
    clock: SharedClock,
}

impl Forwarder {
    /// `own` are this server's addresses, which it never asks.
    pub fn new(resolv_conf: PathBuf, own: Vec<SocketAddr>, clock: SharedClock) -> Self {
        Forwarder { servers: Servers::new(resolv_conf, own), cache: Mutex::default(), clock }
    }

    /// The world's answer; SERVFAIL when nobody gives one in time.
    pub async fn resolve(&self, query: &Query, dnssec: bool) -> Answer {
        let key = Key::new(query, dnssec);
        let cached = self.cache().get(&key, self.clock.monotonic());
        if let Some(answer) = cached {
            return answer;
        }
        let asked = within(&*self.clock, TRY_ALL_FOR, self.ask(query, dnssec)).await;
        let answer = asked.unwrap_or_else(|| Answer::code(ResponseCode::ServFail));
        self.cache().put(key, &answer, self.clock.monotonic());
        answer
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In the order of the file, as everybody does.
    async fn ask(&self, query: &Query, dnssec: bool) -> Answer {
        let mut refused = None;
        for server in self.servers.current() {
            if !server.may_be_asked(self.clock.monotonic()) {
                continue;
            }
            match self.ask_one(&server, query, dnssec).await {
                Some(answer) if matches!(answer.code, ResponseCode::ServFail | ResponseCode::Refused) => {
                    refused = Some(answer);
                }
                Some(answer) => return answer,
                None => {}
            }
        }
        refused.unwrap_or_else(|| Answer::code(ResponseCode::ServFail))
    }

    async fn ask_one(&self, server: &Arc<Server>, query: &Query, dnssec: bool) -> Option<Answer> {
        match exchange::exchange(server.address, query, dnssec, &*self.clock).await {
            Ok(answer) => {
                server.answered();
                Some(answer)
            }
            Err(error) => {
                if server.failed(self.clock.monotonic()) {
                    tracing::warn!(server = %server.address, "a nameserver of the node does not answer: {error:#}");
                }
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! Whom the server answers. It listens on an address by which the whole network reaches the node; an open resolver would be a
//! weapon in others' hands.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use stdx::clock::SharedClock;

/// How often strangers may make us look at the machine's addresses again.
const REFRESH: Duration = Duration::from_secs(1);

/// The cluster's ranges, and the machine itself.
pub struct Access {
    ranges: Vec<IpNet>,
    own_addresses: Arc<dyn Fn() -> Vec<IpAddr> + Send + Sync>,
    clock: SharedClock,
    own: Mutex<Own>,
}

#[derive(Default)]
struct Own {
    addresses: HashSet<IpAddr>,
    read: Option<Duration>,
}

impl Access {
    /// `own_addresses` tells those of the machine, now.
    pub fn new(
        ranges: Vec<IpNet>,
        own_addresses: impl Fn() -> Vec<IpAddr> + Send + Sync + 'static,
        clock: SharedClock,
    ) -> Self {
        Access { ranges, own_addresses: Arc::new(own_addresses), clock, own: Mutex::default() }
    }

    pub(crate) fn allows(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        client.is_loopback() || self.ranges.iter().any(|r| r.contains(&client)) || self.is_own(client)
    }

    fn is_own(&self, client: IpAddr) -> bool {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if own.addresses.contains(&client) {
            return true;
        }
        let now = self.clock.monotonic();
        if own.read.is_none_or(|read| now >= read + REFRESH) {
            own.read = Some(now);
            own.addresses = (self.own_addresses)().into_iter().collect();
        }
        own.addresses.contains(&client)
    }
}

#[cfg(test)]
mod tests;

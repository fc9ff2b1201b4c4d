//! Leases for what expires. One lease is shared by what is written at about the same time, as upstream
//! does it: etcd pays for each.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::rpc::LeaseGrantRequest;
use super::rpc::lease_client::LeaseClient;
use super::{Shared, members};
use crate::engine::CommitError;

/// How long, and for how many keys, a lease is used again.
const REUSE_MAX: Duration = Duration::from_secs(60);
const REUSE_KEYS: u32 = 1000;

/// What is written last may live longer by no more than a twentieth.
fn reuse(ttl: Duration) -> Duration {
    (ttl / 20).min(REUSE_MAX)
}

#[derive(Debug, Default)]
pub(super) struct Leases {
    last: Mutex<Option<Lent>>,
}

#[derive(Debug)]
struct Lent {
    id: i64,
    ttl: Duration,
    /// Monotonic.
    granted: Duration,
    keys: u32,
}

impl Leases {
    /// A lease that lasts for `ttl` at least.
    pub async fn lease(&self, shared: &Shared, ttl: Duration) -> Result<i64, CommitError> {
        let now = shared.clock.monotonic();
        if let Some(id) = self.again(ttl, now) {
            return Ok(id);
        }
        let request = LeaseGrantRequest { ttl: (ttl + reuse(ttl)).as_secs() as i64, id: 0 };
        // A lease that nobody uses ends by itself, so that this may be tried twice.
        let granted = shared.members.read(|channel| async move {
            LeaseClient::new(channel).lease_grant(members::request(request)).await
        });
        let granted = granted.await.map_err(|s| CommitError::Unavailable(shared.members.explain(&s)))?;
        let lent = Lent { id: granted.id, ttl, granted: now, keys: 1 };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(lent);
        Ok(granted.id)
    }

    /// The last one is not to be used again.
    pub fn forget(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn again(&self, ttl: Duration, now: Duration) -> Option<i64> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let lent = last.as_mut()?;
        if lent.ttl != ttl || now.saturating_sub(lent.granted) >= reuse(ttl) || lent.keys >= REUSE_KEYS {
            return None;
        }
        lent.keys += 1;
        Some(lent.id)
    }
}

//! Events that have left memory, from etcd's own history.

use std::sync::Arc;
use std::time::Duration;

use apimachinery::Revision;
use async_trait::async_trait;

use super::rpc::WatchCreateRequest;
use super::{Shared, follow, revision};
use crate::engine::{EventBatch, ReadError};
use crate::feed::History;

/// Before the next attempt when etcd does not answer.
const PAUSE: Duration = Duration::from_millis(500);

#[async_trait]
impl History for Shared {
    async fn read(
        self: Arc<Self>,
        prefix: String,
        after: Revision,
        until: Revision,
    ) -> Result<EventBatch, ReadError> {
        loop {
            self.check(after)?;
            let read = tokio::select! {
                () = self.closed.cancelled() => return Err(ReadError::Unavailable("the store is closed".into())),
                read = self.read_once(&prefix, after, until) => read,
            };
            match read {
                Err(ReadError::Unavailable(why)) => tracing::debug!(why, "cannot read etcd's history"),
                read => return read,
            }
            self.clock.sleep(PAUSE).await;
        }
    }
}

impl Shared {
    /// The first events that etcd sends of a watch from the revision after `after`. There are some: `until` is the
    /// revision of an event.
    async fn read_once(
        &self,
        prefix: &str,
        after: Revision,
        until: Revision,
    ) -> Result<EventBatch, ReadError> {
        let (at, channel) = self.members.pick_for_watch();
        let broken = |status: tonic::Status| {
            self.members.failed(at);
            ReadError::Unavailable(follow::why(&status))
        };
        let (mut responses, _requests) = follow::open(self, channel, after).await.map_err(broken)?;
        loop {
            let response = self.members.within(responses.message()).await.map_err(broken)?;
            let response = response.ok_or_else(|| ReadError::Unavailable("etcd ended the watch".into()))?;
            match follow::ended(&response) {
                Some(Ok(oldest)) => {
                    self.compacted_to(oldest);
                    return Err(ReadError::Compacted { requested: after, oldest });
                }
                Some(Err(why)) => return Err(ReadError::Unavailable(why)),
                None => {}
            }
            let last = response.events.last().and_then(|e| e.kv.as_ref()).map(|kv| revision(kv.mod_revision));
            let Some(last) = last else { continue };
            let events = response.events.into_iter().filter_map(|e| self.event(e));
            let wanted = events.filter(|e| e.revision <= until && e.key.starts_with(prefix));
            return Ok(EventBatch { events: wanted.collect(), revision: last.min(until) });
        }
    }
}

/// The first revision that can be listed at, of an etcd that has been compacted: it tells those who watch from before.
pub(super) async fn oldest(shared: &Shared) -> Result<Revision, ReadError> {
    let (at, channel) = shared.members.pick_for_watch();
    let broken = |status: tonic::Status| {
        shared.members.failed(at);
        ReadError::Unavailable(follow::why(&status))
    };
    let create = WatchCreateRequest { key: shared.keys.marker(), start_revision: 1, ..Default::default() };
    let (mut responses, _requests) = follow::create(shared, channel, create).await.map_err(broken)?;
    loop {
        let response = shared.members.within(responses.message()).await.map_err(broken)?;
        let response = response.ok_or_else(|| ReadError::Unavailable("etcd ended the watch".into()))?;
        match follow::ended(&response) {
            Some(Ok(oldest)) => return Ok(oldest),
            Some(Err(why)) => return Err(ReadError::Unavailable(why)),
            None => {}
        }
    }
}

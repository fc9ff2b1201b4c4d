//! Keeps a mirror: list, then watch from there; after a break watch from the last event; only when the server has forgotten that,
//! list again. Start at [`Reflector::run`].

use std::sync::Arc;
use std::time::Duration;

use apimachinery::{Gvr, Revision, Status};
use bytes::Bytes;
use cache::Update;
use futures::StreamExt;
use stdx::Random;
use stdx::clock::SharedClock;

use super::HttpsTransport;
use super::mirror::Mirror;
use crate::api::raw;
use crate::partial;
use crate::transport::{Options, Transport, ViewScope, WatchEvent};

const PAGE: u64 = 500;
/// client-go's back-off of reflectors.
const BACKOFF_FIRST: Duration = Duration::from_millis(800);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// A watch that lived so long was a good one.
const HEALTHY: Duration = Duration::from_secs(5);
/// Longer than any watch lasts; a connection that is silent for longer is dead.
const SILENCE_MAX: Duration = Duration::from_secs(660);

pub(super) struct Reflector {
    pub transport: HttpsTransport,
    pub gvr: Gvr,
    pub scope: ViewScope,
    pub mirror: Arc<Mirror>,
    pub clock: SharedClock,
    pub random: Random,
}

impl Reflector {
    pub(super) async fn run(self) {
        let mut failures = 0;
        loop {
            match self.list().await {
                Ok(from) => {
                    failures = 0;
                    self.mirror.set_synced();
                    self.watch(from).await;
                }
                Err(status) => {
                    tracing::warn!(resource = %self.gvr.group_resource(), "cannot list: {status}");
                    self.wait(&mut failures).await;
                }
            }
        }
    }

    async fn wait(&self, failures: &mut u32) {
        let grown = BACKOFF_FIRST * 2u32.saturating_pow(*failures).min(64);
        *failures += 1;
        let base = grown.min(BACKOFF_MAX);
        // Up to twice as long, so that a server that comes back is not met by everybody at once.
        self.clock.sleep(base + base / 1000 * self.random.below(1000) as u32).await;
    }

    /// Makes the mirror what the API has now; where to watch from.
    async fn list(&self) -> Result<Revision, Status> {
        let mut options = self.options();
        options.limit = PAGE;
        let mut objects = Vec::new();
        loop {
            let page = raw::list(&self.transport, &self.gvr, &self.scope.namespace, &options).await;
            let page = match page {
                // Writers outran us: all at once, then.
                Err(e) if e.is_expired() && !options.continue_token.is_empty() => {
                    objects.clear();
                    options = self.options();
                    continue;
                }
                page => page?,
            };
            for item in &page.items {
                // What is kept must not hold on to the whole page.
                objects.push(partial::object(page.whole(item), self.mirror.fields)?);
            }
            if page.meta.continue_token.is_empty() {
                let revision = partial::revision(&page.meta.resource_version);
                self.mirror.cache.replace(objects, revision);
                return Ok(revision);
            }
            options.continue_token = page.meta.continue_token;
        }
    }

    fn options(&self) -> Options {
        Options {
            label_selector: self.scope.label_selector.clone(),
            field_selector: self.scope.field_selector.clone(),
            ..Options::default()
        }
    }

    /// Follows the changes; returns when the mirror must be listed anew.
    async fn watch(&self, mut from: Revision) {
        let mut failures = 0;
        loop {
            let started = self.clock.monotonic();
            let options = Options { resource_version: from.to_string(), ..self.options() };
            let ended = match self.transport.watch(&self.gvr, &self.scope.namespace, &options).await {
                Ok(events) => self.follow(events, &mut from).await,
                Err(status) => Err(status),
            };
            if self.clock.monotonic() - started > HEALTHY {
                failures = 0;
            }
            match ended {
                Err(status) if status.is_expired() => {
                    tracing::info!(resource = %self.gvr.group_resource(), "too old to go on from: listing again");
                    return;
                }
                Err(status) => {
                    tracing::debug!(resource = %self.gvr.group_resource(), "the watch broke: {status}");
                    self.wait(&mut failures).await;
                }
                // The server ends watches now and then; if at once, there is no hurry to be cut off again.
                Ok(()) if failures == 0 && self.clock.monotonic() - started > HEALTHY => {}
                Ok(()) => self.wait(&mut failures).await,
            }
        }
    }

    async fn follow(
        &self,
        mut events: futures::stream::BoxStream<'static, WatchEvent>,
        from: &mut Revision,
    ) -> Result<(), Status> {
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                () = self.clock.sleep(SILENCE_MAX) => return Ok(()),
            };
            match event {
                None => return Ok(()),
                Some(WatchEvent::Error(status)) => return Err(status),
                Some(WatchEvent::Bookmark(object)) => {
                    *from = self.object(object)?.revision.max(*from);
                    self.mirror.cache.progress(*from);
                }
                Some(WatchEvent::Added(object) | WatchEvent::Modified(object)) => {
                    self.apply(Update::Put(self.object(object)?), from);
                }
                Some(WatchEvent::Deleted(object)) => {
                    let last = self.object(object)?;
                    let (key, revision) = (last.key.clone(), last.revision);
                    self.apply(Update::Delete { key, revision, last: Some(last) }, from);
                }
            }
        }
    }

    fn apply(&self, update: Update, from: &mut Revision) {
        let revision = match &update {
            Update::Put(object) => object.revision,
            Update::Delete { revision, .. } => *revision,
        };
        self.mirror.cache.apply([update]);
        self.mirror.cache.progress(revision);
        *from = revision.max(*from);
    }

    fn object(&self, json: Bytes) -> Result<cache::Object, Status> {
        partial::object(json, self.mirror.fields)
    }
}

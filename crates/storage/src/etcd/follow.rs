//! The task that follows etcd: one watch over the whole prefix, begun again where it was whenever it breaks, so that no
//! event is lost and none comes twice.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use apimachinery::Revision;
use futures::stream::{self, Stream};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use super::rpc::event::EventType;
use super::rpc::maintenance_client::MaintenanceClient;
use super::rpc::watch_client::WatchClient;
use super::rpc::watch_request::RequestUnion;
use super::rpc::{
    Event, StatusRequest, WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse,
};
use super::{Shared, describe, header, members, revision};
use crate::engine::{KeyChange, KeyEvent};

/// Between attempts, growing from the first to the last.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Requests on their way to a watch: asking again before the last was sent is of no use.
const REQUESTS: usize = 4;

/// Why a watch ended.
enum End {
    Closed,
    /// What would come next is forgotten; history begins here.
    Compacted(Revision),
    Failed(String),
}

/// Until the engine is closed.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut pause = PAUSE.0;
    loop {
        let before = shared.feed.head();
        let (at, end) = follow(&shared, before).await;
        match end {
            End::Closed => return,
            End::Compacted(oldest) => {
                tracing::warn!(%oldest, %before, "etcd has forgotten what came next; everything is listed anew");
                shared.compacted_to(oldest);
                shared.feed.jump(oldest);
            }
            End::Failed(why) => {
                let news = shared.note_trouble(Some(why.clone()));
                if news {
                    tracing::warn!(why, "the watch of etcd broke; it is begun again");
                }
                shared.members.failed(at);
                if shared.feed.head() > before {
                    pause = PAUSE.0;
                }
                tokio::select! {
                    () = shared.closed.cancelled() => return,
                    () = shared.clock.sleep(pause) => {}
                }
                pause = (pause * 2).min(PAUSE.1);
            }
        }
    }
}

/// One watch, from the revision after `after`. Says at which member it was.
async fn follow(shared: &Shared, after: Revision) -> (usize, End) {
    let (at, channel) = shared.members.pick_for_watch();
    let version = MaintenanceClient::new(channel.clone());
    let failed = |status: Status| (at, End::Failed(shared.members.explain(&status)));
    match shared.members.within(status(version)).await {
        Ok(version) => shared.progress.follow(&version),
        Err(status) => return failed(status),
    }
    let (mut responses, requests) = match open(shared, channel, after).await {
        Ok(opened) => opened,
        Err(status) => return failed(status),
    };
    loop {
        let response = tokio::select! {
            () = shared.closed.cancelled() => return (at, End::Closed),
            () = shared.progress.asked() => {
                let ask = RequestUnion::ProgressRequest(WatchProgressRequest {});
                // When the queue is full, somebody else has asked.
                let _ = requests.try_send(WatchRequest { request_union: Some(ask) });
                continue;
            }
            response = responses.message() => response,
        };
        match response {
            Ok(Some(response)) => {
                if let Err(end) = shared.take(response) {
                    return (at, end);
                }
            }
            Ok(None) => return (at, End::Failed("etcd ended the watch".into())),
            Err(status) => return failed(status),
        }
    }
}

async fn status(mut client: MaintenanceClient<tonic::transport::Channel>) -> Result<String, Status> {
    Ok(client.status(StatusRequest {}).await?.into_inner().version)
}

/// A watch over the whole prefix from the revision after `after`, and the way to ask it more.
pub(super) async fn open(
    shared: &Shared,
    channel: tonic::transport::Channel,
    after: Revision,
) -> Result<(Streaming<WatchResponse>, mpsc::Sender<WatchRequest>), Status> {
    let (key, range_end) = shared.keys.range("");
    let start_revision = after.0 as i64 + 1;
    create(shared, channel, WatchCreateRequest { key, range_end, start_revision, ..Default::default() }).await
}

pub(super) async fn create(
    shared: &Shared,
    channel: tonic::transport::Channel,
    create: WatchCreateRequest,
) -> Result<(Streaming<WatchResponse>, mpsc::Sender<WatchRequest>), Status> {
    let (requests, queue) = mpsc::channel(REQUESTS);
    let create = RequestUnion::CreateRequest(create);
    // There is room: the queue is new.
    let _ = requests.try_send(WatchRequest { request_union: Some(create) });
    let mut client = WatchClient::new(channel).max_decoding_message_size(usize::MAX);
    let opened = client.watch(members::request(outgoing(queue)));
    Ok((shared.members.within(opened).await?.into_inner(), requests))
}

fn outgoing(queue: mpsc::Receiver<WatchRequest>) -> impl Stream<Item = WatchRequest> + Send + 'static {
    stream::unfold(queue, |mut queue| async { Some((queue.recv().await?, queue)) })
}

/// What a response that ends a watch says.
pub(super) fn ended(response: &WatchResponse) -> Option<Result<Revision, String>> {
    match (response.canceled, response.compact_revision) {
        (_, 1..) => Some(Ok(revision(response.compact_revision))),
        (true, _) => Some(Err(format!("etcd ended the watch: {}", response.cancel_reason))),
        (false, _) => None,
    }
}

impl Shared {
    /// Publishes what a response brings.
    fn take(&self, response: WatchResponse) -> Result<(), End> {
        match ended(&response) {
            Some(Ok(oldest)) => return Err(End::Compacted(oldest)),
            Some(Err(why)) => return Err(End::Failed(why)),
            None => drop(self.note_trouble(None)),
        }
        let head = self.feed.head();
        match response.events.last().and_then(|e| e.kv.as_ref()).map(|kv| revision(kv.mod_revision)) {
            Some(last) => {
                let news = response.events.into_iter().filter_map(|e| self.event(e));
                self.feed.publish(news.filter(|e| e.revision > head), last);
            }
            None if !response.created && self.progress.is_told() => {
                self.feed.publish([], header(response.header));
            }
            None => {}
        }
        Ok(())
    }

    /// None for what is not ours.
    pub(super) fn event(&self, event: Event) -> Option<KeyEvent> {
        let deleted = event.r#type() == EventType::Delete;
        let kv = event.kv?;
        Some(KeyEvent {
            key: self.keys.inner(&kv.key)?,
            revision: revision(kv.mod_revision),
            change: if deleted { KeyChange::Deleted(None) } else { KeyChange::Put(kv.value) },
        })
    }

    /// True: it was not known yet.
    fn note_trouble(&self, why: Option<String>) -> bool {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let news = trouble.is_none() && why.is_some();
        *trouble = why;
        news
    }
}

/// A status as the end of something.
pub(super) fn why(status: &Status) -> String {
    describe(status)
}

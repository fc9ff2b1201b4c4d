//! The event recorder: what a component wants people to read, aggregated and rate-limited as upstream does it, sent in the
//! background. Start at [`EventRecorder`].

mod correlate;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use apimachinery::Status;
use codec::Kind;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use stdx::clock::SharedClock;
use stdx::{Random, Tasks};
use tokio::sync::Notify;

use crate::api::Api;
use crate::transport::{PatchType, Transport};
use correlate::{Correlator, Outcome};

/// Events that wait to be sent; more push the oldest out.
const QUEUE_MAX: usize = 1000;
/// How often an event is tried while the API does not answer, and how long between.
const TRIES: u32 = 12;
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// `Event.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventType {
    Normal,
    Warning,
}

impl EventType {
    pub fn as_str(self) -> &'static str {
        match self {
            EventType::Normal => "Normal",
            EventType::Warning => "Warning",
        }
    }
}

/// Records events about objects. Cheap to clone; never blocks, never fails: what cannot be sent is logged and dropped.
#[derive(Clone)]
pub struct EventRecorder(Arc<Shared>);

struct Shared {
    source: EventSource,
    clock: SharedClock,
    queue: Mutex<Queue>,
    added: Notify,
}

#[derive(Default)]
struct Queue {
    events: VecDeque<Event>,
    dropped: u64,
}

impl EventRecorder {
    /// Sends through `transport` from a task of `tasks`. `component` as upstream names it (`replicaset-controller`, `kubelet`, …);
    /// `host` is the node's name, empty for components of the control plane.
    pub fn new(
        transport: Arc<dyn Transport>,
        tasks: &Tasks,
        clock: SharedClock,
        random: Random,
        component: &str,
        host: &str,
    ) -> Self {
        let source = EventSource {
            component: Some(component.to_owned()),
            host: (!host.is_empty()).then(|| host.to_owned()),
        };
        let shared =
            Arc::new(Shared { source, clock: clock.clone(), queue: Mutex::default(), added: Notify::new() });
        let sender = Sender {
            api: Api::new(transport),
            correlator: Correlator::default(),
            clock,
            random,
            queue: shared.clone(),
        };
        tasks.spawn_until_shutdown(sender.run());
        EventRecorder(shared)
    }

    /// Records an event about `object`.
    pub fn event(&self, object: &ObjectReference, kind: EventType, reason: &str, message: impl Into<String>) {
        let now = Time(self.0.clock.now());
        let event = Event {
            metadata: ObjectMeta {
                namespace: Some(
                    object.namespace.clone().filter(|n| !n.is_empty()).unwrap_or("default".into()),
                ),
                ..ObjectMeta::default()
            },
            involved_object: object.clone(),
            reason: Some(reason.to_owned()),
            message: Some(message.into()),
            type_: Some(kind.as_str().to_owned()),
            source: Some(self.0.source.clone()),
            reporting_component: self.0.source.component.clone(),
            reporting_instance: Some(self.0.source.host.clone().unwrap_or_default()),
            first_timestamp: Some(now.clone()),
            last_timestamp: Some(now),
            count: Some(1),
            ..Event::default()
        };
        let mut queue = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.events.len() == QUEUE_MAX {
            queue.events.pop_front();
            queue.dropped += 1;
        }
        queue.events.push_back(event);
        drop(queue);
        self.0.added.notify_one();
    }

    /// As [`EventRecorder::event`], of type Normal, about a typed object.
    pub fn normal<K: Kind>(&self, object: &K, reason: &str, message: impl Into<String>) {
        self.event(&reference(object), EventType::Normal, reason, message);
    }

    /// As [`EventRecorder::event`], of type Warning, about a typed object.
    pub fn warning<K: Kind>(&self, object: &K, reason: &str, message: impl Into<String>) {
        self.event(&reference(object), EventType::Warning, reason, message);
    }
}

/// A reference to an object as it is now.
pub fn reference<K: Kind>(object: &K) -> ObjectReference {
    let meta = object.meta();
    ObjectReference {
        api_version: Some(K::API_VERSION.to_owned()),
        kind: Some(K::KIND.to_owned()),
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        field_path: None,
    }
}

/// The task behind a recorder.
struct Sender {
    api: Api<Event>,
    correlator: Correlator,
    clock: SharedClock,
    random: Random,
    queue: Arc<Shared>,
}

impl Sender {
    async fn run(mut self) {
        loop {
            let event = self.next().await;
            let now = self.clock.now();
            if let Some(outcome) = self.correlator.correlate(event, now) {
                self.deliver(outcome).await;
            }
        }
    }

    async fn next(&self) -> Event {
        loop {
            let (event, dropped) = {
                let mut queue = self.queue.queue.lock().unwrap_or_else(PoisonError::into_inner);
                (queue.events.pop_front(), std::mem::take(&mut queue.dropped))
            };
            if dropped > 0 {
                tracing::warn!(dropped, "events came faster than they could be sent");
            }
            match event {
                Some(event) => return event,
                None => self.queue.added.notified().await,
            }
        }
    }

    async fn deliver(&mut self, mut outcome: Outcome) {
        for attempt in 1..=TRIES {
            match self.send(&mut outcome).await {
                Ok(stored) => return self.correlator.stored(&outcome.key, stored),
                Err(status) if is_final(&status) => {
                    tracing::warn!(
                        object = ?outcome.event.involved_object.name, reason = ?outcome.event.reason,
                        "the API refuses an event: {status}"
                    );
                    return;
                }
                Err(status) if attempt < TRIES => {
                    tracing::debug!("cannot send an event, will retry: {status}");
                    let jitter = Duration::from_millis(self.random.below(1000));
                    // The first waits differ, so that components do not all come back together.
                    let wait = if attempt == 1 { jitter * 10 } else { RETRY_AFTER + jitter };
                    self.clock.sleep(wait).await;
                }
                Err(status) => tracing::error!("cannot send an event, giving up: {status}"),
            }
        }
    }

    /// Creates, or raises the count of the one that is there.
    async fn send(&self, outcome: &mut Outcome) -> Result<Event, Status> {
        if let Some(name) = &outcome.existing {
            let event = &outcome.event;
            let patch = serde_json::json!({
                "count": event.count,
                "lastTimestamp": event.last_timestamp,
                "message": event.message,
            });
            match self.api.patch(event.namespace(), name, PatchType::Strategic, &patch).await {
                // It has expired: start over.
                Err(e) if e.is_not_found() => outcome.existing = None,
                result => return result,
            }
        }
        let event = &mut outcome.event;
        if event.metadata.name.is_none() {
            let object = event.involved_object.name.as_deref().unwrap_or_default();
            // Nanoseconds in upstream; a random number cannot collide within one clock tick.
            let nanos = self.clock.now().as_nanosecond() as u64 ^ (self.random.next_u64() >> 44);
            event.metadata.name = Some(format!("{object}.{nanos:x}"));
        }
        match self.api.create(event).await {
            // Our own create got through although its answer did not.
            Err(e) if e.is_already_exists() => Ok(event.clone()),
            result => result,
        }
    }
}

/// The API has judged; trying again would not help.
fn is_final(status: &Status) -> bool {
    matches!(status.code, 400..=499) && status.code != 429
}

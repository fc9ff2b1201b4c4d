//! What becomes of an event before it is sent: nothing (spam), a higher count on one that exists, or a new one, perhaps in the
//! name of many similar ones. Upstream's EventCorrelator.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;

/// Objects (and events) remembered at most.
const REMEMBERED_MAX: usize = 4096;
/// Events about one object that pass at once, and how often another may.
const SPAM_BURST: f64 = 25.0;
const SPAM_REFILL_SECONDS: f64 = 300.0;
/// So many similar events within the interval become one.
const SIMILAR_MAX: usize = 10;
const SIMILAR_INTERVAL_SECONDS: i64 = 600;

/// An event to send.
#[derive(Debug)]
pub(super) struct Outcome {
    /// What the event is remembered by.
    pub key: String,
    pub event: Event,
    /// The stored event whose count to raise.
    pub existing: Option<String>,
}

#[derive(Default)]
pub(super) struct Correlator {
    spam: Remembered<String, Bucket>,
    similar: Remembered<String, Similar>,
    sent: Remembered<String, Sent>,
}

struct Bucket {
    tokens: f64,
    refilled: Timestamp,
}

struct Similar {
    messages: HashSet<String>,
    last: Timestamp,
}

struct Sent {
    name: String,
    count: i32,
    first: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>,
}

impl Correlator {
    /// `None`: one too many about this object.
    pub(super) fn correlate(&mut self, mut event: Event, now: Timestamp) -> Option<Outcome> {
        if !self.within_budget(&event, now) {
            return None;
        }
        let similar = similar_key(&event);
        let message = event.message.clone().unwrap_or_default();
        let mut key = format!("{similar}\0{message}");
        if self.too_many_similar(similar.clone(), &message, now) {
            event.message = Some(format!("(combined from similar events): {message}"));
            key = similar;
        }
        let existing = self.sent.get(&key).map(|sent| {
            sent.count += 1;
            event.count = Some(sent.count);
            event.first_timestamp = sent.first.clone();
            sent.name.clone()
        });
        Some(Outcome { key, event, existing })
    }

    /// What the API made of an outcome.
    pub(super) fn stored(&mut self, key: &str, event: Event) {
        let sent = Sent {
            name: event.metadata.name.unwrap_or_default(),
            count: event.count.unwrap_or(1),
            first: event.first_timestamp,
        };
        self.sent.insert(key.to_owned(), sent);
    }

    fn within_budget(&mut self, event: &Event, now: Timestamp) -> bool {
        let bucket = self.spam.entry(object_key(event), || Bucket { tokens: SPAM_BURST, refilled: now });
        let elapsed = now.duration_since(bucket.refilled).as_secs_f64().max(0.0);
        bucket.tokens = (bucket.tokens + elapsed / SPAM_REFILL_SECONDS).min(SPAM_BURST);
        bucket.refilled = now;
        if bucket.tokens < 1.0 {
            return false;
        }
        bucket.tokens -= 1.0;
        true
    }

    fn too_many_similar(&mut self, key: String, message: &str, now: Timestamp) -> bool {
        let similar = self.similar.entry(key, || Similar { messages: HashSet::new(), last: now });
        if now.duration_since(similar.last).as_secs() > SIMILAR_INTERVAL_SECONDS {
            similar.messages.clear();
        }
        similar.last = now;
        similar.messages.insert(message.to_owned());
        if similar.messages.len() < SIMILAR_MAX {
            return false;
        }
        // Remember enough to stay over the limit, and no more.
        if let Some(old) = similar.messages.iter().find(|m| *m != message).cloned() {
            similar.messages.remove(&old);
        }
        true
    }
}

fn object_key(event: &Event) -> String {
    let source = event.source.clone().unwrap_or_default();
    let o = &event.involved_object;
    [&source.component, &source.host, &o.kind, &o.namespace, &o.name, &o.uid, &o.api_version]
        .map(|part| part.as_deref().unwrap_or_default())
        .join("\0")
}

fn similar_key(event: &Event) -> String {
    let field = event.involved_object.field_path.as_deref().unwrap_or_default();
    let [kind, reason] = [&event.type_, &event.reason].map(|p| p.as_deref().unwrap_or_default());
    format!("{}\0{field}\0{kind}\0{reason}", object_key(event))
}

/// A map that forgets its oldest entries.
struct Remembered<K, V> {
    map: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Remembered { map: HashMap::new(), order: VecDeque::new() }
    }
}

impl<K: Clone + Eq + Hash, V> Remembered<K, V> {
    fn get(&mut self, key: &K) -> Option<&mut V> {
        self.map.get_mut(key)
    }

    fn insert(&mut self, key: K, value: V) {
        if self.map.insert(key.clone(), value).is_none() {
            self.order.push_back(key);
            if self.order.len() > REMEMBERED_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.map.remove(&oldest);
            }
        }
    }

    fn entry(&mut self, key: K, new: impl FnOnce() -> V) -> &mut V {
        if !self.map.contains_key(&key) {
            self.insert(key.clone(), new());
        }
        // Inserted above, and only the oldest entry is ever pushed out.
        self.map.entry(key).or_insert_with(|| unreachable!("just inserted"))
    }
}

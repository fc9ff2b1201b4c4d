//! Second encodings of objects: made once for each object as it is at one revision, shared by everyone who reads it, in
//! bounded memory.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use apimachinery::{Gvk, Status};
use bytes::Bytes;
use codec::protobuf::Message;

/// Bytes that may be kept, sources included: two generations of half of it.
const KEPT: usize = 96 << 20;
/// Readers of different objects rarely wait for each other.
const SHARDS: usize = 16;

/// Protobuf messages by the JSON that they were made of.
#[derive(Debug, Default)]
pub struct Encodings {
    shards: [Mutex<Generations>; SHARDS],
}

/// When the younger is full, the elder is dropped.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<usize, Entry>,
    old: HashMap<usize, Entry>,
    /// Of the younger.
    bytes: usize,
}

/// While the source is kept here, nothing else can be at its address: the address names it.
#[derive(Clone, Debug)]
struct Entry {
    source: Bytes,
    message: Bytes,
}

/// The type of `gvk`, if it has a protobuf form.
pub fn message_of(gvk: &Gvk) -> Option<Message> {
    Message::named(&gvk.group, &gvk.version, &gvk.kind)
}

impl Encodings {
    /// The message of an object whose JSON is `json`, which must be shared by all who read the object.
    pub fn message(&self, of: Message, json: &Bytes) -> Result<Bytes, Status> {
        let address = json.as_ptr() as usize;
        let shard = &self.shards[(address >> 6) % SHARDS];
        let lock = || shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(message) = lock().get(address, json.len()) {
            return Ok(message);
        }
        let message = Bytes::from(of.message(json)?);
        lock().insert(address, Entry { source: json.clone(), message: message.clone() });
        Ok(message)
    }
}

impl Generations {
    fn get(&mut self, address: usize, length: usize) -> Option<Bytes> {
        let same = |entry: &&Entry| entry.source.len() == length;
        if let Some(entry) = self.young.get(&address).filter(same) {
            return Some(entry.message.clone());
        }
        let entry = self.old.get(&address).filter(same)?.clone();
        let message = entry.message.clone();
        self.insert(address, entry);
        Some(message)
    }

    fn insert(&mut self, address: usize, entry: Entry) {
        let size = |entry: &Entry| entry.source.len() + entry.message.len();
        if self.bytes + size(&entry) > KEPT / SHARDS / 2 {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        self.bytes += size(&entry);
        if let Some(replaced) = self.young.insert(address, entry) {
            self.bytes -= size(&replaced);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_encoded_once() {
        let of = Message::named("", "v1", "ConfigMap").unwrap();
        let encodings = Encodings::default();
        let json = Bytes::from_static(br#"{"metadata":{"name":"a"},"data":{"k":"v"}}"#);
        let first = encodings.message(of, &json).unwrap();
        assert_eq!(first, of.message(&json).unwrap());
        assert_eq!(encodings.message(of, &json).unwrap().as_ptr(), first.as_ptr());
        // Part of the same memory is another object.
        let part = json.slice(..json.len() - 22);
        assert!(encodings.message(of, &part).is_err());
    }

    #[test]
    fn memory_is_bounded() {
        let of = Message::named("", "v1", "ConfigMap").unwrap();
        let encodings = Encodings::default();
        let text = "x".repeat(100_000);
        for n in 0..2_000 {
            let json = format!(r#"{{"metadata":{{"name":"a{n}"}},"data":{{"k":"{text}"}}}}"#);
            encodings.message(of, &json.into()).unwrap();
        }
        let kept = |entries: &HashMap<usize, Entry>| -> usize {
            entries.values().map(|e| e.source.len() + e.message.len()).sum()
        };
        let all = encodings.shards.iter().map(|shard| {
            let shard = shard.lock().unwrap();
            kept(&shard.young) + kept(&shard.old)
        });
        assert!(all.sum::<usize>() <= KEPT);
    }
}

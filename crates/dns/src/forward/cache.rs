//! Others' answers, kept as long as they allow, and not too many of them.

use std::collections::HashMap;
use std::mem;
use std::time::Duration;

use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::{DNSClass, LowerName, RData, Record, RecordType};

use crate::zone::Answer;

/// Answers kept in each of two generations.
const GENERATION_MAX: usize = 2_000;
/// Longer ones are rare, and not worth their room.
const RECORDS_MAX: usize = 64;
/// However long they allow: mistakes in the world's zones should be able to end.
const KEEP_MAX: Duration = Duration::from_secs(300);
const KEEP_NOTHING_MAX: Duration = Duration::from_secs(30);

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    name: LowerName,
    kind: RecordType,
    class: DNSClass,
    dnssec: bool,
}

impl Key {
    pub fn new(query: &Query, dnssec: bool) -> Self {
        let name = LowerName::new(query.name());
        Key { name, kind: query.query_type(), class: query.query_class(), dnssec }
    }
}

struct Entry {
    stored: Duration,
    until: Duration,
    answer: Answer,
}

/// Two generations: what is asked for stays in the young one; when that is full it becomes the old one, and the old one goes.
#[derive(Default)]
pub struct Cache {
    young: HashMap<Key, Entry>,
    old: HashMap<Key, Entry>,
}

impl Cache {
    /// With the time that has passed taken off.
    pub fn get(&mut self, key: &Key, now: Duration) -> Option<Answer> {
        if let Some(entry) = self.old.remove(key) {
            self.insert(key.clone(), entry);
        }
        let entry = self.young.get(key)?;
        if now >= entry.until {
            self.young.remove(key);
            return None;
        }
        let age = (now - entry.stored).as_secs() as u32;
        let mut answer = entry.answer.clone();
        for record in sections(&mut answer) {
            record.decrement_ttl(age);
        }
        Some(answer)
    }

    /// Keeps what may be kept.
    pub fn put(&mut self, key: Key, answer: &Answer, now: Duration) {
        let Some(keep) = lifetime(answer).filter(|t| !t.is_zero()) else { return };
        self.insert(key, Entry { stored: now, until: now + keep, answer: answer.clone() });
    }

    fn insert(&mut self, key: Key, entry: Entry) {
        if self.young.len() >= GENERATION_MAX {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(key, entry);
    }
}

fn sections(answer: &mut Answer) -> impl Iterator<Item = &mut Record> {
    answer.answers.iter_mut().chain(&mut answer.authorities).chain(&mut answer.additionals)
}

/// RFC 2181 and 2308: the least that any of its records says, or the zone's word on what does not exist.
fn lifetime(answer: &Answer) -> Option<Duration> {
    let all = || answer.answers.iter().chain(&answer.authorities).chain(&answer.additionals);
    if !matches!(answer.code, ResponseCode::NoError | ResponseCode::NXDomain) || all().count() > RECORDS_MAX {
        return None;
    }
    let least = Duration::from_secs(all().map(|r| r.ttl).min()?.into());
    let zone = answer.authorities.iter().find_map(|r| match &r.data {
        RData::SOA(soa) => Some(Duration::from_secs(soa.minimum.into())),
        _ => None,
    });
    if answer.code == ResponseCode::NXDomain || answer.answers.is_empty() {
        return Some(zone?.min(least).min(KEEP_NOTHING_MAX));
    }
    Some(least.min(KEEP_MAX))
}

#[cfg(test)]
mod tests;

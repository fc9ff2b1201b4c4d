use std::time::Duration;

use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::rdata::{A, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::{Cache, GENERATION_MAX, Key};
use crate::zone::Answer;

fn key(name: &str) -> Key {
    Key::new(&Query::query(Name::from_ascii(name).unwrap(), RecordType::A), false)
}

fn address(ttl: u32) -> Answer {
    let record = Record::from_rdata(Name::root(), ttl, RData::A(A([192, 0, 2, 9].into())));
    Answer { answers: vec![record], ..Answer::code(ResponseCode::NoError) }
}

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

#[test]
fn answers_age_and_end() {
    let mut cache = Cache::default();
    cache.put(key("a."), &address(60), secs(100));
    let ttl = |cache: &mut Cache, at| cache.get(&key("A."), secs(at)).map(|a| a.answers[0].ttl);
    assert_eq!(ttl(&mut cache, 100), Some(60));
    assert_eq!(ttl(&mut cache, 159), Some(1));
    assert_eq!(ttl(&mut cache, 160), None);
    assert!(cache.get(&key("b."), secs(100)).is_none());
}

#[test]
fn only_what_may_be_kept_is() {
    let kept_for = |answer: &Answer| {
        let mut cache = Cache::default();
        cache.put(key("a."), answer, secs(0));
        (0..400).take_while(|s| cache.get(&key("a."), secs(*s)).is_some()).count()
    };
    assert_eq!(kept_for(&address(0)), 0);
    assert_eq!(kept_for(&Answer { code: ResponseCode::ServFail, ..address(60) }), 0);
    assert_eq!(kept_for(&Answer::code(ResponseCode::NXDomain)), 0, "without the zone's word");
    let nothing = |ttl, minimum| {
        let soa = SOA::new(Name::root(), Name::root(), 1, 1, 1, 1, minimum);
        let soa = Record::from_rdata(Name::root(), ttl, RData::SOA(soa));
        Answer { authorities: vec![soa], ..Answer::code(ResponseCode::NXDomain) }
    };
    assert_eq!(kept_for(&nothing(3600, 7)), 7);
    assert_eq!(kept_for(&nothing(3, 7)), 3);
    assert_eq!(kept_for(&nothing(3600, 3600)), 30);
    assert_eq!(kept_for(&address(86400)), 300);
}

#[test]
fn there_is_a_bound_and_what_is_used_stays() {
    let mut cache = Cache::default();
    cache.put(key("used."), &address(60), secs(0));
    for i in 0..5 * GENERATION_MAX {
        cache.put(key(&format!("n{i}.")), &address(60), secs(0));
        if i % 500 == 0 {
            assert!(cache.get(&key("used."), secs(0)).is_some(), "after {i}");
        }
    }
    assert!(cache.young.len() + cache.old.len() <= 2 * GENERATION_MAX + 1);
    assert!(cache.get(&key("n0."), secs(0)).is_none());
}

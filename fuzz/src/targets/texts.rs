//! Texts and packets of a few bytes.

use std::collections::BTreeMap;

use apimachinery::quantity::Quantity;
use apimachinery::selector::{FieldSelector, Selector};
use apiserver::pipeline::params::Params;
use apiserver::pipeline::path::Path;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use registry::continuation::Token;
use resources::batch::schedule::Schedule;

use super::told;

fn text(input: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(input)
}

/// A page's token; one that is read says the same when it is written and read again.
pub fn continuation(input: &[u8]) -> String {
    match Token::decode(&text(input)) {
        Ok(token) => {
            assert_eq!(Token::decode(&token.encode()).ok().as_ref(), Some(&token));
            "a token".into()
        }
        Err(status) => status.message,
    }
}

/// A schedule, and when it is due next.
pub fn cron(input: &[u8]) -> String {
    let schedule = match Schedule::parse(&text(input)) {
        Ok(schedule) => schedule,
        Err(e) => return e,
    };
    for start in [Timestamp::UNIX_EPOCH, Timestamp::MAX, Timestamp::MIN] {
        if let Some(next) = schedule.next(start, &TimeZone::UTC) {
            assert!(next > start, "{next} is not after {start}");
        }
    }
    "a schedule".into()
}

pub fn dns(input: &[u8]) -> String {
    let reply = dns::refuse(input);
    match reply.get(3) {
        None => "no answer".into(),
        Some(flags) => {
            assert_eq!(reply[..2], input[..2], "the answer has the question's number");
            // Digits do not make another sort of answer.
            ["none", "formerr", "servfail", "nxdomain", "notimp", "refused"]
                .get(usize::from(flags & 0xf))
                .copied()
                .unwrap_or("another code")
                .into()
        }
    }
}

/// A URL: its path and its query.
pub fn path(input: &[u8]) -> String {
    let text = text(input);
    let (path, query) = text.split_once('?').unwrap_or((&text, ""));
    let sort = match Path::parse(path) {
        Path::Other(_) => "other".to_owned(),
        Path::Resource(r) => {
            let parts = [&r.group, &r.namespace, &r.name, &r.subresource, &r.rest];
            let filled = |part: &&String| if part.is_empty() { 'n' } else { 'y' };
            format!("resource {}", parts.iter().map(filled).collect::<String>())
        }
    };
    match Params::parse(query) {
        Ok(_) => sort,
        Err(status) => status.message,
    }
}

/// An amount: what is printed is read as the same, and sums do not overflow.
pub fn quantity(input: &[u8]) -> String {
    let quantity = match Quantity::parse(&text(input)) {
        Ok(quantity) => quantity,
        Err(e) => return e.to_string(),
    };
    let printed = quantity.to_string();
    assert_eq!(Quantity::parse(&printed).ok().map(|q| q.to_string()), Some(printed.clone()), "{printed}");
    let _ = (quantity.value(), quantity.milli_value(), quantity.exact_value(), quantity.approximate());
    for scale in [-9, 0, 3, 30] {
        let _ = (quantity.scaled(scale), quantity.round_up(scale));
    }
    let same = quantity;
    let _ = (quantity + same, -quantity, quantity - same, quantity.cmp(&Quantity::ZERO));
    format!("{:?}", quantity.format())
}

/// Selectors of labels and of fields: printed and read again they mean the same.
pub fn selector(input: &[u8]) -> String {
    let text = text(input);
    let labels: BTreeMap<String, String> =
        [("app", "web"), ("tier", ""), ("example.com/n", "5")].map(|(k, v)| (k.into(), v.into())).into();
    let by_label = Selector::parse(&text);
    if let Ok(selector) = &by_label {
        let again = Selector::parse(&selector.to_string());
        let again = again.unwrap_or_else(|e| panic!("{selector} is not read again: {e}"));
        assert_eq!(again.matches(&labels), selector.matches(&labels), "{selector}");
    }
    let by_field = FieldSelector::parse(&text);
    if let Ok(selector) = &by_field {
        let _ = selector.requires_exact("metadata.name");
    }
    format!("{} {}", told(by_label), told(by_field))
}

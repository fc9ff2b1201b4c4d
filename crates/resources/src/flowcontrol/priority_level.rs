//! Priority levels: how much of the server's concurrency their requests get, and what becomes of those beyond it.

use apimachinery::field::{Error, ErrorList, Path, Raw};
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::flowcontrol::v1::{
    ExemptPriorityLevelConfiguration, LimitResponse, LimitedPriorityLevelConfiguration,
    PriorityLevelConfiguration, PriorityLevelConfigurationStatus, QueuingConfiguration,
};
use serde_json::{Value, json};

use super::bootstrap::{self, EXEMPT};
use crate::check::{known, one};
use crate::columns::{AGE, NAME, text};
use crate::strategy::{Column, Part, age};
use crate::{desired, fill};

#[cfg(test)]
mod tests;

const SHARES_DEFAULT: i32 = 30;
const HAND_SIZE_DEFAULT: i32 = 8;
const QUEUES_DEFAULT: i32 = 64;
const QUEUE_LENGTH_DEFAULT: i32 = 50;
const QUEUES_MAX: i32 = 10_000_000;
/// A hand is dealt by a hash of so many bits.
const HASH_BITS: u32 = 60;

/// The rules of priority levels.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = PriorityLevelConfiguration;

    fn default(&self, level: &mut PriorityLevelConfiguration) {
        if let Some(exempt) = &mut level.spec.exempt {
            exempt.nominal_concurrency_shares.get_or_insert(0);
            exempt.lendable_percent.get_or_insert(0);
        }
        let Some(limited) = &mut level.spec.limited else { return };
        limited.nominal_concurrency_shares.get_or_insert(SHARES_DEFAULT);
        limited.lendable_percent.get_or_insert(0);
        if let Some(queuing) = &mut limited.limit_response.queuing {
            fill::number(&mut queuing.hand_size, HAND_SIZE_DEFAULT);
            fill::number(&mut queuing.queues, QUEUES_DEFAULT);
            fill::number(&mut queuing.queue_length_limit, QUEUE_LENGTH_DEFAULT);
        }
    }

    fn prepare_create(&self, level: &mut PriorityLevelConfiguration) {
        level.status = Some(PriorityLevelConfigurationStatus::default());
        level.metadata.generation = Some(1);
    }

    fn prepare_update(
        &self,
        new: &mut PriorityLevelConfiguration,
        old: &PriorityLevelConfiguration,
        part: Part,
    ) {
        match part {
            Part::Status => {
                new.spec.clone_from(&old.spec);
                desired::keep_metadata(new, old);
            }
            _ => {
                new.status.clone_from(&old.status);
                desired::bump_generation(new, old, "spec");
            }
        }
    }

    fn reset_fields(&self, part: Part) -> &'static [&'static str] {
        match part {
            Part::Main => &["status"],
            _ => &["spec", "metadata"],
        }
    }

    fn validate(&self, level: &PriorityLevelConfiguration) -> ErrorList {
        let mut errs = spec_errors(level, &Path::new("spec"));
        errs.extend(fixed_errors(level));
        errs.extend(condition_errors(level));
        errs
    }

    fn validate_update(
        &self,
        new: &PriorityLevelConfiguration,
        _: &PriorityLevelConfiguration,
        part: Part,
    ) -> ErrorList {
        match part {
            Part::Status => condition_errors(new),
            _ => self.validate(new),
        }
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            text("Type", "Whether its requests are limited."),
            text("NominalConcurrencyShares", "Its part of the server's concurrency."),
            text("Queues", "Into how many queues its flows are dealt."),
            text("HandSize", "How many of them a flow may use."),
            text("QueueLengthLimit", "How many requests wait in one at most."),
            AGE,
        ];
        COLUMNS
    }

    fn row(&self, level: &PriorityLevelConfiguration, now: Timestamp) -> Vec<Value> {
        let limited = level.spec.limited.as_ref();
        let queuing = limited.and_then(|l| l.limit_response.queuing.as_ref());
        let shown = |number: Option<Option<i32>>| match number {
            Some(number) => json!(number.unwrap_or(0)),
            None => json!("<none>"),
        };
        vec![
            json!(level.name()),
            json!(level.spec.type_),
            shown(limited.map(|l| l.nominal_concurrency_shares)),
            shown(queuing.map(|q| q.queues)),
            shown(queuing.map(|q| q.hand_size)),
            shown(queuing.map(|q| q.queue_length_limit)),
            json!(age(&level.metadata, now)),
        ]
    }
}

/// The mandatory levels stay what they are, but for the shares of the exempt one.
fn fixed_errors(level: &PriorityLevelConfiguration) -> ErrorList {
    let name = level.name();
    let all = bootstrap::priority_levels();
    let Some(fixed) = all.into_iter().find(|l| l.name() == name && bootstrap::is_mandatory(name)) else {
        return ErrorList::new();
    };
    let mut compared = level.clone();
    if name == EXEMPT {
        compared.spec.exempt.clone_from(&fixed.spec.exempt);
    }
    let but = if name == EXEMPT { " except the 'spec.exempt' field" } else { "" };
    one(desired::changed(&compared, &fixed, "spec"), || {
        let why = format!("spec of '{name}'{but} must equal the fixed value");
        Error::invalid(&Path::new("spec"), Raw(json!(level.spec).to_string()), why)
    })
}

fn condition_errors(level: &PriorityLevelConfiguration) -> ErrorList {
    let all = level.status.iter().flat_map(|s| s.conditions.iter().flatten());
    condition_types(&all.map(|c| &*c.type_).collect::<Vec<_>>())
}

/// Rules for the types of a status's conditions, for both kinds of the group.
pub(super) fn condition_types(kinds: &[&str]) -> ErrorList {
    let mut errs = ErrorList::new();
    for (i, kind) in kinds.iter().enumerate() {
        let path = Path::new("status").child("conditions").index(i).child("type");
        if kinds[..i].contains(kind) {
            errs.push(Error::duplicate(&path, *kind));
        }
        errs.extend(one(kind.is_empty(), || Error::required(&path, "must not be empty")));
    }
    errs
}

fn spec_errors(level: &PriorityLevelConfiguration, path: &Path) -> ErrorList {
    let spec = &level.spec;
    let mut errs = ErrorList::new();
    if (level.name() == EXEMPT) != (spec.type_ == "Exempt") {
        let why = "type must be 'Exempt' if and only if name is 'exempt'";
        errs.push(Error::invalid(&path.child("type"), &spec.type_, why));
    }
    let (limited, exempt) = (path.child("limited"), path.child("exempt"));
    match &*spec.type_ {
        "Exempt" => {
            if spec.limited.is_some() {
                errs.push(Error::forbidden(&limited, "must be nil if the type is not Limited"));
            }
            errs.extend(spec.exempt.as_ref().map(|e| exempt_errors(e, &exempt)).unwrap_or_default());
        }
        "Limited" => {
            if spec.exempt.is_some() {
                errs.push(Error::forbidden(&exempt, "must be nil if the type is Limited"));
            }
            errs.extend(match &spec.limited {
                None => one(true, || Error::required(&limited, "must not be empty when type is Limited")),
                Some(given) => limited_errors(given, &limited),
            });
        }
        other => errs.extend(known(&path.child("type"), other, &["Exempt", "Limited"])),
    }
    errs
}

fn exempt_errors(exempt: &ExemptPriorityLevelConfiguration, path: &Path) -> ErrorList {
    let mut errs = shares(exempt.nominal_concurrency_shares, path);
    errs.extend(lendable(exempt.lendable_percent, path));
    errs
}

fn shares(shares: Option<i32>, path: &Path) -> ErrorList {
    let shares = shares.unwrap_or(0);
    one(shares < 0, || {
        Error::invalid(&path.child("nominalConcurrencyShares"), shares, "must be a non-negative integer")
    })
}

fn lendable(percent: Option<i32>, path: &Path) -> ErrorList {
    let percent = percent.unwrap_or(0);
    one(!(0..=100).contains(&percent), || {
        Error::invalid(&path.child("lendablePercent"), percent, "must be between 0 and 100, inclusive")
    })
}

fn limited_errors(limited: &LimitedPriorityLevelConfiguration, path: &Path) -> ErrorList {
    let mut errs = shares(limited.nominal_concurrency_shares, path);
    errs.extend(response_errors(&limited.limit_response, &path.child("limitResponse")));
    errs.extend(lendable(limited.lendable_percent, path));
    if let Some(percent) = limited.borrowing_limit_percent.filter(|p| *p < 0) {
        let why = "if specified, must be a non-negative integer";
        errs.push(Error::invalid(&path.child("borrowingLimitPercent"), percent, why));
    }
    errs
}

fn response_errors(response: &LimitResponse, path: &Path) -> ErrorList {
    let queuing = path.child("queuing");
    match (&*response.type_, &response.queuing) {
        ("Reject", Some(_)) => one(true, || {
            Error::forbidden(&queuing, "must be nil if limited.limitResponse.type is not Limited")
        }),
        ("Queue", None) => one(true, || {
            Error::required(&queuing, "must not be empty if limited.limitResponse.type is Limited")
        }),
        ("Queue", Some(given)) => queuing_errors(given, &queuing),
        ("Reject", None) => ErrorList::new(),
        (other, _) => known(&path.child("type"), other, &["Queue", "Reject"]),
    }
}

fn queuing_errors(queuing: &QueuingConfiguration, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let (length, queues, hand) = (
        queuing.queue_length_limit.unwrap_or(0),
        queuing.queues.unwrap_or(0),
        queuing.hand_size.unwrap_or(0),
    );
    let mut wrong = |field: &str, value: i32, why: String| {
        errs.push(Error::invalid(&path.child(field), value, why));
    };
    if length <= 0 {
        wrong("queueLengthLimit", length, "must be positive".into());
    }
    if queues <= 0 {
        wrong("queues", queues, "must be positive".into());
    } else if queues > QUEUES_MAX {
        wrong("queues", queues, format!("must not be greater than {QUEUES_MAX}"));
    }
    let bits = entropy_bits(queues, hand);
    if hand <= 0 {
        wrong("handSize", hand, "must be positive".into());
    } else if hand > queues {
        wrong("handSize", hand, format!("should not be greater than queues ({queues})"));
    } else if bits > HASH_BITS {
        let why = format!(
            "required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {HASH_BITS}"
        );
        wrong("handSize", hand, why);
    }
    errs
}

/// How many bits of a hash it takes to deal `hand` of `deck` queues.
fn entropy_bits(deck: i32, hand: i32) -> u32 {
    let bits: f64 = (0..hand.min(deck)).map(|dealt| f64::from(deck - dealt).log2()).sum();
    bits.ceil() as u32
}

//! Server-side apply: the fields of a configuration go into an object, and those its manager let go of come out.

use serde_json::Value;

use super::{Comparison, Elsewhere, Entry, Operation, Writer, compare, finish, merge, set_of, update};
use crate::fieldset::{Element, FieldSet};
use crate::raw::Raw;
use crate::schema::Schema;
use crate::status::{Cause, Details, Status};

/// Owns what an object had before anyone tracked it.
const BEFORE: &str = "before-first-apply";

/// What an apply makes of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// Without managed fields.
    pub object: Value,
    pub entries: Vec<Entry>,
}

/// Why a configuration cannot be applied.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// The configuration itself is wrong; the text names the place.
    Invalid(String),
    /// Others own fields that it would change.
    Conflict(Box<Status>),
}

/// What becomes of fields that somebody else has.
#[derive(Clone, Copy, Debug)]
pub enum Conflicts<'a> {
    Refuse,
    /// They are taken over.
    Force,
    /// These are taken over, if there are no others.
    Excuse(&'a FieldSet),
}

/// Applies `config` to `live`, which is `{}` for a new object. Neither has managed fields; `entries` are those of `live`.
pub fn apply<'s, S: Schema<'s>>(
    mut entries: Vec<Entry>,
    live: &Value,
    config: &Value,
    schema: S,
    writer: &Writer<'_>,
    conflicts: Conflicts<'_>,
    elsewhere: &Elsewhere<'_>,
) -> Result<Applied, Refusal> {
    let (live_text, config_text) = (live.to_string(), config.to_string());
    let is_new = live.as_object().is_none_or(serde_json::Map::is_empty);
    if entries.is_empty() && !is_new {
        let before = Writer { manager: BEFORE, subresource: "", ..*writer };
        entries = update(entries, Raw::new("{}"), Raw::new(&live_text), schema, &before, elsewhere);
    }
    let ignored = writer.ignored_set();
    let wanted = set_of(Raw::new(&config_text), schema).recursive_difference(&ignored);
    let (own, mut others): (Vec<Entry>, Vec<Entry>) =
        entries.into_iter().partition(|e| writer.owns(e, Operation::Apply));
    let last = own.first().map(|e| e.fields.clone()).unwrap_or_default();

    let merged = merge::merge(live.clone(), config.clone(), Some(schema)).map_err(Refusal::Invalid)?;
    let kept = others.iter().fold(wanted.clone(), |all, e| all.union(&e.fields));
    let object = prune(merged, &last, &kept, Some(schema));
    let text = object.to_string();
    let difference = compare(Raw::new(&live_text), Raw::new(&text), schema).without(&ignored);
    let there = |version: &str| {
        let other = version != writer.api_version;
        other.then(|| elsewhere(version, Raw::new(&live_text), Raw::new(&text))).flatten()
    };
    settle(&mut others, &difference, &there, conflicts)?;

    let mut entry = Entry {
        manager: writer.manager.into(),
        operation: Operation::Apply,
        api_version: writer.api_version.into(),
        time: Some(writer.now),
        subresource: writer.subresource.into(),
        fields: wanted.difference(&super::SYSTEM_FIELDS),
    };
    let old = own.into_iter().next();
    let same_fields = |old: &Entry| old.fields == entry.fields && old.api_version == entry.api_version;
    if object == *live
        && let Some(old) = old.filter(same_fields)
    {
        // Nothing happened: not even the time changes.
        entry.time = old.time;
    }
    others.push(entry);
    Ok(Applied { object, entries: finish(others) })
}

/// Takes changed and removed fields from the others, or says that they have them. `there` is the difference as entries of
/// another version name it.
fn settle(
    others: &mut [Entry],
    difference: &Comparison,
    there: &dyn Fn(&str) -> Option<Comparison>,
    conflicts: Conflicts<'_>,
) -> Result<(), Refusal> {
    let mut found: Vec<(String, Vec<Element>)> = Vec::new();
    for entry in &mut *others {
        let elsewhere = there(&entry.api_version);
        let Comparison { added, modified, removed } = elsewhere.as_ref().unwrap_or(difference);
        let changed = added.union(modified);
        let paths = entry.fields.intersection(&changed).paths();
        found.extend(paths.into_iter().map(|path| (shown(entry), path)));
        entry.fields.remove_all(&changed);
        entry.fields.remove_all(removed);
    }
    match conflicts {
        Conflicts::Force => return Ok(()),
        Conflicts::Excuse(set) => found.retain(|(_, path)| !set.contains(path)),
        Conflicts::Refuse => {}
    }
    match &found[..] {
        [] => Ok(()),
        found => Err(Refusal::Conflict(Box::new(conflict(found)))),
    }
}

/// Removes what the manager applied before and nobody wants now.
fn prune<'s, S: Schema<'s>>(value: Value, last: &FieldSet, kept: &FieldSet, place: Option<S>) -> Value {
    if last.is_empty() {
        return value;
    }
    match value {
        Value::Object(fields) => {
            // Fields of structs count as applied when something below them was.
            let named = place.is_some_and(|p| matches!(p.shape(), crate::schema::Shape::Struct { .. }));
            let fields = fields.into_iter().filter_map(|(key, value)| {
                let element = Element::field(&key);
                let child = place.and_then(|p| p.field(&key));
                Some((key, prune_child(value, &element, named, (last, kept), child)?))
            });
            Value::Object(fields.collect())
        }
        Value::Array(items) => {
            let item = place.map(Schema::element);
            let items = items.into_iter().filter_map(|value| match merge::name(&value, place) {
                Some(element) => prune_child(value, &element, false, (last, kept), item),
                None => Some(value),
            });
            Value::Array(items.collect())
        }
        scalar => scalar,
    }
}

fn prune_child<'s, S: Schema<'s>>(
    value: Value,
    element: &Element,
    named: bool,
    (last, kept): (&FieldSet, &FieldSet),
    place: Option<S>,
) -> Option<Value> {
    let has =
        |set: &FieldSet| set.has(element) || (named && set.below(element).is_some_and(|s| !s.is_empty()));
    if has(last) && !has(kept) {
        return None;
    }
    let none = FieldSet::new();
    let below = |set| FieldSet::below(set, element).unwrap_or(&none);
    Some(prune(value, below(last), below(kept), place))
}

/// A manager as conflicts name it.
fn shown(entry: &Entry) -> String {
    let mut text = format!("{:?}", entry.manager);
    if !entry.subresource.is_empty() {
        text.push_str(&format!(" with subresource {:?}", entry.subresource));
    }
    if entry.operation == Operation::Update {
        text.push_str(&format!(" using {}", entry.api_version));
    }
    text
}

fn conflict(conflicts: &[(String, Vec<Element>)]) -> Status {
    let text = |path: &[Element]| path.iter().map(Element::to_string).collect::<String>();
    let message = match conflicts {
        [(manager, path)] => format!("Apply failed with 1 conflict: conflict with {manager}: {}", text(path)),
        many => {
            let mut managers: Vec<&String> = many.iter().map(|(manager, _)| manager).collect();
            managers.sort();
            managers.dedup();
            let lists: Vec<String> = managers
                .into_iter()
                .map(|manager| {
                    let paths = many.iter().filter(|(m, _)| m == manager);
                    let lines: String = paths.map(|(_, path)| format!("\n- {}", text(path))).collect();
                    format!("conflicts with {manager}:{lines}")
                })
                .collect();
            format!("Apply failed with {} conflicts: {}", many.len(), lists.join("\n"))
        }
    };
    let mut status = Status::failure(409, "Conflict", message);
    let causes = conflicts.iter().map(|(manager, path)| Cause {
        reason: "FieldManagerConflict".into(),
        message: format!("conflict with {manager}"),
        field: text(path),
    });
    status.details = Some(Box::new(Details { causes: causes.collect(), ..Details::default() }));
    status
}

//! What differs between two objects, as sets of paths.

use std::borrow::Cow;

use serde_json::Value;

use crate::fieldset::{Element, FieldSet};
use crate::raw::{Kind, Raw};
use crate::schema::{Keys, List, Schema, Shape};

/// Paths that are in one object only, and leaves whose values differ.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    pub added: FieldSet,
    pub modified: FieldSet,
    pub removed: FieldSet,
}

impl Comparison {
    /// Without what is at or below a path of `ignored`.
    #[must_use]
    pub fn without(self, ignored: &FieldSet) -> Self {
        if ignored.is_empty() {
            return self;
        }
        Comparison {
            added: self.added.recursive_difference(ignored),
            modified: self.modified.recursive_difference(ignored),
            removed: self.removed.recursive_difference(ignored),
        }
    }
}

/// Compares two objects of the type that `schema` describes.
pub fn compare<'s, S: Schema<'s>>(live: Raw<'_>, new: Raw<'_>, schema: S) -> Comparison {
    between(Some(live), Some(new), Some(schema)).inside
}

/// All paths of an object: its leaves, the elements of its lists, the keys of its maps.
pub fn set_of<'s, S: Schema<'s>>(object: Raw<'_>, schema: S) -> FieldSet {
    paths(object, Some(schema)).1
}

/// The difference at one place.
#[derive(Default)]
struct Difference {
    /// The place itself belongs to the set.
    added: bool,
    modified: bool,
    removed: bool,
    /// What is below it.
    inside: Comparison,
}

impl Difference {
    fn leaf(live: Option<Raw<'_>>, new: Option<Raw<'_>>) -> Self {
        let mut difference = Difference::default();
        match (live, new) {
            (None, _) => difference.added = true,
            (_, None) => difference.removed = true,
            (Some(live), Some(new)) => difference.modified = !live.equals(new),
        }
        difference
    }

    /// Adds what differs at and below an element; `element` is asked for only when something does.
    fn put(&mut self, element: impl FnOnce() -> Element, below: Difference) {
        let Comparison { added, modified, removed } = below.inside;
        let all = &mut self.inside;
        let mut changes = [
            (&mut all.added, below.added, added),
            (&mut all.modified, below.modified, modified),
            (&mut all.removed, below.removed, removed),
        ]
        .into_iter()
        .filter(|(_, member, set)| *member || !set.is_empty())
        .peekable();
        if changes.peek().is_none() {
            return;
        }
        let element = element();
        while let Some((set, member, below)) = changes.next() {
            if changes.peek().is_none() {
                set.insert_below(element, member, below);
                return;
            }
            set.insert_below(element.clone(), member, below);
        }
    }
}

/// Without a schema nothing is known, as in [`Shape::Unknown`]. At least one of the two is there.
fn between<'s, S: Schema<'s>>(live: Option<Raw<'_>>, new: Option<Raw<'_>>, place: Option<S>) -> Difference {
    if let (Some(live), Some(new)) = (live, new)
        && live.text() == new.text()
    {
        return Difference::default();
    }
    let empty = live.is_none_or(Raw::is_empty) && new.is_none_or(Raw::is_empty);
    let mut difference = match shape(place, live, new) {
        Form::Leaf => return Difference::leaf(live, new),
        _ if empty => return Difference::leaf(live, new),
        Form::Map => fields(live, new, place),
        Form::List(list) => elements(live, new, list, place),
        Form::Mixed => {
            let mut difference = match new.map(Raw::kind) {
                Some(Kind::Object) => fields(None, new, place),
                _ => Difference::default(),
            };
            difference.modified = true;
            return difference;
        }
    };
    difference.added |= live.is_none();
    difference.removed |= new.is_none();
    difference
}

/// How to go on at a place.
enum Form<'s> {
    Leaf,
    Map,
    List(List<'s>),
    /// Of no known type, and one kind of thing in the one object, another in the other.
    Mixed,
}

fn shape<'s, S: Schema<'s>>(place: Option<S>, live: Option<Raw<'_>>, new: Option<Raw<'_>>) -> Form<'s> {
    match place.map_or(Shape::Unknown, Schema::shape) {
        Shape::Scalar => Form::Leaf,
        Shape::Struct { atomic: true } | Shape::Map { atomic: true } | Shape::List(List::Atomic) => {
            Form::Leaf
        }
        Shape::Struct { .. } | Shape::Map { .. } => Form::Map,
        Shape::List(list) => Form::List(list),
        Shape::Unknown => {
            let kind = |raw: Option<Raw<'_>>| raw.map(|r| r.kind() == Kind::Object);
            match (kind(live), kind(new)) {
                (Some(false) | None, Some(false) | None) => Form::Leaf,
                (Some(true) | None, Some(true) | None) => Form::Map,
                _ => Form::Mixed,
            }
        }
    }
}

fn fields<'s, S: Schema<'s>>(live: Option<Raw<'_>>, new: Option<Raw<'_>>, place: Option<S>) -> Difference {
    let mut difference = Difference::default();
    let mut old: Vec<(Cow<'_, str>, Option<Raw<'_>>)> =
        live.into_iter().flat_map(Raw::fields).map(|(key, value)| (key, Some(value))).collect();
    let mut next = 0;
    for (key, value) in new.into_iter().flat_map(Raw::fields) {
        // Both are mostly written in the same order.
        let found = match old.get(next) {
            Some((k, _)) if *k == key => Some(next),
            _ => old.iter().position(|(k, _)| *k == key),
        };
        let before = found.and_then(|at| {
            next = at + 1;
            old[at].1.take()
        });
        field(&mut difference, &key, (before, Some(value)), (live, new), place);
    }
    for (key, value) in old {
        if value.is_some() {
            field(&mut difference, &key, (value, None), (live, new), place);
        }
    }
    difference
}

fn field<'s, S: Schema<'s>>(
    difference: &mut Difference,
    key: &str,
    (mut before, mut after): (Option<Raw<'_>>, Option<Raw<'_>>),
    (live, new): (Option<Raw<'_>>, Option<Raw<'_>>),
    place: Option<S>,
) {
    let child = place.and_then(|p| p.field(key));
    if let Some(zero) = child.and_then(Schema::zero) {
        before = before.or(live.map(|_| Raw::new(zero)));
        after = after.or(new.map(|_| Raw::new(zero)));
    }
    let below = between(before, after, child);
    difference.put(|| Element::field(key), below);
}

fn elements<'s, S: Schema<'s>>(
    live: Option<Raw<'_>>,
    new: Option<Raw<'_>>,
    list: List<'s>,
    place: Option<S>,
) -> Difference {
    let item = place.map(Schema::element);
    let mut old = named_elements(live, list, item).into_iter().peekable();
    let mut fresh = named_elements(new, list, item).into_iter().peekable();
    let mut difference = Difference::default();
    loop {
        let element = match (old.peek(), fresh.peek()) {
            (None, None) => return difference,
            (Some((a, _)), Some((b, _))) => a.min(b).clone(),
            (Some((one, _)), None) | (None, Some((one, _))) => one.clone(),
        };
        let mut before: Vec<Raw<'_>> = Vec::new();
        while let Some((_, raw)) = old.next_if(|(e, _)| *e == element) {
            before.push(raw);
        }
        let mut after: Vec<Raw<'_>> = Vec::new();
        while let Some((_, raw)) = fresh.next_if(|(e, _)| *e == element) {
            after.push(raw);
        }
        let below = match (&before[..], &after[..]) {
            ([] | [_], [] | [_]) => between(before.first().copied(), after.first().copied(), item),
            // Elements of the same name are one value together.
            _ => Difference {
                added: before.is_empty(),
                removed: after.is_empty(),
                modified: !before.is_empty() && !after.is_empty() && !same_all(&before, &after),
                ..Difference::default()
            },
        };
        difference.put(|| element, below);
    }
}

fn same_all(a: &[Raw<'_>], b: &[Raw<'_>]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(x, y)| x.equals(*y))
}

/// A list's elements with their names, sorted by them.
fn named_elements<'a, 's, S: Schema<'s>>(
    list: Option<Raw<'a>>,
    how: List<'s>,
    item: Option<S>,
) -> Vec<(Element, Raw<'a>)> {
    let items = list.into_iter().flat_map(Raw::items);
    let mut named: Vec<(Element, Raw<'a>)> = items.map(|raw| (name(raw, how, item), raw)).collect();
    if !named.is_sorted_by(|a, b| a.0 <= b.0) {
        named.sort_by(|a, b| a.0.cmp(&b.0));
    }
    named
}

/// What tells an element of a list from the others.
fn name<'s, S: Schema<'s>>(raw: Raw<'_>, how: List<'s>, item: Option<S>) -> Element {
    match how {
        List::Map(keys) => Element::Key(key_fields(|name| raw.get(name).map(Raw::value), keys, item)),
        List::Set | List::Atomic => Element::Value(raw.value()),
    }
}

/// The values of an element's key fields, with defaults for those it leaves out, in the order of their names.
pub(crate) fn key_fields<'s, S: Schema<'s>>(
    get: impl Fn(&str) -> Option<Value>,
    keys: Keys<'s>,
    item: Option<S>,
) -> Box<[(Box<str>, Value)]> {
    let mut fields: Vec<(Box<str>, Value)> = keys
        .iter()
        .map(|name| {
            let default = || item.and_then(|i| i.key_default(name)).map(|text| Raw::new(text).value());
            (name.into(), get(name).or_else(default).unwrap_or_default())
        })
        .collect();
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    fields.into()
}

/// Whether the value is a leaf, and the paths below it.
fn paths<'s, S: Schema<'s>>(raw: Raw<'_>, place: Option<S>) -> (bool, FieldSet) {
    let mut set = FieldSet::new();
    match shape(place, None, Some(raw)) {
        Form::Leaf | Form::Mixed => return (true, set),
        Form::Map => {
            let of_struct = matches!(place.map(Schema::shape), Some(Shape::Struct { .. }));
            for (key, value) in raw.fields() {
                let (leaf, below) = paths(value, place.and_then(|p| p.field(&key)));
                let nothing = value.is_null() || (value.kind() == Kind::Object && value.is_empty());
                set.insert_below(Element::field(&key), leaf || nothing || !of_struct, below);
            }
        }
        Form::List(list) => {
            let item = place.map(Schema::element);
            for (element, value) in named_elements(Some(raw), list, item) {
                let (_, below) = paths(value, item);
                set.insert_below(element, true, below);
            }
        }
    }
    (false, set)
}

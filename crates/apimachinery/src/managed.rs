//! Managed fields: who set which field last. Recorded on every write; the base of server-side apply.
//!
//! Contract: <https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>
//!
//! Paths are those of the version that an entry names: what a write changes is worked out anew for each other version
//! that has entries, through [`Elsewhere`].

mod apply;
mod compare;
mod merge;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use jiff::Timestamp;

pub use apply::{Applied, Conflicts, Refusal, apply};
pub use compare::{Comparison, compare, set_of};

use crate::fieldset::{Element, FieldSet};
use crate::raw::Raw;
use crate::schema::Schema;

/// More entries of updates than this are folded into one.
const UPDATE_MANAGERS_MAX: usize = 10;
/// The manager of the entry that they are folded into.
const FOLDED: &str = "ancient-changes";

/// How a manager came to its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    Apply,
    Update,
}

impl Operation {
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Apply => "Apply",
            Operation::Update => "Update",
        }
    }
}

/// One of `metadata.managedFields`.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub manager: String,
    pub operation: Operation,
    pub api_version: String,
    pub time: Option<Timestamp>,
    /// Empty for the main resource.
    pub subresource: String,
    pub fields: FieldSet,
}

/// Who writes, and when.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    pub manager: &'a str,
    /// The version that the request speaks.
    pub api_version: &'a str,
    /// Empty for the main resource.
    pub subresource: &'a str,
    /// Fields that this part of the resource cannot set, such as `status` or `metadata.labels`: changes there do not count.
    pub ignored: &'a [&'a str],
    pub now: Timestamp,
}

/// The difference of two objects of the writer's version, as another version shows it; `None` when nobody knows that
/// version, whose paths are then read as the writer's.
pub type Elsewhere<'a> = dyn Fn(&str, Raw<'_>, Raw<'_>) -> Option<Comparison> + 'a;

/// For kinds of one version.
pub fn nowhere(_: &str, _: Raw<'_>, _: Raw<'_>) -> Option<Comparison> {
    None
}

impl Writer<'_> {
    /// Whether `entry` is this writer's.
    fn owns(&self, entry: &Entry, operation: Operation) -> bool {
        entry.operation == operation
            && entry.manager == self.manager
            && entry.subresource == self.subresource
            && (operation == Operation::Apply || entry.api_version == self.api_version)
    }

    fn ignored_set(&self) -> FieldSet {
        let mut set = FieldSet::new();
        for path in self.ignored {
            set.insert(&path.split('.').map(Element::field).collect::<Vec<_>>());
        }
        set
    }
}

/// The entries after an update or patch that made `new` of `live` (`{}` for a new object): what changed is the writer's,
/// what went is nobody's.
pub fn update<'s, S: Schema<'s>>(
    mut entries: Vec<Entry>,
    live: Raw<'_>,
    new: Raw<'_>,
    schema: S,
    writer: &Writer<'_>,
    elsewhere: &Elsewhere<'_>,
) -> Vec<Entry> {
    let Comparison { added, modified: mut changed, removed } =
        compare(live, new, schema).without(&writer.ignored_set());
    changed.absorb(added);
    for entry in &mut entries {
        let there = (entry.api_version != writer.api_version)
            .then(|| elsewhere(&entry.api_version, live, new))
            .flatten();
        match there {
            None => {
                entry.fields.remove_all(&changed);
                entry.fields.remove_all(&removed);
            }
            Some(Comparison { added, modified, removed }) => {
                [added, modified, removed].iter().for_each(|gone| entry.fields.remove_all(gone));
            }
        }
    }
    changed.remove_all(&SYSTEM_FIELDS);
    if !changed.is_empty() {
        take(&mut entries, changed, writer);
    }
    finish(entries)
}

/// Adds `own` to the writer's entry and sets its time.
fn take(entries: &mut Vec<Entry>, own: FieldSet, writer: &Writer<'_>) {
    match entries.iter_mut().find(|e| writer.owns(e, Operation::Update)) {
        Some(entry) => {
            entry.fields.absorb(own);
            entry.time = Some(writer.now);
        }
        None => entries.push(Entry {
            manager: writer.manager.into(),
            operation: Operation::Update,
            api_version: writer.api_version.into(),
            time: Some(writer.now),
            subresource: writer.subresource.into(),
            fields: own,
        }),
    }
}

/// Without empty entries, not too many, in upstream's order.
pub(crate) fn finish(mut entries: Vec<Entry>) -> Vec<Entry> {
    for entry in &mut entries {
        entry.fields.remove_all(&SYSTEM_FIELDS);
    }
    entries.retain(|e| !e.fields.is_empty());
    sort(&mut entries);
    fold_oldest(&mut entries);
    entries
}

fn sort(entries: &mut [Entry]) {
    let seconds = |e: &Entry| e.time.map_or(0, |t| t.as_second());
    entries.sort_by(|a, b| {
        (a.operation, seconds(a), &a.manager, &a.api_version, &a.subresource).cmp(&(
            b.operation,
            seconds(b),
            &b.manager,
            &b.api_version,
            &b.subresource,
        ))
    });
}

/// Beyond the limit the oldest updates become one entry for each version.
fn fold_oldest(entries: &mut Vec<Entry>) {
    let updates = entries.iter().filter(|e| e.operation == Operation::Update).count();
    if updates <= UPDATE_MANAGERS_MAX {
        return;
    }
    let first = entries.len() - updates;
    let mut left = updates;
    let mut at = first;
    while left > UPDATE_MANAGERS_MAX && at < entries.len() {
        let entry = entries.remove(at);
        let folded =
            |e: &Entry| e.manager == FOLDED && e.api_version == entry.api_version && e.subresource.is_empty();
        match entries[first..].iter_mut().find(|e| folded(e)) {
            Some(bucket) => {
                bucket.fields.absorb(entry.fields);
                bucket.time = bucket.time.max(entry.time);
                left -= 1;
            }
            None => {
                let bucket = Entry { manager: FOLDED.into(), subresource: String::new(), ..entry };
                entries.insert(at, bucket);
                at += 1;
            }
        }
    }
    sort(entries);
}

/// What the system sets, which belongs to nobody.
static SYSTEM_FIELDS: LazyLock<FieldSet> = LazyLock::new(|| {
    const METADATA: &[&str] = &[
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
    ];
    let mut system = FieldSet::new();
    for name in ["apiVersion", "kind", "metadata"] {
        system.insert(&[Element::field(name)]);
    }
    for name in METADATA {
        system.insert(&[Element::field("metadata"), Element::field(name)]);
    }
    system
});

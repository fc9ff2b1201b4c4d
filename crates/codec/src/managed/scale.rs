//! Who owns the replicas of an object, as its scale shows it, and back.

use apimachinery::fieldset::{Element, FieldSet};
use apimachinery::managed::Entry;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;

use super::{entries, to_meta};

/// The version of the scale that is served.
const SCALE: &str = "autoscaling/v1";

fn replicas() -> [Element; 2] {
    [Element::field("spec"), Element::field("replicas")]
}

/// The managed fields of an object's scale: those entries that have the replicas, and nothing else of them.
pub fn of_scale(parent: &[ManagedFieldsEntry]) -> Option<Vec<ManagedFieldsEntry>> {
    let own = entries(parent).unwrap_or_default().into_iter().filter(|e| e.fields.contains(&replicas()));
    let own: Vec<Entry> =
        own.map(|entry| Entry { api_version: SCALE.into(), fields: only_replicas(), ..entry }).collect();
    to_meta(&own)
}

/// The managed fields of the object after its scale has `scale`'s: who lost the replicas there has lost them here.
pub fn of_scaled(
    parent: &[ManagedFieldsEntry],
    scale: &[ManagedFieldsEntry],
    api_version: &str,
) -> Option<Vec<ManagedFieldsEntry>> {
    let scale = entries(scale).unwrap_or_default();
    let mut all = entries(parent).unwrap_or_default();
    let same = |a: &Entry, b: &Entry| {
        (&a.manager, a.operation, &a.subresource) == (&b.manager, b.operation, &b.subresource)
    };
    for entry in &mut all {
        if !scale.iter().any(|s| same(s, entry)) {
            entry.fields.remove_all(&only_replicas());
        }
    }
    all.retain(|e| !e.fields.is_empty());
    for entry in scale.into_iter().filter(|e| e.fields.contains(&replicas())) {
        match all.iter_mut().find(|e| same(e, &entry)) {
            Some(known) => known.fields.absorb(only_replicas()),
            None => all.push(Entry { api_version: api_version.into(), fields: only_replicas(), ..entry }),
        }
    }
    to_meta(&all)
}

fn only_replicas() -> FieldSet {
    let mut set = FieldSet::new();
    set.insert(&replicas());
    set
}

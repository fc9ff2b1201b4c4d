//! Managed fields of built-in kinds: [`apimachinery::managed`] on decoded objects.

mod apply;
mod last_applied;
mod scale;
#[cfg(test)]
mod tests;
mod typed;

use apimachinery::fieldset::FieldSet;
use apimachinery::managed::{self, Elsewhere, Entry, Operation, Writer};
use apimachinery::raw::Raw;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, Time};

pub use apply::{Applied, Apply, apply};
pub use scale::{of_scale, of_scaled};
pub(crate) use typed::go_kind;

use crate::kind::AnyObject;
use crate::schema;

/// Records a create: what the object has is the writer's. To be called after defaulting, before admission.
pub fn created(object: &mut dyn AnyObject, writer: &Writer<'_>) {
    let given = object.object_meta_mut().managed_fields.take();
    let entries = entries(given.as_deref().unwrap_or_default()).unwrap_or_default();
    record(object, entries, "{}", writer, &managed::nowhere);
}

/// Records an update or patch of `old` that made `new`. To be called after defaulting, before admission.
pub fn updated(new: &mut dyn AnyObject, old: &dyn AnyObject, writer: &Writer<'_>, elsewhere: &Elsewhere<'_>) {
    let given = new.object_meta_mut().managed_fields.take();
    let entries = current(given.as_deref(), old.object_meta().managed_fields.as_deref(), writer);
    // An object that nobody tracks (it was reset, or is older than tracking) stays so until it is applied.
    if entries.is_empty() {
        return;
    }
    let live = String::from_utf8(old.encode()).unwrap_or_default();
    record(new, entries, &live, writer, elsewhere);
}

/// The entries that a write starts from: those it sends, if it sends any and may; else those of the stored object.
fn current(
    given: Option<&[ManagedFieldsEntry]>,
    stored: Option<&[ManagedFieldsEntry]>,
    writer: &Writer<'_>,
) -> Vec<Entry> {
    let stored = || entries(stored.unwrap_or_default()).unwrap_or_default();
    match given.unwrap_or_default() {
        _ if !writer.subresource.is_empty() => stored(),
        // One empty entry asks for a reset.
        [only] if *only == ManagedFieldsEntry::default() => Vec::new(),
        given => match entries(given) {
            Ok(entries) if !entries.is_empty() => entries,
            _ => stored(),
        },
    }
}

fn record(
    object: &mut dyn AnyObject,
    entries: Vec<Entry>,
    live: &str,
    writer: &Writer<'_>,
    elsewhere: &Elsewhere<'_>,
) {
    let Some(schema) = schema::of_kind(&object.object_gvk()) else { return };
    let new = String::from_utf8(object.encode()).unwrap_or_default();
    let entries = managed::update(entries, Raw::new(live), Raw::new(&new), schema, writer, elsewhere);
    object.object_meta_mut().managed_fields = to_meta(&entries);
}

/// `metadata.managedFields` as values. An entry that cannot be read spoils them all.
pub fn entries(from: &[ManagedFieldsEntry]) -> Result<Vec<Entry>, String> {
    from.iter().map(entry).collect()
}

fn entry(from: &ManagedFieldsEntry) -> Result<Entry, String> {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    match from.fields_type.as_deref().unwrap_or_default() {
        "FieldsV1" => {}
        "" => return Err("missing fieldsType in managed fields entry".into()),
        other => return Err(format!("invalid fieldsType {other:?} in managed fields entry")),
    }
    Ok(Entry {
        manager: text(&from.manager),
        operation: match from.operation.as_deref() {
            Some("Apply") => Operation::Apply,
            Some("Update") => Operation::Update,
            other => {
                return Err(format!("unsupported managed fields operation: {}", other.unwrap_or_default()));
            }
        },
        api_version: text(&from.api_version),
        time: from.time.as_ref().map(|t| t.0),
        subresource: text(&from.subresource),
        fields: match &from.fields_v1 {
            Some(fields) => FieldSet::from_value(&fields.0)?,
            None => FieldSet::new(),
        },
    })
}

/// Entries as `metadata.managedFields`.
pub fn to_meta(entries: &[Entry]) -> Option<Vec<ManagedFieldsEntry>> {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let entries: Vec<ManagedFieldsEntry> = entries
        .iter()
        .map(|e| ManagedFieldsEntry {
            manager: some(&e.manager),
            operation: some(e.operation.as_str()),
            api_version: some(&e.api_version),
            // Written with whole seconds, so they are kept that way.
            time: e.time.and_then(|t| jiff::Timestamp::from_second(t.as_second()).ok()).map(Time),
            subresource: some(&e.subresource),
            fields_type: Some("FieldsV1".into()),
            fields_v1: Some(FieldsV1(e.fields.to_value())),
        })
        .collect();
    (!entries.is_empty()).then_some(entries)
}

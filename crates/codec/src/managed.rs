//! Managed fields of built-in kinds: [`apimachinery::managed`] on decoded objects.

use apimachinery::fieldset::FieldSet;
use apimachinery::managed::{self, Applied, Entry, Operation, Refusal, Writer};
use apimachinery::raw::Raw;
use apimachinery::{Gvk, Status};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, Time};
use serde_json::Value;

use crate::decode::{Content, Strictness, decode};
use crate::kind::AnyObject;
use crate::schema;

#[cfg(test)]
mod tests;

/// Records a create: what the object has is the writer's. To be called after defaulting, before admission.
pub fn created(object: &mut dyn AnyObject, writer: &Writer<'_>) {
    let given = object.object_meta_mut().managed_fields.take();
    record(object, entries(given.as_deref().unwrap_or_default()).unwrap_or_default(), "{}", writer);
}

/// Records an update or patch of `old` that made `new`. To be called after defaulting, before admission.
pub fn updated(new: &mut dyn AnyObject, old: &dyn AnyObject, writer: &Writer<'_>) {
    let given = new.object_meta_mut().managed_fields.take();
    let entries = current(given.as_deref(), old.object_meta().managed_fields.as_deref(), writer);
    // An object that nobody tracks (it was reset, or is older than tracking) stays so until it is applied.
    if entries.is_empty() {
        return;
    }
    let live = String::from_utf8(old.encode()).unwrap_or_default();
    record(new, entries, &live, writer);
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

fn record(object: &mut dyn AnyObject, entries: Vec<Entry>, live: &str, writer: &Writer<'_>) {
    let Some(schema) = schema::of_kind(&object.object_gvk()) else { return };
    let new = String::from_utf8(object.encode()).unwrap_or_default();
    let entries = managed::update(entries, Raw::new(live), Raw::new(&new), schema, writer);
    object.object_meta_mut().managed_fields = to_meta(&entries);
}

/// `metadata.managedFields` as values. An entry that cannot be read spoils them all.
pub fn entries(from: &[ManagedFieldsEntry]) -> Result<Vec<Entry>, String> {
    from.iter().map(entry).collect()
}

fn entry(from: &ManagedFieldsEntry) -> Result<Entry, String> {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
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

/// Server-side apply of a body to the stored object, if there is one. What comes back is the whole new object as JSON,
/// managed fields included, not yet defaulted. Errors are in upstream's words: 400, 409, or a bare 500 for a body that does
/// not fit the type.
pub fn apply(
    gvk: &Gvk,
    live: Option<&dyn AnyObject>,
    body: &[u8],
    writer: &Writer<'_>,
    force: bool,
) -> Result<Vec<u8>, Status> {
    let schema =
        schema::of_kind(gvk).ok_or_else(|| Status::internal(format!("no tables for {}", gvk.kind)))?;
    let config = configuration(gvk, body)?;
    let (live, entries) = match live {
        Some(object) => stored(object)?,
        None => (Value::Object(serde_json::Map::new()), Vec::new()),
    };
    let applied = managed::apply(entries, &live, &config, schema, writer, force);
    let Applied { mut object, entries } = applied.map_err(|refusal| match refusal {
        Refusal::Conflict(status) => *status,
        Refusal::Invalid(why) => not_typed(gvk, &config, &why),
    })?;
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        let fields = serde_json::to_value(to_meta(&entries)).map_err(Status::internal)?;
        metadata.insert("managedFields".into(), fields);
    }
    Ok(object.to_string().into_bytes())
}

/// A body that is to be applied, checked against the kind's type.
fn configuration(gvk: &Gvk, body: &[u8]) -> Result<Value, Status> {
    let (text, repeated) = crate::yaml::to_json_strict(body)
        .map_err(|e| Status::bad_request(format!("error decoding YAML: {e}")))?;
    if let Some(repeated) = repeated.first() {
        return Err(Status::bad_request(format!("error decoding YAML: {repeated}")));
    }
    let decoded = decode(gvk, text.as_bytes(), Content::Json, Strictness::Warn)?;
    let config: Value = serde_json::from_slice(&decoded.json).map_err(Status::internal)?;
    if config.pointer("/metadata/managedFields").is_some_and(|f| !f.is_null()) {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    let unknown =
        decoded.warnings.iter().filter_map(|w| w.strip_prefix("unknown field \"")?.strip_suffix('"'));
    let errors: Vec<String> = unknown.map(|path| format!(".{path}: field not declared in schema")).collect();
    match &errors[..] {
        [] => Ok(config),
        [one] => Err(not_typed(gvk, &config, one)),
        many => Err(not_typed(gvk, &config, &format!("errors:\n  {}", many.join("\n  ")))),
    }
}

/// The stored object without its managed fields, and those.
fn stored(object: &dyn AnyObject) -> Result<(Value, Vec<Entry>), Status> {
    let mut object = object.clone_box();
    let fields = object.object_meta_mut().managed_fields.take().unwrap_or_default();
    let live = serde_json::from_slice(&object.encode()).map_err(Status::internal)?;
    Ok((live, entries(&fields).unwrap_or_default()))
}

fn not_typed(gvk: &Gvk, config: &Value, why: &str) -> Status {
    let text = |path: &str| config.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
    let (version, kind) = (gvk.api_version(), &gvk.kind);
    let about = format!("{namespace}/{name}; {version}, Kind={kind}");
    Status::failure(500, "", format!("failed to create typed patch object ({about}): {why}"))
}

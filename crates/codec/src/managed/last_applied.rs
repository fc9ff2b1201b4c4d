//! kubectl's annotation of what client-side apply wrote last: where kubectl turns to server-side apply, fields that are as
//! that annotation says are its own, and the annotation keeps up with what is applied.
//!
//! Contract: <https://kubernetes.io/docs/reference/using-api/server-side-apply/#migration-between-client-side-and-server-side-apply>

use apimachinery::Gvk;
use apimachinery::fieldset::FieldSet;
use apimachinery::managed::{Comparison, Writer, compare, set_of};
use apimachinery::raw::Raw;
use serde_json::Value;

use crate::schema::BuiltIn;

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// The only manager whose past is known.
const KUBECTL: &str = "kubectl";
/// All annotations of an object together.
const ANNOTATIONS_MAX: usize = 256 * 1024;

fn annotations(object: &Value) -> Option<&serde_json::Map<String, Value>> {
    object.get("metadata")?.get("annotations")?.as_object()
}

fn last(object: &Value) -> Option<&str> {
    annotations(object)?.get(ANNOTATION)?.as_str().filter(|text| !text.is_empty())
}

/// Fields that kubectl may take from others without force: those that still are as it wrote them.
pub(super) fn excused(live: &Value, gvk: &Gvk, schema: BuiltIn, writer: &Writer<'_>) -> Option<FieldSet> {
    if writer.manager != KUBECTL {
        return None;
    }
    let text = last(live)?.trim();
    let applied: Value = serde_json::from_str(text).ok()?;
    if applied.get("apiVersion")?.as_str()? != gvk.api_version() {
        return None;
    }
    let (applied, live) = (applied.to_string(), live.to_string());
    let mut own = set_of(Raw::new(&applied), schema);
    let Comparison { added, modified, removed } = compare(Raw::new(&applied), Raw::new(&live), schema);
    [added, modified, removed].iter().for_each(|other| own.remove_all(other));
    Some(own)
}

/// The annotation is not part of what is applied.
pub(super) fn refresh(config: &mut Value, live: &Value, writer: &Writer<'_>) {
    if writer.manager != KUBECTL || last(live).is_none() {
        return;
    }
    if let Some(annotations) = config.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove(ANNOTATION);
    }
}

/// Writes what was applied into the annotation of the new object, where the old one has it.
pub(super) fn set(object: &mut Value, live: &Value, config: &Value, writer: &Writer<'_>) {
    if writer.manager != KUBECTL || last(live).is_none() {
        return;
    }
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let annotations = metadata.entry("annotations").or_insert_with(|| Value::Object(Default::default()));
    let Some(annotations) = annotations.as_object_mut() else { return };
    let text = format!("{config}\n");
    let others: usize = annotations
        .iter()
        .filter(|(key, _)| *key != ANNOTATION)
        .map(|(key, value)| key.len() + value.as_str().map_or(0, str::len))
        .sum();
    if others + ANNOTATION.len() + text.len() > ANNOTATIONS_MAX {
        annotations.remove(ANNOTATION);
    } else {
        annotations.insert(ANNOTATION.into(), Value::String(text));
    }
}

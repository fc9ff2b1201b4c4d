//! managedFields: who wrote which fields, recorded on every write.

use apimachinery::managed::Writer;
use codec::AnyObject;
use codec::managed;
use jiff::Timestamp;
use resources::Resource;

use crate::options::WriteOptions;

pub(crate) fn created(
    resource: &Resource,
    object: &mut dyn AnyObject,
    options: &WriteOptions,
    now: Timestamp,
) {
    let api_version = resource.gvk.api_version();
    managed::created(object, &writer(resource, options, &api_version, "", now));
}

pub(crate) fn updated(
    resource: &Resource,
    new: &mut dyn AnyObject,
    old: &dyn AnyObject,
    subresource: &str,
    options: &WriteOptions,
    now: Timestamp,
) {
    let api_version = resource.gvk.api_version();
    managed::updated(new, old, &writer(resource, options, &api_version, subresource, now));
}

fn writer<'a>(
    resource: &Resource,
    options: &'a WriteOptions,
    api_version: &'a str,
    subresource: &'a str,
    now: Timestamp,
) -> Writer<'a> {
    // What this part of the resource puts back to what it was.
    let ignored: &[&str] = match subresource {
        "" if resource.subresources.contains(&"status") => &["status"],
        "status" => &["spec"],
        _ => &[],
    };
    Writer { manager: &options.field_manager, api_version, subresource, ignored, now }
}

/// Whether nothing changed but when somebody last wrote: such a write is none.
pub(crate) fn same(new: &dyn AnyObject, old: &dyn AnyObject) -> bool {
    if new.equals(old) {
        return true;
    }
    let mut untimed = new.clone_box();
    let stored = old.object_meta().managed_fields.as_deref().unwrap_or_default();
    let entries = untimed.object_meta_mut().managed_fields.as_deref_mut().unwrap_or_default();
    if entries.len() != stored.len() {
        return false;
    }
    for (entry, stored) in entries.iter_mut().zip(stored) {
        entry.time.clone_from(&stored.time);
    }
    untimed.equals(old)
}

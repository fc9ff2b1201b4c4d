//! managedFields: who wrote which fields, recorded on every write, in the version that the write speaks.

use apimachinery::managed::{Comparison, Writer, compare};
use apimachinery::raw::Raw;
use codec::AnyObject;
use codec::managed;
use jiff::Timestamp;
use resources::Resource;
use resources::strategy::Part;

use crate::options::WriteOptions;
use crate::registry::Registry;

/// One write, as managed fields see it.
#[derive(Clone, Copy)]
pub(crate) struct Write<'a> {
    pub resource: &'a Resource,
    /// Empty for the main resource.
    pub subresource: &'a str,
    pub options: &'a WriteOptions,
    pub now: Timestamp,
}

impl Registry {
    pub(crate) fn record_create(&self, write: Write<'_>, object: &mut dyn AnyObject) {
        let api_version = write.resource.gvk.api_version();
        let mut shown = write.resource.view(object);
        managed::created(&mut *shown, &write.writer(&api_version));
        object.object_meta_mut().managed_fields = shown.object_meta_mut().managed_fields.take();
    }

    pub(crate) fn record_update(&self, write: Write<'_>, new: &mut dyn AnyObject, old: &dyn AnyObject) {
        let api_version = write.resource.gvk.api_version();
        let elsewhere =
            |version: &str, live: Raw<'_>, new: Raw<'_>| self.elsewhere(write.resource, version, live, new);
        let (mut shown, old) = (write.resource.view(new), write.resource.view(old));
        managed::updated(&mut *shown, &*old, &write.writer(&api_version), &elsewhere);
        new.object_meta_mut().managed_fields = shown.object_meta_mut().managed_fields.take();
    }

    /// The difference of two objects of `resource`'s version as the same kind's `version` shows it.
    pub(crate) fn elsewhere(
        &self,
        resource: &Resource,
        version: &str,
        live: Raw<'_>,
        new: Raw<'_>,
    ) -> Option<Comparison> {
        let other =
            self.resources().iter().find(|r| r.hub == resource.hub && r.gvk.api_version() == version)?;
        let schema = codec::schema::of_kind(&other.gvk)?;
        let converted = |raw: Raw<'_>| match raw.text() {
            "{}" => Some("{}".to_owned()),
            text => {
                let hub = resource.read(text.as_bytes()).ok()?;
                String::from_utf8(other.view(&*hub).encode()).ok()
            }
        };
        let (live, new) = (converted(live)?, converted(new)?);
        Some(compare(Raw::new(&live), Raw::new(&new), schema))
    }
}

impl<'a> Write<'a> {
    pub(crate) fn writer(&self, api_version: &'a str) -> Writer<'a> {
        let part = match self.subresource {
            "" if self.resource.subresources.contains(&"status") => Some(Part::Main),
            "status" => Some(Part::Status),
            "approval" => Some(Part::Approval),
            _ => None,
        };
        let ignored = part.map_or(&[][..], |part| self.resource.strategy.reset_fields(part));
        Writer {
            manager: &self.options.field_manager,
            api_version,
            subresource: self.subresource,
            ignored,
            now: self.now,
        }
    }
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

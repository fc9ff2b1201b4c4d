//! managedFields: who wrote which fields, recorded on every write.

use codec::AnyObject;
use jiff::Timestamp;
use resources::Resource;

use crate::options::WriteOptions;

pub(crate) fn created(_: &Resource, _: &mut dyn AnyObject, _: &WriteOptions, _: Timestamp) {}

pub(crate) fn updated(
    _: &Resource,
    _: &mut dyn AnyObject,
    _: &dyn AnyObject,
    _: &str,
    _: &WriteOptions,
    _: Timestamp,
) {
}

/// Whether nothing changed but the record of who wrote.
pub(crate) fn same(new: &dyn AnyObject, old: &dyn AnyObject) -> bool {
    new.equals(old)
}

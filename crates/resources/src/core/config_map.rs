//! Config maps.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};

use crate::columns::{AGE, NAME, text};
use crate::strategy::{Column, Part, age};

#[cfg(test)]
mod tests;

/// The rules of config maps.
pub struct Strategy;

/// Of all values of a config map or secret together, in bytes.
pub const MAX_SIZE: usize = 1024 * 1024;
pub(super) const SEALED: &str = "field is immutable when `immutable` is set";

impl crate::Strategy for Strategy {
    type Kind = ConfigMap;

    fn validate(&self, map: &ConfigMap) -> ErrorList {
        let mut errs = ErrorList::new();
        let mut size = 0;
        for (key, value) in map.data.iter().flatten() {
            let path = Path::new("data").key(key);
            errs.extend(key_errors(key, &path));
            if map.binary_data.as_ref().is_some_and(|b| b.contains_key(key)) {
                errs.push(Error::invalid(&path, key, "duplicate of key present in binaryData"));
            }
            size += value.len();
        }
        for (key, value) in map.binary_data.iter().flatten() {
            errs.extend(key_errors(key, &Path::new("binaryData").key(key)));
            size += value.0.len();
        }
        if size > MAX_SIZE {
            // Upstream blames a nameless field.
            errs.push(Error::too_long(&Path::new("[]"), MAX_SIZE));
        }
        errs
    }

    fn validate_update(&self, new: &ConfigMap, old: &ConfigMap, _: Part) -> ErrorList {
        let mut errs = ErrorList::new();
        if old.immutable == Some(true) {
            let changed = [
                ("immutable", new.immutable != Some(true)),
                ("data", !same(&new.data, &old.data)),
                ("binaryData", !same(&new.binary_data, &old.binary_data)),
            ];
            for (field, _) in changed.into_iter().filter(|(_, changed)| *changed) {
                errs.push(Error::forbidden(&Path::new(field), SEALED));
            }
        }
        errs.extend(self.validate(new));
        errs
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[NAME, text("Data", "How many entries the data has."), AGE];
        COLUMNS
    }

    fn row(&self, map: &ConfigMap, now: Timestamp) -> Vec<Value> {
        let count =
            map.data.as_ref().map_or(0, |d| d.len()) + map.binary_data.as_ref().map_or(0, |d| d.len());
        vec![json!(map.name()), json!(count), json!(age(&map.metadata, now))]
    }
}

/// What is wrong with a key of data.
pub(super) fn key_errors(key: &str, path: &Path) -> ErrorList {
    names::config_key(key).into_iter().map(|message| Error::invalid(path, key, message)).collect()
}

/// Equal, where none and empty are the same.
pub(super) fn same<T: PartialEq>(
    a: &Option<std::collections::BTreeMap<String, T>>,
    b: &Option<std::collections::BTreeMap<String, T>>,
) -> bool {
    a.iter().flatten().eq(b.iter().flatten())
}

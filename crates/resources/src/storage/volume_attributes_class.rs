//! Classes of what may change about a volume while it is used.

use apimachinery::field::{ErrorList, Path};
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::storage::v1::VolumeAttributesClass;
use serde_json::{Value, json};

use super::{no_updates, parameters, provisioner};
use crate::columns::{AGE, NAME, text};
use crate::strategy::{Column, Part, age};

/// The rules of volume attributes classes.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = VolumeAttributesClass;

    fn validate(&self, class: &VolumeAttributesClass) -> ErrorList {
        let mut errs = provisioner(&class.driver_name, &Path::new("driverName"));
        errs.extend(parameters(class.parameters.as_ref(), false, &Path::new("parameters")));
        errs
    }

    fn validate_update(
        &self,
        new: &VolumeAttributesClass,
        old: &VolumeAttributesClass,
        _: Part,
    ) -> ErrorList {
        let mut errs = no_updates(new.driver_name != old.driver_name, "driverName");
        errs.extend(no_updates(new.parameters != old.parameters, "parameters"));
        errs
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[NAME, text("DriverName", "The driver that knows the attributes."), AGE];
        COLUMNS
    }

    fn row(&self, class: &VolumeAttributesClass, now: Timestamp) -> Vec<Value> {
        vec![json!(class.name()), json!(class.driver_name), json!(age(&class.metadata, now))]
    }
}

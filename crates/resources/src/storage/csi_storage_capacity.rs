//! How much a CSI driver could still make, where, of which class.

use apimachinery::field::{Error, ErrorList, Path, Raw};
use apimachinery::names;
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::storage::v1::CSIStorageCapacity;
use serde_json::{Value, json};

use crate::check::each;
use crate::columns::{NAME, text};
use crate::quantity::QuantityExt;
use crate::selector;
use crate::strategy::{Column, Part};

/// The rules of storage capacities.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = CSIStorageCapacity;

    fn validate(&self, capacity: &CSIStorageCapacity) -> ErrorList {
        let class = &*capacity.storage_class_name;
        let mut errs = each(&Path::new("storageClassName"), class, names::dns1123_subdomain(class));
        if let Some(topology) = &capacity.node_topology {
            errs.extend(selector::validate(topology, &Path::new("nodeTopology")));
        }
        for (field, amount) in
            [("capacity", &capacity.capacity), ("maximumVolumeSize", &capacity.maximum_volume_size)]
        {
            let Some(amount) = amount else { continue };
            if amount.amount().signum() < 0 {
                let why = "must be greater than or equal to 0";
                errs.push(Error::invalid(&Path::new(field), &amount.0, why));
            }
        }
        errs
    }

    fn validate_update(&self, new: &CSIStorageCapacity, old: &CSIStorageCapacity, _: Part) -> ErrorList {
        let mut errs = self.validate(new);
        if new.node_topology != old.node_topology {
            let shown = Raw(json!(new.node_topology).to_string());
            errs.push(Error::invalid(&Path::new("nodeTopology"), shown, "field is immutable"));
        }
        if new.storage_class_name != old.storage_class_name {
            let path = Path::new("storageClassName");
            errs.push(Error::invalid(&path, &new.storage_class_name, "field is immutable"));
        }
        errs
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            text("StorageClass", "The class that is spoken of."),
            text("Capacity", "How much is free."),
        ];
        COLUMNS
    }

    fn row(&self, capacity: &CSIStorageCapacity, _: Timestamp) -> Vec<Value> {
        let free = capacity.capacity.as_ref().map_or_else(|| "<unset>".into(), |c| c.amount().to_string());
        vec![json!(capacity.name()), json!(capacity.storage_class_name), json!(free)]
    }
}

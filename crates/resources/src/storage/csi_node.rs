//! CSI nodes: which drivers a node has.

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path, Raw};
use apimachinery::names;
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::storage::v1::{CSINode, CSINodeDriver};
use serde_json::{Value, json};

use super::driver_name;
use crate::check::{each, non_negative, required};
use crate::columns::{AGE, NAME, number};
use crate::strategy::{Column, Part, age};

const ID_MAX: usize = 256;

/// The rules of CSI nodes.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = CSINode;

    fn prepare_create(&self, node: &mut CSINode) {
        node.status = None;
    }

    fn prepare_update(&self, new: &mut CSINode, old: &CSINode, _: Part) {
        new.status.clone_from(&old.status);
    }

    fn validate(&self, node: &CSINode) -> ErrorList {
        let path = Path::new("spec").child("drivers");
        let mut errs = ErrorList::new();
        let mut seen = BTreeSet::new();
        for (i, driver) in node.spec.drivers.iter().enumerate() {
            let path = path.index(i);
            errs.extend(driver_errors(driver, &path));
            if !seen.insert(&driver.name) {
                errs.push(Error::duplicate(&path.child("name"), &driver.name));
            }
        }
        errs
    }

    fn validate_update(&self, new: &CSINode, old: &CSINode, _: Part) -> ErrorList {
        let mut errs = self.validate(new);
        // How many volumes fit may change; what the driver is on this node may not.
        let fixed = |d: &CSINodeDriver| CSINodeDriver { allocatable: None, ..d.clone() };
        for (i, driver) in new.spec.drivers.iter().enumerate() {
            let before = old.spec.drivers.iter().find(|d| d.name == driver.name);
            if before.is_some_and(|b| fixed(b) != fixed(driver)) {
                let shown = Raw(json!(driver).to_string());
                let path = Path::new("spec").child("drivers").index(i);
                errs.push(Error::invalid(&path, shown, "field is immutable"));
            }
        }
        errs
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[NAME, number("Drivers", "How many drivers the node has."), AGE];
        COLUMNS
    }

    fn row(&self, node: &CSINode, now: Timestamp) -> Vec<Value> {
        vec![json!(node.name()), json!(node.spec.drivers.len()), json!(age(&node.metadata, now))]
    }
}

fn driver_errors(driver: &CSINodeDriver, path: &Path) -> ErrorList {
    let mut errs = driver_name(&driver.name, &path.child("name"));
    let id = path.child("nodeID");
    errs.extend(required(&id, &driver.node_id));
    if driver.node_id.len() > ID_MAX {
        errs.push(Error::invalid(&id, &driver.node_id, format!("must be {ID_MAX} characters or less")));
    }
    if let Some(count) = driver.allocatable.as_ref().and_then(|a| a.count) {
        errs.extend(non_negative(&path.child("allocatable").child("count"), count));
    }
    let mut seen = BTreeSet::new();
    for (i, key) in driver.topology_keys.iter().flatten().enumerate() {
        let path = path.child("topologyKeys").index(i);
        if key.is_empty() {
            errs.push(Error::required(&path, ""));
        } else {
            errs.extend(each(&path, key, names::qualified_name(key)));
        }
        if !seen.insert(key) {
            errs.push(Error::duplicate(&path, key));
        }
    }
    errs
}

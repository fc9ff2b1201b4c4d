//! Storage classes: how claims without a volume get one.

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path, Raw};
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::TopologySelectorTerm;
use k8s_openapi::api::storage::v1::StorageClass;
use serde_json::{Value, json};

use super::{no_updates, parameters, provisioner};
use crate::columns::{AGE, NAME, text};
use crate::fill;
use crate::owner::ObjectMetaExt;
use crate::strategy::{Column, Part, age};

/// On the class that claims without one get.
pub const IS_DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";
const IS_DEFAULT_BETA: &str = "storageclass.beta.kubernetes.io/is-default-class";
/// The provisioner of classes whose volumes somebody makes by hand.
pub const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

/// What storage classes are asked.
pub trait StorageClassExt {
    fn is_default(&self) -> bool;
    /// A volume is chosen only once a pod that uses the claim has a node.
    fn waits_for_consumer(&self) -> bool;
}

impl StorageClassExt for StorageClass {
    fn is_default(&self) -> bool {
        [IS_DEFAULT, IS_DEFAULT_BETA].iter().any(|key| self.metadata.annotation(key) == Some("true"))
    }

    fn waits_for_consumer(&self) -> bool {
        self.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer")
    }
}

/// The rules of storage classes.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = StorageClass;

    fn default(&self, class: &mut StorageClass) {
        fill::text(&mut class.reclaim_policy, "Delete");
        fill::text(&mut class.volume_binding_mode, "Immediate");
    }

    fn validate(&self, class: &StorageClass) -> ErrorList {
        let mut errs = provisioner(&class.provisioner, &Path::new("provisioner"));
        errs.extend(parameters(class.parameters.as_ref(), true, &Path::new("parameters")));
        let mut one_of = |field: &str, value: &Option<String>, known: &[&str]| {
            let value = value.as_deref().unwrap_or_default();
            if !known.contains(&value) {
                errs.push(Error::not_supported(&Path::new(field), value, known));
            }
        };
        one_of("reclaimPolicy", &class.reclaim_policy, &["Delete", "Retain"]);
        one_of("volumeBindingMode", &class.volume_binding_mode, &["Immediate", "WaitForFirstConsumer"]);
        let topologies = class.allowed_topologies.as_deref().unwrap_or_default();
        errs.extend(topology_errors(topologies, &Path::new("allowedTopologies")));
        errs
    }

    fn validate_update(&self, new: &StorageClass, old: &StorageClass, _: Part) -> ErrorList {
        let mut errs =
            no_updates(!new.parameters.iter().flatten().eq(old.parameters.iter().flatten()), "parameters");
        errs.extend(no_updates(new.provisioner != old.provisioner, "provisioner"));
        errs.extend(no_updates(new.reclaim_policy != old.reclaim_policy, "reclaimPolicy"));
        if new.volume_binding_mode != old.volume_binding_mode {
            let shown = new.volume_binding_mode.as_deref().unwrap_or_default();
            errs.push(Error::invalid(&Path::new("volumeBindingMode"), shown, "field is immutable"));
        }
        errs.extend(self.validate(new));
        errs
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            text("Provisioner", "Who makes its volumes."),
            text("ReclaimPolicy", "What becomes of a volume whose claim is gone."),
            text("VolumeBindingMode", "When claims get their volumes."),
            Column { kind: "boolean", ..text("AllowVolumeExpansion", "Whether claims may grow.") },
            AGE,
        ];
        COLUMNS
    }

    fn row(&self, class: &StorageClass, now: Timestamp) -> Vec<Value> {
        let mark = if class.is_default() { " (default)" } else { "" };
        vec![
            json!(format!("{}{mark}", class.name())),
            json!(class.provisioner),
            json!(class.reclaim_policy.as_deref().unwrap_or("Delete")),
            json!(class.volume_binding_mode.as_deref().unwrap_or("Immediate")),
            json!(class.allow_volume_expansion.unwrap_or(false)),
            json!(age(&class.metadata, now)),
        ]
    }
}

fn topology_errors(terms: &[TopologySelectorTerm], path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    for (i, term) in terms.iter().enumerate() {
        let path = path.index(i);
        let mut keys = BTreeSet::new();
        for (j, requirement) in term.match_label_expressions.iter().flatten().enumerate() {
            let path = path.child("matchLabelExpressions").index(j);
            if requirement.values.is_empty() {
                errs.push(Error::required(&path.child("values"), ""));
            }
            let mut values = BTreeSet::new();
            for (k, value) in requirement.values.iter().enumerate() {
                if !values.insert(value) {
                    errs.push(Error::duplicate(&path.child("values").index(k), value));
                }
            }
            errs.extend(apimachinery::names::label_key(&requirement.key, &path.child("key")));
            if !keys.insert(&requirement.key) {
                errs.push(Error::duplicate(&path.child("key"), &requirement.key));
            }
        }
        if terms[..i].contains(term) {
            let shown = Raw(json!(term.match_label_expressions).to_string());
            errs.push(Error::duplicate(&path.child("matchLabelExpressions"), shown));
        }
    }
    errs
}

//! Namespaces. How one is deleted (phase Terminating, emptied, finalized) is the registry's and a controller's part.

use apimachinery::field::{Error, ErrorList, Path};
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, NamespaceCondition, NamespaceStatus};
use serde_json::{Value, json};

use crate::columns::{AGE, NAME, text};
use crate::conditions;
use crate::fill;
use crate::meta::finalizer_errors;
use crate::owner::ObjectMetaExt;
use crate::strategy::{Column, NameRule, Part, age};

#[cfg(test)]
mod tests;

/// In `spec.finalizers` until the namespace is empty.
pub const FINALIZER: &str = "kubernetes";
/// The label that every namespace has: its name.
pub const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// What namespaces are asked.
pub trait NamespaceExt {
    /// `Active` or `Terminating`
    fn phase(&self) -> &str;
    fn condition(&self, kind: &str) -> Option<&NamespaceCondition>;
}

impl NamespaceExt for Namespace {
    fn phase(&self) -> &str {
        self.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or_default()
    }

    fn condition(&self, kind: &str) -> Option<&NamespaceCondition> {
        self.status.as_ref()?.conditions.iter().flatten().find(|c| c.type_ == kind)
    }
}

/// Sets a condition. The transition time moves only when the status does. True when anything changed.
pub fn set_condition(status: &mut NamespaceStatus, condition: NamespaceCondition, now: Timestamp) -> bool {
    conditions::set(&mut status.conditions, condition, now)
}

/// The rules of namespaces.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = Namespace;

    fn name_rule(&self) -> NameRule {
        NameRule::DnsLabel
    }

    fn default(&self, namespace: &mut Namespace) {
        fill::text(&mut namespace.status.get_or_insert_default().phase, "Active");
        if let Some(name) = namespace.metadata.name.clone().filter(|n| !n.is_empty()) {
            namespace.metadata.labels.get_or_insert_default().insert(NAME_LABEL.into(), name);
        }
    }

    fn prepare_create(&self, namespace: &mut Namespace) {
        namespace.status = Some(NamespaceStatus { phase: Some("Active".into()), conditions: None });
        let finalizers = namespace.spec.get_or_insert_default().finalizers.get_or_insert_default();
        if !finalizers.iter().any(|f| f == FINALIZER) {
            finalizers.push(FINALIZER.into());
        }
        // A generated name is known only now.
        self.default(namespace);
    }

    fn prepare_update(&self, new: &mut Namespace, old: &Namespace, part: Part) {
        match part {
            Part::Status => new.spec.clone_from(&old.spec),
            Part::Finalize => new.status.clone_from(&old.status),
            _ => {
                new.spec.clone_from(&old.spec);
                new.status.clone_from(&old.status);
            }
        }
    }

    fn validate(&self, namespace: &Namespace) -> ErrorList {
        let finalizers = namespace.spec.as_ref().and_then(|s| s.finalizers.as_deref()).unwrap_or_default();
        let path = Path::new("spec").child("finalizers");
        let mut errs = ErrorList::new();
        for finalizer in finalizers {
            errs.extend(finalizer_errors(finalizer, &path));
        }
        errs
    }

    fn validate_update(&self, new: &Namespace, old: &Namespace, part: Part) -> ErrorList {
        match part {
            Part::Status => phase_errors(new, old),
            Part::Finalize => {
                let finalizers = new.spec.as_ref().and_then(|s| s.finalizers.as_deref()).unwrap_or_default();
                let path = Path::new("spec").child("finalizers");
                let mut errs = ErrorList::new();
                for (i, finalizer) in finalizers.iter().enumerate() {
                    errs.extend(finalizer_errors(finalizer, &path.index(i)));
                }
                errs
            }
            _ => ErrorList::new(),
        }
    }

    fn fields(&self, namespace: &Namespace) -> Vec<(&'static str, String)> {
        vec![("status.phase", namespace.phase().into())]
    }

    fn field_names(&self) -> &'static [&'static str] {
        &["status.phase"]
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[NAME, text("Status", "The status of the namespace"), AGE];
        COLUMNS
    }

    fn row(&self, namespace: &Namespace, now: Timestamp) -> Vec<Value> {
        vec![json!(namespace.name()), json!(namespace.phase()), json!(age(&namespace.metadata, now))]
    }
}

fn phase_errors(new: &Namespace, old: &Namespace) -> ErrorList {
    let (wanted, detail) = match old.metadata.is_deleting() || new.metadata.is_deleting() {
        true => ("Terminating", "may only be 'Terminating' if `deletionTimestamp` is not empty"),
        false => ("Active", "may only be 'Active' if `deletionTimestamp` is empty"),
    };
    let error = Error::invalid(&Path::new("status").child("Phase"), new.phase(), detail);
    (new.phase() != wanted).then_some(error).into_iter().collect()
}

//! Runtime classes: which handler of the container runtime runs a pod, what that costs, and where there is one.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::node::v1::RuntimeClass;
use serde_json::{Value, json};

use crate::check::each;
use crate::columns::{AGE, NAME, text};
use crate::core::pod::validation::resources::{container_resource, quantity_errors};
use crate::core::pod::validation::scheduling::tolerations;
use crate::quantity::canonicalize;
use crate::strategy::{Column, Part, age};

#[cfg(test)]
mod tests;

/// The rules of runtime classes.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = RuntimeClass;

    fn default(&self, class: &mut RuntimeClass) {
        canonicalize(class.overhead.as_mut().and_then(|o| o.pod_fixed.as_mut()));
    }

    fn validate(&self, class: &RuntimeClass) -> ErrorList {
        let mut errs = each(&Path::new("handler"), &class.handler, names::dns1123_label(&class.handler));
        let fixed = class.overhead.as_ref().and_then(|o| o.pod_fixed.as_ref());
        for (resource, amount) in fixed.into_iter().flatten() {
            let path = Path::new("overhead").child("podFixed").key(resource);
            errs.extend(container_resource(resource, &path));
            errs.extend(quantity_errors(resource, amount, &path));
        }
        if let Some(scheduling) = &class.scheduling {
            let path = Path::new("scheduling");
            if let Some(selector) = &scheduling.node_selector {
                errs.extend(names::labels(selector, &path.child("nodeSelector")));
            }
            let list = scheduling.tolerations.as_deref().unwrap_or_default();
            errs.extend(tolerations(list, &path.child("tolerations")));
            for (i, toleration) in list.iter().enumerate().filter(|(i, t)| list[..*i].contains(t)) {
                let shown = apimachinery::field::Raw(json!(toleration).to_string());
                errs.push(Error::duplicate(&path.child("tolerations").index(i), shown));
            }
        }
        errs
    }

    fn validate_update(&self, new: &RuntimeClass, old: &RuntimeClass, _: Part) -> ErrorList {
        let mut errs = ErrorList::new();
        if new.handler != old.handler {
            errs.push(Error::invalid(&Path::new("handler"), &new.handler, "field is immutable"));
        }
        errs
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[NAME, text("Handler", "The runtime's name for it."), AGE];
        COLUMNS
    }

    fn row(&self, class: &RuntimeClass, now: Timestamp) -> Vec<Value> {
        vec![json!(class.name()), json!(class.handler), json!(age(&class.metadata, now))]
    }
}

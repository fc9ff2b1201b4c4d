//! Priority classes.

use apimachinery::field::{Error, ErrorList, Path};
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::scheduling::v1::PriorityClass;
use serde_json::{Value, json};

use crate::check::one_of;
use crate::columns::{AGE, NAME, number, text};
use crate::fill;
use crate::strategy::{Column, Part, age};

#[cfg(test)]
mod tests;

/// The highest value that users may give.
pub const HIGHEST_USER: i32 = 1_000_000_000;
/// Values of the two classes that every cluster has.
pub const SYSTEM: [(&str, i32); 2] =
    [("system-node-critical", 2 * HIGHEST_USER + 1000), ("system-cluster-critical", 2 * HIGHEST_USER)];
const SYSTEM_PREFIX: &str = "system-";

/// The rules of priority classes.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = PriorityClass;

    fn default(&self, class: &mut PriorityClass) {
        fill::text(&mut class.preemption_policy, "PreemptLowerPriority");
        class.value.get_or_insert(0);
    }

    fn prepare_create(&self, class: &mut PriorityClass) {
        class.metadata.generation = Some(1);
    }

    fn validate(&self, class: &PriorityClass) -> ErrorList {
        let mut errs = ErrorList::new();
        let value = class.value.unwrap_or(0);
        if class.name().starts_with(SYSTEM_PREFIX) {
            if let Err(detail) = known(class) {
                errs.push(Error::forbidden(
                    &Path::new("metadata").child("name"),
                    format!("priority class names with '{SYSTEM_PREFIX}' prefix are reserved for system use only. error: {detail}"),
                ));
            }
        } else if value > HIGHEST_USER {
            errs.push(Error::forbidden(
                &Path::new("value"),
                format!("maximum allowed value of a user defined priority is {HIGHEST_USER}"),
            ));
        }
        errs.extend(policy_errors(class));
        errs
    }

    fn validate_update(&self, new: &PriorityClass, old: &PriorityClass, _: Part) -> ErrorList {
        let mut errs = ErrorList::new();
        // Pods carry the numbers that were true when they were made.
        if new.value.unwrap_or(0) != old.value.unwrap_or(0) {
            errs.push(Error::forbidden(&Path::new("value"), "may not be changed in an update."));
        }
        if new.preemption_policy != old.preemption_policy {
            let shown = new.preemption_policy.as_deref().unwrap_or_default();
            errs.push(Error::invalid(&Path::new("preemptionPolicy"), shown, "field is immutable"));
        }
        errs
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            number("Value", "The priority of pods of this class."),
            Column { kind: "boolean", ..text("Global-Default", "Pods without a class are of this one.") },
            AGE,
            text("PreemptionPolicy", "Whether pods of this class may push others away."),
        ];
        COLUMNS
    }

    fn row(&self, class: &PriorityClass, now: Timestamp) -> Vec<Value> {
        vec![
            json!(class.name()),
            json!(class.value.unwrap_or(0)),
            json!(class.global_default.unwrap_or(false)),
            json!(age(&class.metadata, now)),
            json!(class.preemption_policy.as_deref().unwrap_or_default()),
        ]
    }
}

/// Is it one of the two system classes, and as it has to be?
fn known(class: &PriorityClass) -> Result<(), String> {
    let name = class.name();
    let Some((_, value)) = SYSTEM.iter().find(|(n, _)| *n == name) else {
        return Err(format!("{name} is not a known system priority class"));
    };
    if class.value != Some(*value) {
        return Err(format!("value of {name} PriorityClass must be {value}"));
    }
    if class.global_default == Some(true) {
        return Err(format!("globalDefault of {name} PriorityClass must be false"));
    }
    Ok(())
}

fn policy_errors(class: &PriorityClass) -> ErrorList {
    let path = Path::new("preemptionPolicy");
    let policy = class.preemption_policy.as_deref();
    policy.map_or_else(ErrorList::new, |p| one_of(&path, p, &["PreemptLowerPriority", "Never"]))
}

//! Device taint rules: taints of devices that an administrator sets, not their driver.

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::resource::v1::{DeviceTaintRule, DeviceTaintRuleStatus};

use super::rules;
use crate::conditions;
use crate::desired;
use crate::storage::driver_name;
use crate::strategy::Part;

const CONDITIONS_MAX: usize = 8;

/// The rules of device taint rules.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = DeviceTaintRule;

    fn prepare_create(&self, rule: &mut DeviceTaintRule) {
        rule.status = Some(DeviceTaintRuleStatus::default());
        rule.metadata.generation = Some(1);
        // A taint counts from when it was added.
        let created = rule.metadata.creation_timestamp.clone();
        rule.spec.taint.time_added = rule.spec.taint.time_added.take().or(created);
    }

    fn prepare_update(&self, new: &mut DeviceTaintRule, old: &DeviceTaintRule, part: Part) {
        if part == Part::Status {
            new.spec.clone_from(&old.spec);
            return;
        }
        new.status.clone_from(&old.status);
        let kept = old.spec.taint.time_added.clone();
        new.spec.taint.time_added = new.spec.taint.time_added.take().or(kept);
        desired::bump_generation(new, old, "spec");
    }

    fn validate(&self, rule: &DeviceTaintRule) -> ErrorList {
        spec(rule, None)
    }

    fn validate_update(&self, new: &DeviceTaintRule, old: &DeviceTaintRule, part: Part) -> ErrorList {
        if part != Part::Status {
            return spec(new, Some(&old.spec.taint.effect));
        }
        let path = Path::new("status").child("conditions");
        let conditions = new.status.as_ref().and_then(|s| s.conditions.as_deref()).unwrap_or_default();
        let mut errs = conditions::validate(conditions, &path);
        if conditions.len() > CONDITIONS_MAX {
            errs.push(Error::too_many(&path, conditions.len(), CONDITIONS_MAX));
        }
        errs
    }
}

fn spec(rule: &DeviceTaintRule, old_effect: Option<&str>) -> ErrorList {
    let path = Path::new("spec");
    let mut errs = ErrorList::new();
    if let Some(selector) = &rule.spec.device_selector {
        let path = path.child("deviceSelector");
        for (field, value, rule) in [
            ("driver", &selector.driver, driver_name as fn(&str, &Path) -> ErrorList),
            ("pool", &selector.pool, rules::pool_name),
            ("device", &selector.device, rules::label),
        ] {
            errs.extend(value.as_ref().map_or_else(ErrorList::new, |v| rule(v, &path.child(field))));
        }
    }
    errs.extend(rules::taint(&rule.spec.taint, old_effect, &path.child("taint")));
    errs
}

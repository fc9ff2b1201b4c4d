//! Rules for daemon sets.

use apimachinery::Selector;
use apimachinery::field::{Error, ErrorList, Path, Raw};
use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetSpec, DaemonSetUpdateStrategy, RollingUpdateDaemonSet};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::json;

use crate::apps::deployment::{Round, scaled};
use crate::apps::replica_set::selector_fixed;
use crate::check::{AnyShown, at_most_all, int_or_percent, non_negative};
use crate::core::replication_controller::template_errors;
use crate::selector::{self, LabelSelectorExt};
use crate::strategy::Part;

/// A new daemon set.
pub fn create(set: &DaemonSet) -> ErrorList {
    let path = Path::new("spec");
    let spec = &set.spec;
    let mut errs = selector::validate(&spec.selector, &path.child("selector"));
    let selector = pods(spec);
    errs.extend(template_errors(Some(&spec.template), &selector, "DaemonSet", &path.child("template")));
    errs.extend(non_negative(&path.child("minReadySeconds"), spec.min_ready_seconds.unwrap_or(0)));
    errs.extend(strategy_errors(spec.update_strategy.as_ref(), &path.child("updateStrategy")));
    if let Some(limit) = spec.revision_history_limit {
        errs.extend(non_negative(&path.child("revisionHistoryLimit"), limit));
    }
    errs
}

/// An empty selector cannot be told from an absent one, which is what it is in all likelihood: that selects nothing. One that
/// is broken has been told of, so its pods are not judged too.
fn pods(spec: &DaemonSetSpec) -> Selector {
    match spec.selector.selects_everything() {
        true => Selector::nothing(),
        false => spec.selector.compile().unwrap_or_else(|_| Selector::everything()),
    }
}

/// A changed daemon set.
pub fn update(new: &DaemonSet, old: &DaemonSet, part: Part) -> ErrorList {
    if part == Part::Status {
        return status_errors(new, old);
    }
    let mut errs = create(new);
    errs.extend(selector_fixed(&new.spec.selector, &old.spec.selector));
    errs
}

fn strategy_errors(strategy: Option<&DaemonSetUpdateStrategy>, path: &Path) -> ErrorList {
    let none = DaemonSetUpdateStrategy::default();
    let strategy = strategy.unwrap_or(&none);
    let mut errs = ErrorList::new();
    match (strategy.type_.as_deref().unwrap_or_default(), &strategy.rolling_update) {
        ("OnDelete", _) => {}
        ("RollingUpdate", None) => errs.push(Error::required(&path.child("rollingUpdate"), "")),
        ("RollingUpdate", Some(rolling)) => {
            errs.extend(rolling_errors(rolling, &path.child("rollingUpdate")));
        }
        (other, rolling) => {
            let rolling = rolling
                .as_ref()
                .map(|r| json!({"MaxUnavailable": r.max_unavailable, "MaxSurge": r.max_surge}));
            // The names are those of upstream's internal form, which has no JSON names.
            let kind = json!(other);
            let rolling = json!(rolling);
            let shown = Raw(format!(r#"{{"Type":{kind},"RollingUpdate":{rolling}}}"#));
            errs.push(Error::not_supported(path, shown, &["RollingUpdate", "OnDelete"]));
        }
    }
    errs
}

fn rolling_errors(rolling: &RollingUpdateDaemonSet, path: &Path) -> ErrorList {
    let zero = IntOrString::Int(0);
    let unavailable = rolling.max_unavailable.as_ref().unwrap_or(&zero);
    let surge = rolling.max_surge.as_ref().unwrap_or(&zero);
    let (unavailable_path, surge_path) = (path.child("maxUnavailable"), path.child("maxSurge"));
    let mut errs = int_or_percent(unavailable, &unavailable_path);
    errs.extend(int_or_percent(surge, &surge_path));
    errs.extend(at_most_all(unavailable, &unavailable_path));
    errs.extend(at_most_all(surge, &surge_path));
    let any = |value: &IntOrString| scaled(value, 100, Round::Down) != 0;
    match (any(unavailable), any(surge)) {
        (true, true) => errs.push(Error::invalid(
            &surge_path,
            AnyShown(surge),
            "may not be set when maxUnavailable is non-zero",
        )),
        (false, false) => errs.push(Error::required(&unavailable_path, "cannot be 0 when maxSurge is 0")),
        _ => {}
    }
    errs
}

fn status_errors(new: &DaemonSet, old: &DaemonSet) -> ErrorList {
    let path = Path::new("status");
    let status = new.status.clone().unwrap_or_default();
    let count = |value: Option<i32>| value.unwrap_or(0);
    let mut errs = ErrorList::new();
    for (field, value) in [
        ("currentNumberScheduled", status.current_number_scheduled),
        ("numberMisscheduled", status.number_misscheduled),
        ("desiredNumberScheduled", status.desired_number_scheduled),
        ("numberReady", status.number_ready),
    ] {
        errs.extend(non_negative(&path.child(field), value));
    }
    errs.extend(non_negative(&path.child("observedGeneration"), status.observed_generation.unwrap_or(0)));
    for (field, value) in [
        ("updatedNumberScheduled", status.updated_number_scheduled),
        ("numberAvailable", status.number_available),
        ("numberUnavailable", status.number_unavailable),
        ("collisionCount", status.collision_count),
    ] {
        errs.extend(non_negative(&path.child(field), count(value)));
    }
    let before = old.status.as_ref().and_then(|s| s.collision_count);
    if count(status.collision_count) < count(before) {
        errs.push(Error::invalid(
            &path.child("collisionCount"),
            count(status.collision_count),
            "cannot be decremented",
        ));
    }
    errs
}

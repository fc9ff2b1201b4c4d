//! Rules for stateful sets.

use apimachinery::Selector;
use apimachinery::field::{Error, ErrorList, Path, Raw};
use apimachinery::names;
use codec::Kind;
use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec, StatefulSetUpdateStrategy};
use k8s_openapi::api::core::v1::{PersistentVolumeClaimVolumeSource, PodTemplateSpec, Volume};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::json;

use crate::apps::deployment::{Round, scaled};
use crate::check::{AnyShown, at_most_all, each, int_or_percent, known, non_negative};
use crate::core::persistent_volume_claim;
use crate::core::replication_controller::template_errors;
use crate::desired;
use crate::selector::{self, LabelSelectorExt};
use crate::strategy::Part;

const FIXED: &str = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
    'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";

/// A new stateful set.
pub fn create(set: &StatefulSet) -> ErrorList {
    let path = Path::new("spec");
    let mut errs = settings(&set.spec, &path);
    if let Some(name) = set.spec.service_name.as_deref().filter(|n| !n.is_empty()) {
        errs.extend(each(&path.child("serviceName"), name, names::dns1123_label(name)));
    }
    errs.extend(pods(&set.spec, &path));
    errs.extend(claims(&set.spec, &path.child("volumeClaimTemplates")));
    errs
}

/// A changed stateful set. What was stored by an older version with laxer rules stays as it is.
pub fn update(new: &StatefulSet, old: &StatefulSet, part: Part) -> ErrorList {
    if part == Part::Status {
        return status_errors(new, old);
    }
    let path = Path::new("spec");
    let mut errs = settings(&new.spec, &path);
    if new.spec.template != old.spec.template {
        errs.extend(pods(&new.spec, &path));
    }
    if desired::changed(&with_fixed_of(new, old), old, "spec") {
        errs.push(Error::forbidden(&path, FIXED));
    }
    errs
}

/// `old`, with everything of `new` that may change.
fn with_fixed_of(new: &StatefulSet, old: &StatefulSet) -> StatefulSet {
    let (spec, before) = (&new.spec, &old.spec);
    let spec = StatefulSetSpec {
        replicas: before.replicas,
        ordinals: before.ordinals.clone(),
        template: before.template.clone(),
        update_strategy: before.update_strategy.clone(),
        revision_history_limit: before.revision_history_limit,
        persistent_volume_claim_retention_policy: before.persistent_volume_claim_retention_policy.clone(),
        min_ready_seconds: before.min_ready_seconds,
        ..spec.clone()
    };
    StatefulSet { spec, ..old.clone() }
}

/// Everything but the pods.
fn settings(spec: &StatefulSetSpec, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let management = path.child("podManagementPolicy");
    match spec.pod_management_policy.as_deref().unwrap_or_default() {
        "" => errs.push(Error::required(&management, "")),
        "OrderedReady" | "Parallel" => {}
        other => errs.push(Error::invalid(&management, other, "must be 'OrderedReady' or 'Parallel'")),
    }
    errs.extend(strategy_errors(spec.update_strategy.as_ref(), &path.child("updateStrategy")));
    let retention = path.child("persistentVolumeClaimRetentionPolicy");
    if let Some(policy) = &spec.persistent_volume_claim_retention_policy {
        for (field, value) in [("whenDeleted", &policy.when_deleted), ("whenScaled", &policy.when_scaled)] {
            let value = value.as_deref().unwrap_or_default();
            errs.extend(known(&retention.child(field), value, &["Retain", "Delete"]));
        }
    }
    if let Some(ordinals) = &spec.ordinals {
        errs.extend(non_negative(&path.child("ordinals").child("start"), ordinals.start.unwrap_or(0)));
    }
    errs.extend(non_negative(&path.child("replicas"), spec.replicas.unwrap_or(0)));
    errs.extend(non_negative(&path.child("minReadySeconds"), spec.min_ready_seconds.unwrap_or(0)));
    errs
}

fn strategy_errors(strategy: Option<&StatefulSetUpdateStrategy>, path: &Path) -> ErrorList {
    let none = StatefulSetUpdateStrategy::default();
    let strategy = strategy.unwrap_or(&none);
    let mut errs = ErrorList::new();
    // The names are those of upstream's internal form, which has no JSON names.
    let shown_rolling = strategy.rolling_update.as_ref().map_or("null".into(), |r| {
        let unavailable = json!(r.max_unavailable);
        format!(r#"{{"Partition":{},"MaxUnavailable":{unavailable}}}"#, r.partition.unwrap_or(0))
    });
    match (strategy.type_.as_deref().unwrap_or_default(), &strategy.rolling_update) {
        ("", _) => errs.push(Error::required(path, "")),
        ("OnDelete", None) | ("RollingUpdate", None) => {}
        ("OnDelete", Some(_)) => errs.push(Error::invalid(
            &path.child("rollingUpdate"),
            Raw(shown_rolling),
            "only allowed for updateStrategy 'RollingUpdate'",
        )),
        ("RollingUpdate", Some(rolling)) => {
            let path = path.child("rollingUpdate");
            errs.extend(non_negative(&path.child("partition"), rolling.partition.unwrap_or(0)));
            if let Some(unavailable) = &rolling.max_unavailable {
                errs.extend(unavailable_errors(unavailable, &path.child("maxUnavailable")));
            }
        }
        (other, _) => {
            let shown = format!(r#"{{"Type":{},"RollingUpdate":{shown_rolling}}}"#, json!(other));
            errs.push(Error::invalid(path, Raw(shown), "must be 'RollingUpdate' or 'OnDelete'"));
        }
    }
    errs
}

fn unavailable_errors(value: &IntOrString, path: &Path) -> ErrorList {
    let mut errs = int_or_percent(value, path);
    if scaled(value, 100, Round::Down) == 0 {
        errs.push(Error::invalid(path, AnyShown(value), "cannot be 0"));
    }
    errs.extend(at_most_all(value, path));
    errs
}

/// Selector and template. The claims that each pod gets are volumes that the template may mount.
fn pods(spec: &StatefulSetSpec, path: &Path) -> ErrorList {
    let selector_path = path.child("selector");
    let mut errs = ErrorList::new();
    let selector = if spec.selector.selects_everything() {
        // An empty one cannot be told from an absent one, which is what it is in all likelihood: that selects nothing.
        errs.push(Error::required(&selector_path, ""));
        Selector::nothing()
    } else {
        errs.extend(selector::validate(&spec.selector, &selector_path));
        match spec.selector.compile() {
            Ok(selector) => selector,
            Err(_) => {
                let shown = Raw(crate::apps::replica_set::selector_json(&spec.selector));
                errs.push(Error::invalid(&selector_path, shown, ""));
                return errs;
            }
        }
    };
    let template = with_claims(spec);
    errs.extend(template_errors(Some(&template), &selector, "StatefulSet", &path.child("template")));
    errs
}

fn with_claims(spec: &StatefulSetSpec) -> PodTemplateSpec {
    let mut template = spec.template.clone();
    let Some(pod) = &mut template.spec else { return template };
    for claim in spec.volume_claim_templates.iter().flatten() {
        let source = PersistentVolumeClaimVolumeSource { claim_name: claim.name().into(), read_only: None };
        let volume =
            Volume { name: claim.name().into(), persistent_volume_claim: Some(source), ..Volume::default() };
        let volumes = pod.volumes.get_or_insert_default();
        match volumes.iter_mut().find(|v| v.name == volume.name) {
            Some(same) => *same = volume,
            None => volumes.push(volume),
        }
    }
    template
}

fn claims(spec: &StatefulSetSpec, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    for (i, claim) in spec.volume_claim_templates.iter().flatten().enumerate() {
        let path = path.index(i);
        let name = path.child("metadata").child("name");
        match claim.name() {
            "" => errs.push(Error::required(&name, "")),
            given => errs.extend(each(&name, given, names::dns1123_label(given))),
        }
        let spec = claim.spec.clone().unwrap_or_default();
        errs.extend(persistent_volume_claim::validation::spec(&spec, &path.child("spec")));
    }
    errs
}

fn status_errors(new: &StatefulSet, old: &StatefulSet) -> ErrorList {
    let path = Path::new("status");
    let status = new.status.clone().unwrap_or_default();
    let count = |value: Option<i32>| value.unwrap_or(0);
    let mut errs = ErrorList::new();
    for (field, value) in [
        ("replicas", status.replicas),
        ("readyReplicas", count(status.ready_replicas)),
        ("currentReplicas", count(status.current_replicas)),
        ("updatedReplicas", count(status.updated_replicas)),
        ("availableReplicas", count(status.available_replicas)),
    ] {
        errs.extend(non_negative(&path.child(field), value));
    }
    errs.extend(non_negative(&path.child("observedGeneration"), status.observed_generation.unwrap_or(0)));
    errs.extend(non_negative(&path.child("collisionCount"), count(status.collision_count)));
    for (field, value) in [
        ("readyReplicas", count(status.ready_replicas)),
        ("currentReplicas", count(status.current_replicas)),
        ("updatedReplicas", count(status.updated_replicas)),
        ("availableReplicas", count(status.available_replicas)),
    ] {
        if value > status.replicas {
            errs.push(Error::invalid(&path.child(field), value, "cannot be greater than status.replicas"));
        }
    }
    if count(status.available_replicas) > count(status.ready_replicas) {
        let shown = count(status.available_replicas);
        let detail = "cannot be greater than status.readyReplicas";
        errs.push(Error::invalid(&path.child("availableReplicas"), shown, detail));
    }
    let before = old.status.as_ref().and_then(|s| s.collision_count);
    if count(status.collision_count) < count(before) {
        let shown = count(status.collision_count);
        errs.push(Error::invalid(&path.child("collisionCount"), shown, "cannot be decremented"));
    }
    errs
}

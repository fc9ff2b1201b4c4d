//! In which order resources are put out.

use serde_json::Value;

use super::Res;
use super::resource::{Gvk, Resource, Set};

const FIRST: &[&str] = &[
    "Namespace",
    "ResourceQuota",
    "StorageClass",
    "CustomResourceDefinition",
    "ServiceAccount",
    "PodSecurityPolicy",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "Endpoints",
    "Service",
    "LimitRange",
    "PriorityClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];

const LAST: &[&str] = &["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

/// Orders as `sortOptions` say; without them as kustomize always did.
pub fn sort(set: &mut Set, options: &Value) -> Res<()> {
    let legacy = &options["legacySortOptions"];
    match options["order"].as_str().unwrap_or_default() {
        "fifo" if !legacy.is_null() => {
            return Err("the field 'sortOptions.legacySortOptions' is set but the selected sort order is 'fifo', not 'legacy'".into());
        }
        "fifo" => return Ok(()),
        "legacy" => {}
        "" if options.is_null() => {}
        _ => return Err("the field 'sortOptions.order' must be one of [fifo, legacy]".into()),
    }
    let list = |key: &str, default: &[&str]| -> Vec<String> {
        let own = legacy[key].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
        match legacy.is_null() {
            true => default.iter().map(|k| (*k).to_owned()).collect(),
            false => own.collect(),
        }
    };
    let (first, last) = (list("orderFirst", FIRST), list("orderLast", LAST));
    let rank = |kind: &str| -> i64 {
        let place = |list: &[String]| list.iter().position(|k| k == kind).map(|at| at as i64);
        match (place(&first), place(&last)) {
            (_, Some(at)) => at + 1,
            (Some(at), None) => at - first.len() as i64,
            (None, None) => 0,
        }
    };
    set.0.sort_by_key(|r| (rank(r.kind()), of_kind(&r.gvk()), named(r)));
    Ok(())
}

/// Empty parts go after all others.
fn or_tilde(text: &str, letter: char) -> String {
    if text.is_empty() { format!("~{letter}") } else { text.to_owned() }
}

fn of_kind(gvk: &Gvk) -> String {
    [or_tilde(&gvk.group, 'G'), or_tilde(&gvk.version, 'V'), or_tilde(&gvk.kind, 'K')].join("_")
}

fn named(resource: &Resource) -> String {
    format!("{}|{}", or_tilde(resource.namespace(), 'X'), or_tilde(resource.name(), 'N'))
}

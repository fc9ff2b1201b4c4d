//! Rules for the spec of a persistent volume.

use apimachinery::field::{Error, ErrorList, Path, Raw};
use k8s_openapi::api::core::v1::PersistentVolumeSpec;

use super::source;
use crate::check::known;
use crate::core::pod::validation::scheduling::node_selector;
use crate::core::storage::{access_errors, class_errors, mode_errors};
use crate::quantity::QuantityExt;

pub(crate) fn spec(spec: &PersistentVolumeSpec, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let modes = spec.access_modes.as_deref().unwrap_or_default();
    if modes.is_empty() {
        errs.push(Error::required(&path.child("accessModes"), ""));
    }
    errs.extend(access_errors(modes, &path.child("accessModes")));
    errs.extend(capacity(spec, &path.child("capacity")));
    let policy = spec.persistent_volume_reclaim_policy.as_deref().unwrap_or_default();
    let at = path.child("persistentVolumeReclaimPolicy");
    errs.extend(known(&at, policy, &["Delete", "Recycle", "Retain"]));
    if let Some(affinity) = &spec.node_affinity {
        let path = path.child("nodeAffinity").child("required");
        match &affinity.required {
            Some(selector) => errs.extend(node_selector(selector, &path)),
            None => errs.push(Error::required(&path, "must specify required node constraints")),
        }
    }
    let mut sources = source::given(spec, path).into_iter();
    match sources.next() {
        None => errs.push(Error::required(path, "must specify a volume type")),
        Some((_, first)) => errs.extend(first),
    }
    for (field, _) in sources {
        errs.push(Error::forbidden(&path.child(field), "may not specify more than 1 volume type"));
    }
    let root = spec
        .host_path
        .as_ref()
        .is_some_and(|h| h.path.starts_with('/') && h.path.split('/').all(|part| matches!(part, "" | ".")));
    if root && policy == "Recycle" {
        errs.push(Error::forbidden(&at, "may not be 'recycle' for a hostPath mount of '/'"));
    }
    errs.extend(class_errors(spec.storage_class_name.as_deref(), &path.child("storageClassName")));
    errs.extend(mode_errors(spec.volume_mode.as_deref(), &path.child("volumeMode")));
    if let Some(class) = spec.volume_attributes_class_name.as_deref() {
        let at = path.child("volumeAttributesClassName");
        if class.is_empty() {
            errs.push(Error::required(&at, "an empty string is disallowed"));
        }
        errs.extend(class_errors(Some(class), &at));
        if spec.csi.is_none() {
            let why = "has to be specified when using volumeAttributesClassName";
            errs.push(Error::required(&path.child("csi"), why));
        }
    }
    errs
}

fn capacity(spec: &PersistentVolumeSpec, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let capacity = spec.capacity.clone().unwrap_or_default();
    if capacity.is_empty() {
        errs.push(Error::required(path, ""));
    }
    if capacity.len() != 1 || !capacity.contains_key("storage") {
        let shown = Raw(serde_json::json!(capacity).to_string());
        errs.push(Error::not_supported(path, shown, &["storage"]));
    }
    for (resource, amount) in &capacity {
        let path = path.key(resource);
        if apimachinery::Quantity::parse(&amount.0).is_err() {
            errs.push(Error::invalid(&path, &amount.0, "must be a valid resource quantity"));
        } else if amount.amount().signum() <= 0 {
            errs.push(Error::invalid(&path, &amount.0, "must be greater than zero"));
        }
    }
    errs
}

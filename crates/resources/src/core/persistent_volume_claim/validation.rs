//! Rules for claims.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::{Quantity, names};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec};

use super::PersistentVolumeClaimExt;
use crate::check::{each, required};
use crate::core::pod::validation::resources::quantity_errors;
use crate::core::storage::{CLASS_ANNOTATION, access_errors, class_errors, mode_errors};
use crate::desired;
use crate::owner::ObjectMetaExt;
use crate::quantity::QuantityExt;
use crate::selector;

pub(super) fn create(claim: &PersistentVolumeClaim) -> ErrorList {
    spec(&claim.spec.clone().unwrap_or_default(), &Path::new("spec"))
}

/// Also of the templates of stateful sets and of ephemeral volumes.
pub(crate) fn spec(spec: &PersistentVolumeClaimSpec, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let modes = spec.access_modes.as_deref().unwrap_or_default();
    if modes.is_empty() {
        errs.push(Error::required(&path.child("accessModes"), "at least 1 access mode is required"));
    }
    if let Some(wanted) = &spec.selector {
        errs.extend(selector::validate(wanted, &path.child("selector")));
    }
    errs.extend(access_errors(modes, &path.child("accessModes")));
    let size = path.child("resources").key("storage");
    match spec.resources.as_ref().and_then(|r| r.requests.as_ref()?.get("storage")) {
        None => errs.push(Error::required(&size, "")),
        Some(amount) => {
            errs.extend(quantity_errors("storage", amount, &size));
            if amount.amount().signum() <= 0 {
                errs.push(Error::invalid(&size, &amount.0, "must be greater than zero"));
            }
        }
    }
    errs.extend(class_errors(spec.storage_class_name.as_deref(), &path.child("storageClassName")));
    errs.extend(mode_errors(spec.volume_mode.as_deref(), &path.child("volumeMode")));
    errs.extend(sources(spec, path));
    let attributes = spec.volume_attributes_class_name.as_deref();
    errs.extend(class_errors(attributes, &path.child("volumeAttributesClassName")));
    errs
}

fn sources(spec: &PersistentVolumeClaimSpec, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    if let Some(source) = &spec.data_source {
        let path = path.child("dataSource");
        errs.extend(reference(source.api_group.as_deref(), &source.kind, &source.name, &path));
    }
    if let Some(source) = &spec.data_source_ref {
        let path = path.child("dataSourceRef");
        errs.extend(reference(source.api_group.as_deref(), &source.kind, &source.name, &path));
    }
    if let (Some(a), Some(b)) = (&spec.data_source, &spec.data_source_ref) {
        let group = |g: &Option<String>| g.clone().unwrap_or_default();
        if (group(&a.api_group), &a.kind, &a.name) != (group(&b.api_group), &b.kind, &b.name) {
            let shown = apimachinery::field::Raw(serde_json::json!(a).to_string());
            errs.push(Error::invalid(&path.child("dataSource"), shown, "must match dataSourceRef"));
        }
    }
    errs
}

fn reference(group: Option<&str>, kind: &str, name: &str, path: &Path) -> ErrorList {
    let mut errs = required(&path.child("name"), name);
    errs.extend(required(&path.child("kind"), kind));
    match group.unwrap_or_default() {
        "" if kind != "PersistentVolumeClaim" => errs.push(Error::invalid(
            path,
            kind,
            "must be 'PersistentVolumeClaim' when referencing the default apiGroup",
        )),
        "" => {}
        group => errs.extend(each(&path.child("apiGroup"), group, names::dns1123_subdomain(group))),
    }
    errs
}

pub(super) fn update(new: &PersistentVolumeClaim, old: &PersistentVolumeClaim) -> ErrorList {
    let mut errs = create(new);
    let mut allowed = new.clone();
    let wanted = allowed.spec.get_or_insert_default();
    let before = old.spec.clone().unwrap_or_default();
    // The binder says once which volume it is.
    if before.volume_name.as_deref().unwrap_or_default().is_empty() {
        wanted.volume_name.clone_from(&before.volume_name);
    }
    // A default class that came later may still be given.
    if before.storage_class_name.is_none() && old.metadata.annotation(CLASS_ANNOTATION).is_none() {
        wanted.storage_class_name = None;
    }
    if old.phase() == "Bound"
        && let (Some(now), Some(then)) = (&mut wanted.resources, &before.resources)
        && let (Some(now), Some(then)) = (&mut now.requests, &then.requests)
        && let Some(size) = then.get("storage")
    {
        now.insert("storage".into(), size.clone());
    }
    wanted.volume_attributes_class_name.clone_from(&before.volume_attributes_class_name);
    if desired::changed(&allowed, old, "spec") {
        let changes = desired::differences(&allowed, old, "spec").join("\n");
        let why = format!(
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound \
             claims\n{changes}"
        );
        errs.push(Error::forbidden(&Path::new("spec"), why));
    }
    let have = old.status.as_ref().and_then(|s| s.capacity.as_ref()?.get("storage"));
    let have = have.map_or(Quantity::ZERO, QuantityExt::amount);
    if new.requested() < old.requested() && new.requested() <= have {
        let path = Path::new("spec").child("resources").child("requests").child("storage");
        errs.push(Error::forbidden(&path, "field can not be less than status.capacity"));
    }
    let mode = |c: &PersistentVolumeClaim| c.spec.as_ref().and_then(|s| s.volume_mode.clone());
    if mode(new) != mode(old) {
        let shown = mode(new).unwrap_or_default();
        errs.push(Error::invalid(&Path::new("volumeMode"), &shown, "field is immutable"));
    }
    errs
}

pub(super) fn status(claim: &PersistentVolumeClaim) -> ErrorList {
    let path = Path::new("status");
    let status = claim.status.clone().unwrap_or_default();
    let mut errs = ErrorList::new();
    for (resource, amount) in status.capacity.iter().flatten() {
        errs.extend(quantity_errors(resource, amount, &path.child("capacity").key(resource)));
    }
    const STATES: &[&str] = &[
        "ControllerResizeInProgress",
        "ControllerResizeInfeasible",
        "NodeResizePending",
        "NodeResizeInProgress",
        "NodeResizeInfeasible",
    ];
    for (resource, state) in status.allocated_resource_statuses.iter().flatten() {
        let at = path.child("allocatedResourceStatus").key(resource);
        if resource != "storage" && !resource.contains('/') {
            errs.push(Error::not_supported(&at, resource, &["storage"]));
        } else if !STATES.contains(&state.as_str()) {
            errs.push(Error::not_supported(&at, state, STATES));
        }
    }
    for (resource, amount) in status.allocated_resources.iter().flatten() {
        errs.extend(quantity_errors(resource, amount, &path.child("allocatedResources").key(resource)));
    }
    errs
}

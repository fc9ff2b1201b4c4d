//! Rules for what containers mount.

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;
use k8s_openapi::api::core::v1::{Container, VolumeMount};

use super::Context;
use crate::check::{known, required};

/// `volumeMounts`
pub(super) fn mounts(container: &Container, context: &Context<'_>, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let mut paths = BTreeSet::new();
    for (i, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let at = path.index(i);
        errs.extend(required(&at.child("name"), &mount.name));
        if !context.volumes.contains_key(&*mount.name) {
            errs.push(Error::not_found(&at.child("name"), &mount.name));
        }
        errs.extend(required(&at.child("mountPath"), &mount.mount_path));
        if !paths.insert(&mount.mount_path) {
            errs.push(Error::invalid(&at.child("mountPath"), &mount.mount_path, "must be unique"));
        }
        let devices = || container.volume_devices.iter().flatten();
        if devices().any(|d| d.name == mount.name) {
            let detail = "must not already exist in volumeDevices";
            errs.push(Error::invalid(&at.child("name"), &mount.name, detail));
        }
        if devices().any(|d| d.device_path == mount.mount_path) {
            let detail = "must not already exist as a path in volumeDevices";
            errs.push(Error::invalid(&at.child("mountPath"), &mount.mount_path, detail));
        }
        errs.extend(sub_paths(mount, path, &at));
        errs.extend(propagation(mount, container, &path.child("mountPropagation")));
        errs.extend(recursive_read_only(mount, &path.child("recursiveReadOnly")));
    }
    errs
}

/// Upstream blames the list, not the item, for a bad path; so does this.
fn sub_paths(mount: &VolumeMount, list: &Path, at: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let sub_path = mount.sub_path.as_deref().unwrap_or_default();
    let expression = mount.sub_path_expr.as_deref().unwrap_or_default();
    errs.extend(names::local_descending_path(sub_path, &list.child("subPath")));
    if !expression.is_empty() && !sub_path.is_empty() {
        let detail = "subPathExpr and subPath are mutually exclusive";
        errs.push(Error::invalid(&at.child("subPathExpr"), expression, detail));
    }
    errs.extend(names::local_descending_path(expression, &list.child("subPathExpr")));
    errs
}

fn propagation(mount: &VolumeMount, container: &Container, path: &Path) -> ErrorList {
    let Some(mode) = mount.mount_propagation.as_deref() else { return ErrorList::new() };
    let mut errs = known(path, mode, &["Bidirectional", "HostToContainer", "None"]);
    let privileged = container.security_context.as_ref().is_some_and(|s| s.privileged == Some(true));
    if mode == "Bidirectional" && !privileged {
        let detail = "Bidirectional mount propagation is available only to privileged containers";
        errs.push(Error::forbidden(path, detail));
    }
    errs
}

fn recursive_read_only(mount: &VolumeMount, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    match mount.recursive_read_only.as_deref() {
        None | Some("Disabled") => {}
        Some("Enabled" | "IfPossible") => {
            if mount.read_only != Some(true) {
                errs.push(Error::forbidden(path, "may only be specified when readOnly is true"));
            }
            if mount.mount_propagation.as_deref().is_some_and(|p| p != "None") {
                errs.push(Error::forbidden(
                    path,
                    "may only be specified when mountPropagation is None or not specified",
                ));
            }
        }
        Some(other) => {
            errs.push(Error::not_supported(path, other, &["Disabled", "Enabled", "IfPossible"]));
        }
    }
    errs
}

/// `volumeDevices`: raw blocks, which only claims have.
pub(super) fn devices(container: &Container, context: &Context<'_>, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let mut names = BTreeSet::new();
    let mut paths = BTreeSet::new();
    for (i, device) in container.volume_devices.iter().flatten().enumerate() {
        let at = path.index(i);
        let (name, place) = (at.child("name"), at.child("devicePath"));
        errs.extend(required(&name, &device.name));
        if !device.name.is_empty() && !names.insert(&device.name) {
            errs.push(Error::invalid(&name, &device.name, "must be unique"));
        }
        match context.volumes.get(&*device.name) {
            None => errs.push(Error::not_found(&name, &device.name)),
            Some(v) if v.persistent_volume_claim.is_none() && v.ephemeral.is_none() => {
                let detail =
                    "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
                errs.push(Error::invalid(&name, &device.name, detail));
            }
            Some(_) => {}
        }
        errs.extend(required(&place, &device.device_path));
        if paths.contains(&device.device_path) {
            errs.push(Error::invalid(&place, &device.device_path, "must be unique"));
        }
        if device.device_path.split('/').any(|part| part == "..") {
            let detail = "can not contain backsteps ('..')";
            errs.push(Error::invalid(&place, &device.device_path, detail));
        } else {
            paths.insert(&device.device_path);
        }
        let mounts = || container.volume_mounts.iter().flatten();
        if mounts().any(|m| m.name == device.name) {
            errs.push(Error::invalid(&name, &device.name, "must not already exist in volumeMounts"));
        }
        if mounts().any(|m| m.mount_path == device.device_path) {
            let detail = "must not already exist as a path in volumeMounts";
            errs.push(Error::invalid(&place, &device.device_path, detail));
        }
    }
    errs
}

//! Volumes of storage: claims, CSI, images, and the older kinds, which have to be well formed though nothing here
//! mounts them.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;
use k8s_openapi::api::core::v1::{CSIVolumeSource, EphemeralVolumeSource, Volume};

use super::super::containers::pull_policy;
use crate::check::{each, required};
use crate::core::storage::older::older;

/// The sources of this sort that the volume has, each with what is wrong with it.
pub(super) fn sources(volume: &Volume, pod: Option<&str>, path: &Path) -> Vec<(&'static str, ErrorList)> {
    let mut found = older!(*volume, *path);
    if let Some(source) = &volume.git_repo {
        let path = path.child("gitRepo");
        found.push(("gitRepo", required(&path.child("repository"), &source.repository)));
    }
    if let Some(claim) = &volume.persistent_volume_claim {
        let path = path.child("persistentVolumeClaim");
        found.push(("persistentVolumeClaim", required(&path.child("claimName"), &claim.claim_name)));
    }
    if let Some(source) = &volume.csi {
        found.push(("csi", csi(source, &path.child("csi"))));
    }
    if let Some(source) = &volume.ephemeral {
        let mut errs = ephemeral(source, &path.child("ephemeral"));
        if let Some(pod) = pod.filter(|p| !p.is_empty() && !volume.name.is_empty()) {
            let claim = format!("{pod}-{}", volume.name);
            let messages = names::dns1123_subdomain(&claim).into_iter();
            let named = messages.map(|m| format!("PVC name {claim:?}: {m}")).collect();
            errs.extend(each(&path.child("name"), &volume.name, named));
        }
        found.push(("ephemeral", errs));
    }
    if let Some(source) = &volume.image {
        let path = path.child("image");
        let mut errs = ErrorList::new();
        if pod.is_some() {
            errs.extend(required(&path.child("reference"), source.reference.as_deref().unwrap_or_default()));
        }
        let policy = source.pull_policy.as_deref().unwrap_or_default();
        errs.extend(pull_policy(policy, &path.child("pullPolicy")));
        found.push(("image", errs));
    }
    found
}

fn csi(source: &CSIVolumeSource, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let driver = path.child("driver");
    match &*source.driver {
        "" => errs.push(Error::required(&driver, "")),
        name if name.len() > 63 => errs.push(Error::too_long(&driver, 63)),
        name => errs.extend(each(&driver, name, names::dns1123_subdomain(&name.to_lowercase()))),
    }
    if let Some(secret) = &source.node_publish_secret_ref {
        let path = path.child("nodePublishSecretRef").child("name");
        errs.extend(match &*secret.name {
            "" => [Error::required(&path, "")].into_iter().collect(),
            name => each(&path, name, names::dns1123_subdomain(name)),
        });
    }
    errs
}

fn ephemeral(source: &EphemeralVolumeSource, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let path = path.child("volumeClaimTemplate");
    let Some(template) = &source.volume_claim_template else {
        errs.push(Error::required(&path, ""));
        return errs;
    };
    let path = path.child("spec");
    let spec = &template.spec;
    let modes = spec.access_modes.as_deref().unwrap_or_default();
    if modes.is_empty() {
        errs.push(Error::required(&path.child("accessModes"), "at least 1 access mode is required"));
    }
    const MODES: &[&str] = &["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
    for mode in modes.iter().filter(|m| !MODES.contains(&m.as_str())) {
        errs.push(Error::not_supported(&path.child("accessModes"), mode, MODES));
    }
    let requests = spec.resources.as_ref().and_then(|r| r.requests.as_ref());
    let size = path.child("resources").key("storage");
    match requests.and_then(|r| r.get("storage")) {
        None => errs.push(Error::required(&size, "")),
        Some(amount) => {
            use crate::quantity::QuantityExt;
            if amount.amount().signum() <= 0 {
                errs.push(Error::invalid(&size, &amount.0, "must be greater than zero"));
            }
        }
    }
    errs
}

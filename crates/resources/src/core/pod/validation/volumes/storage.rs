//! Volumes of storage: claims, CSI, images, and the older kinds, which have to be well formed though nothing here
//! mounts them.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;
use k8s_openapi::api::core::v1::{CSIVolumeSource, EphemeralVolumeSource, Volume};

use super::super::containers::pull_policy;
use crate::check::{each, required};
use crate::core::storage::{Iscsi, iscsi_errors};

/// The sources of this sort that the volume has, each with what is wrong with it.
pub(super) fn sources(volume: &Volume, pod: Option<&str>, path: &Path) -> Vec<(&'static str, ErrorList)> {
    let mut found = older(volume, path);
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

/// Kinds of the days before CSI. Their required fields are checked, their values left to drivers that do not exist.
fn older(volume: &Volume, path: &Path) -> Vec<(&'static str, ErrorList)> {
    let mut found: Vec<(&'static str, ErrorList)> = Vec::new();
    if let Some(s) = &volume.nfs {
        let path = path.child("nfs");
        let mut errs = required(&path.child("server"), &s.server);
        errs.extend(required(&path.child("path"), &s.path));
        if !s.path.is_empty() {
            errs.extend(each(&path.child("path"), &s.path, names::absolute_path(&s.path)));
        }
        found.push(("nfs", errs));
    }
    if let Some(s) = &volume.iscsi {
        let chap = s.chap_auth_discovery == Some(true) || s.chap_auth_session == Some(true);
        let volume = Iscsi {
            portal: &s.target_portal,
            iqn: &s.iqn,
            lun: s.lun,
            initiator: s.initiator_name.as_deref(),
            lacks_secret: chap && s.secret_ref.is_none(),
        };
        found.push(("iscsi", iscsi_errors(&volume, &path.child("iscsi"))));
    }
    let mut add = |field: &'static str, needed: &[(&str, bool)]| {
        let missing = needed.iter().filter(|(_, given)| !given);
        let errs = missing.map(|(name, _)| Error::required(&path.child(field).child(name), "")).collect();
        found.push((field, errs));
    };
    let given = |text: &str| !text.is_empty();
    let some = |text: &Option<String>| text.as_ref().is_some_and(|t| !t.is_empty());
    if let Some(s) = &volume.git_repo {
        add("gitRepo", &[("repository", given(&s.repository))]);
    }
    if let Some(s) = &volume.gce_persistent_disk {
        add("gcePersistentDisk", &[("pdName", given(&s.pd_name))]);
    }
    if let Some(s) = &volume.aws_elastic_block_store {
        add("awsElasticBlockStore", &[("volumeID", given(&s.volume_id))]);
    }
    if let Some(s) = &volume.glusterfs {
        add("glusterfs", &[("endpoints", given(&s.endpoints)), ("path", given(&s.path))]);
    }
    if let Some(s) = &volume.flocker {
        add("flocker", &[("datasetName", some(&s.dataset_name) || some(&s.dataset_uuid))]);
    }
    if let Some(s) = &volume.rbd {
        add("rbd", &[("monitors", !s.monitors.is_empty()), ("image", given(&s.image))]);
    }
    if let Some(s) = &volume.cinder {
        add("cinder", &[("volumeID", given(&s.volume_id))]);
    }
    if let Some(s) = &volume.cephfs {
        add("cephfs", &[("monitors", !s.monitors.is_empty())]);
    }
    if let Some(s) = &volume.quobyte {
        add("quobyte", &[("registry", given(&s.registry)), ("volume", given(&s.volume))]);
    }
    if let Some(s) = &volume.fc {
        let ids = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|l| !l.is_empty());
        add("fc", &[("targetWWNs", ids(&s.target_wwns) || ids(&s.wwids))]);
    }
    if let Some(s) = &volume.flex_volume {
        add("flexVolume", &[("driver", given(&s.driver))]);
    }
    if let Some(s) = &volume.azure_file {
        add("azureFile", &[("secretName", given(&s.secret_name)), ("shareName", given(&s.share_name))]);
    }
    if let Some(s) = &volume.vsphere_volume {
        add("vsphereVolume", &[("volumePath", given(&s.volume_path))]);
    }
    if let Some(s) = &volume.photon_persistent_disk {
        add("photonPersistentDisk", &[("pdID", given(&s.pd_id))]);
    }
    if let Some(s) = &volume.portworx_volume {
        add("portworxVolume", &[("volumeID", given(&s.volume_id))]);
    }
    if let Some(s) = &volume.azure_disk {
        add("azureDisk", &[("diskName", given(&s.disk_name)), ("diskURI", given(&s.disk_uri))]);
    }
    if let Some(s) = &volume.storageos {
        add("storageos", &[("volumeName", some(&s.volume_name))]);
    }
    if let Some(s) = &volume.scale_io {
        add("scaleIO", &[("gateway", given(&s.gateway)), ("system", given(&s.system))]);
    }
    found
}

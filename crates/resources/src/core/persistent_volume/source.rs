//! Where a persistent volume's data is: exactly one of many fields.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeSpec};

use crate::check::{each, known, required};
use crate::core::storage::older::older;
use crate::fill;

/// As [`crate::core::pod::defaults`] for volumes of pods.
pub(super) fn defaults(spec: &mut PersistentVolumeSpec) {
    if let Some(iscsi) = &mut spec.iscsi {
        fill::text(&mut iscsi.iscsi_interface, "default");
    }
    if let Some(rbd) = &mut spec.rbd {
        fill::text(&mut rbd.pool, "rbd");
        fill::text(&mut rbd.user, "admin");
        fill::text(&mut rbd.keyring, "/etc/ceph/keyring");
    }
    if let Some(disk) = &mut spec.azure_disk {
        disk.caching_mode.get_or_insert_with(|| "ReadWrite".into());
        disk.kind.get_or_insert_with(|| "Shared".into());
        disk.fs_type.get_or_insert_with(|| "ext4".into());
        disk.read_only.get_or_insert(false);
    }
    if let Some(scale_io) = &mut spec.scale_io {
        fill::text(&mut scale_io.storage_mode, "ThinProvisioned");
        fill::text(&mut scale_io.fs_type, "xfs");
    }
}

/// The volume with nothing but its source, for comparing.
pub(super) fn only(volume: &PersistentVolume) -> PersistentVolume {
    let spec = volume.spec.clone().unwrap_or_default();
    let spec = PersistentVolumeSpec {
        access_modes: None,
        capacity: None,
        claim_ref: None,
        mount_options: None,
        node_affinity: None,
        persistent_volume_reclaim_policy: None,
        storage_class_name: None,
        volume_attributes_class_name: None,
        volume_mode: None,
        ..spec
    };
    PersistentVolume { spec: Some(spec), ..PersistentVolume::default() }
}

/// The sources that are given, each with what is wrong with it.
pub(super) fn given(spec: &PersistentVolumeSpec, path: &Path) -> Vec<(&'static str, ErrorList)> {
    let mut found = local(spec, path);
    found.extend(older!(*spec, *path));
    if let Some(csi) = &spec.csi {
        let path = path.child("csi");
        let driver = path.child("driver");
        let mut errs = match &*csi.driver {
            "" => required(&driver, ""),
            name if name.len() > 63 => [Error::too_long(&driver, 63)].into_iter().collect(),
            name => each(&driver, name, names::dns1123_subdomain(&name.to_lowercase())),
        };
        errs.extend(required(&path.child("volumeHandle"), &csi.volume_handle));
        let secrets = [
            ("controllerPublishSecretRef", &csi.controller_publish_secret_ref),
            ("controllerExpandSecretRef", &csi.controller_expand_secret_ref),
            ("nodePublishSecretRef", &csi.node_publish_secret_ref),
            ("nodeExpandSecretRef", &csi.node_expand_secret_ref),
        ];
        for (field, secret) in secrets.into_iter().filter_map(|(f, s)| Some((f, s.as_ref()?))) {
            let path = path.child(field);
            errs.extend(required(&path.child("name"), secret.name.as_deref().unwrap_or_default()));
            errs.extend(required(&path.child("namespace"), secret.namespace.as_deref().unwrap_or_default()));
        }
        found.push(("csi", errs));
    }
    found
}

/// Directories of nodes.
fn local(spec: &PersistentVolumeSpec, path: &Path) -> Vec<(&'static str, ErrorList)> {
    let mut found = Vec::new();
    if let Some(host) = &spec.host_path {
        let path = path.child("hostPath");
        let mut errs = required(&path.child("path"), &host.path);
        if errs.is_empty() {
            errs.extend(names::no_backsteps(&host.path, &path.child("path")));
        }
        const TYPES: &[&str] = &[
            "",
            "BlockDevice",
            "CharDevice",
            "Directory",
            "DirectoryOrCreate",
            "File",
            "FileOrCreate",
            "Socket",
        ];
        errs.extend(known(&path.child("type"), host.type_.as_deref().unwrap_or_default(), TYPES));
        found.push(("hostPath", errs));
    }
    if let Some(local) = &spec.local {
        let at = path.child("local").child("path");
        let mut errs = required(&at, &local.path);
        if errs.is_empty() {
            errs.extend(names::no_backsteps(&local.path, &at));
        }
        if spec.node_affinity.as_ref().is_none_or(|a| a.required.is_none()) {
            errs.push(Error::required(&path.child("nodeAffinity"), "Local volume requires node affinity"));
        }
        found.push(("local", errs));
    }
    found
}

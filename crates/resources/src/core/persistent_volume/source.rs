//! Where a persistent volume's data is: exactly one of many fields.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeSpec};

use crate::check::{each, known, required};
use crate::core::storage::{Iscsi, iscsi_errors};
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
    found.extend(older(spec, path));
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

/// Directories of nodes, and of file servers.
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
    if let Some(nfs) = &spec.nfs {
        let path = path.child("nfs");
        let mut errs = required(&path.child("server"), &nfs.server);
        errs.extend(required(&path.child("path"), &nfs.path));
        if !nfs.path.is_empty() {
            errs.extend(each(&path.child("path"), &nfs.path, names::absolute_path(&nfs.path)));
        }
        found.push(("nfs", errs));
    }
    if let Some(s) = &spec.iscsi {
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
    found
}

/// Kinds of the days before CSI: their required fields are checked, their values left to drivers that do not exist.
fn older(spec: &PersistentVolumeSpec, path: &Path) -> Vec<(&'static str, ErrorList)> {
    let mut found: Vec<(&'static str, ErrorList)> = Vec::new();
    let mut add = |field: &'static str, needed: &[(&str, bool)]| {
        let missing = needed.iter().filter(|(_, given)| !given);
        let errs = missing.map(|(name, _)| Error::required(&path.child(field).child(name), "")).collect();
        found.push((field, errs));
    };
    let given = |text: &str| !text.is_empty();
    let some = |text: &Option<String>| text.as_ref().is_some_and(|t| !t.is_empty());
    if let Some(s) = &spec.gce_persistent_disk {
        add("gcePersistentDisk", &[("pdName", given(&s.pd_name))]);
    }
    if let Some(s) = &spec.aws_elastic_block_store {
        add("awsElasticBlockStore", &[("volumeID", given(&s.volume_id))]);
    }
    if let Some(s) = &spec.glusterfs {
        add("glusterfs", &[("endpoints", given(&s.endpoints)), ("path", given(&s.path))]);
    }
    if let Some(s) = &spec.flocker {
        add("flocker", &[("datasetName", some(&s.dataset_name) || some(&s.dataset_uuid))]);
    }
    if let Some(s) = &spec.rbd {
        add("rbd", &[("monitors", !s.monitors.is_empty()), ("image", given(&s.image))]);
    }
    if let Some(s) = &spec.cinder {
        add("cinder", &[("volumeID", given(&s.volume_id))]);
    }
    if let Some(s) = &spec.cephfs {
        add("cephfs", &[("monitors", !s.monitors.is_empty())]);
    }
    if let Some(s) = &spec.quobyte {
        add("quobyte", &[("registry", given(&s.registry)), ("volume", given(&s.volume))]);
    }
    if let Some(s) = &spec.fc {
        let ids = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|l| !l.is_empty());
        add("fc", &[("targetWWNs", ids(&s.target_wwns) || ids(&s.wwids))]);
    }
    if let Some(s) = &spec.flex_volume {
        add("flexVolume", &[("driver", given(&s.driver))]);
    }
    if let Some(s) = &spec.azure_file {
        add("azureFile", &[("secretName", given(&s.secret_name)), ("shareName", given(&s.share_name))]);
    }
    if let Some(s) = &spec.vsphere_volume {
        add("vsphereVolume", &[("volumePath", given(&s.volume_path))]);
    }
    if let Some(s) = &spec.photon_persistent_disk {
        add("photonPersistentDisk", &[("pdID", given(&s.pd_id))]);
    }
    if let Some(s) = &spec.portworx_volume {
        add("portworxVolume", &[("volumeID", given(&s.volume_id))]);
    }
    if let Some(s) = &spec.azure_disk {
        add("azureDisk", &[("diskName", given(&s.disk_name)), ("diskURI", given(&s.disk_uri))]);
    }
    if let Some(s) = &spec.storageos {
        add("storageos", &[("volumeName", some(&s.volume_name))]);
    }
    if let Some(s) = &spec.scale_io {
        add("scaleIO", &[("gateway", given(&s.gateway)), ("system", given(&s.system))]);
    }
    found
}

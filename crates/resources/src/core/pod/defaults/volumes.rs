//! Defaults of volumes.

use k8s_openapi::api::core::v1::{EmptyDirVolumeSource, Volume, VolumeProjection};

use super::{downward_file, pull_policy};
use crate::fill;
use crate::quantity::text;

const FILE_MODE: i32 = 0o644;

/// A volume without any source is an emptyDir.
pub(super) fn volume(volume: &mut Volume) {
    let bare = Volume { name: volume.name.clone(), ..Volume::default() };
    if *volume == bare {
        volume.empty_dir = Some(EmptyDirVolumeSource::default());
    }
    if let Some(size) = volume.empty_dir.as_mut().and_then(|e| e.size_limit.as_mut())
        && let Ok(amount) = size.0.parse()
    {
        *size = text(amount);
    }
    files(volume);
    storage(volume);
    network_storage(volume);
}

/// Volumes whose content the cluster itself knows.
fn files(volume: &mut Volume) {
    if let Some(secret) = &mut volume.secret {
        secret.default_mode.get_or_insert(FILE_MODE);
    }
    if let Some(config) = &mut volume.config_map {
        config.default_mode.get_or_insert(FILE_MODE);
    }
    if let Some(downward) = &mut volume.downward_api {
        downward.default_mode.get_or_insert(FILE_MODE);
        downward.items.iter_mut().flatten().for_each(downward_file);
    }
    if let Some(projected) = &mut volume.projected {
        projected.default_mode.get_or_insert(FILE_MODE);
        projected.sources.iter_mut().flatten().for_each(projection);
    }
}

fn projection(source: &mut VolumeProjection) {
    if let Some(token) = &mut source.service_account_token {
        token.expiration_seconds.get_or_insert(3600);
    }
    if let Some(downward) = &mut source.downward_api {
        downward.items.iter_mut().flatten().for_each(downward_file);
    }
    if let Some(certificate) = &mut source.pod_certificate {
        certificate.max_expiration_seconds.get_or_insert(24 * 3600);
    }
}

fn storage(volume: &mut Volume) {
    if let Some(path) = &mut volume.host_path {
        path.type_.get_or_insert_default();
    }
    if let Some(image) = &mut volume.image {
        let policy = pull_policy(image.reference.as_deref());
        fill::text(&mut image.pull_policy, policy);
    }
    let template = volume.ephemeral.as_mut().and_then(|e| e.volume_claim_template.as_mut());
    if let Some(claim) = template {
        claim.spec.volume_mode.get_or_insert_with(|| "Filesystem".into());
    }
}

/// Sources of the days before CSI; nothing here mounts them, but their fields mean what they always meant.
fn network_storage(volume: &mut Volume) {
    if let Some(iscsi) = &mut volume.iscsi {
        fill::text(&mut iscsi.iscsi_interface, "default");
    }
    if let Some(rbd) = &mut volume.rbd {
        fill::text(&mut rbd.pool, "rbd");
        fill::text(&mut rbd.user, "admin");
        fill::text(&mut rbd.keyring, "/etc/ceph/keyring");
    }
    if let Some(disk) = &mut volume.azure_disk {
        disk.caching_mode.get_or_insert_with(|| "ReadWrite".into());
        disk.kind.get_or_insert_with(|| "Shared".into());
        disk.fs_type.get_or_insert_with(|| "ext4".into());
        disk.read_only.get_or_insert(false);
    }
    if let Some(scale_io) = &mut volume.scale_io {
        fill::text(&mut scale_io.storage_mode, "ThinProvisioned");
        fill::text(&mut scale_io.fs_type, "xfs");
    }
}

//! Fields behind feature gates that upstream leaves off: what a client puts there is dropped, as upstream drops it.

use k8s_openapi::api::core::v1::{
    Container, EphemeralContainer, KeyToPath, PodSpec, Probe, Volume, VolumeMount,
};

pub(super) fn drop_from(spec: &mut PodSpec) {
    spec.eviction_responders = None;
    spec.scheduling_group = None;
    spec.volumes.iter_mut().flatten().for_each(volume);
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        self::container(container);
    }
    spec.ephemeral_containers.iter_mut().flatten().for_each(ephemeral_container);
}

fn container(c: &mut Container) {
    for probe in [&mut c.liveness_probe, &mut c.readiness_probe, &mut c.startup_probe].into_iter().flatten() {
        self::probe(probe);
    }
    c.volume_mounts.iter_mut().flatten().for_each(mount);
}

fn ephemeral_container(c: &mut EphemeralContainer) {
    c.volume_mounts.iter_mut().flatten().for_each(mount);
}

fn probe(probe: &mut Probe) {
    if let Some(get) = &mut probe.http_get {
        get.protocol = None;
    }
    if let Some(grpc) = &mut probe.grpc {
        grpc.mode = None;
    }
}

fn mount(mount: &mut VolumeMount) {
    mount.bind_mount_options = None;
}

fn volume(volume: &mut Volume) {
    if let Some(dir) = &mut volume.empty_dir {
        dir.mode = None;
    }
    if let Some(secret) = &mut volume.secret {
        secret.default_user = None;
        secret.items.iter_mut().flatten().for_each(item);
    }
    if let Some(config) = &mut volume.config_map {
        config.default_user = None;
        config.items.iter_mut().flatten().for_each(item);
    }
    if let Some(downward) = &mut volume.downward_api {
        downward.default_user = None;
        downward.items.iter_mut().flatten().for_each(|i| i.user = None);
    }
    let Some(projected) = &mut volume.projected else { return };
    projected.default_user = None;
    for source in projected.sources.iter_mut().flatten() {
        let secret = source.secret.as_mut().and_then(|s| s.items.as_mut());
        let config = source.config_map.as_mut().and_then(|c| c.items.as_mut());
        secret.into_iter().chain(config).flatten().for_each(item);
        let downward = source.downward_api.as_mut().and_then(|d| d.items.as_mut());
        downward.into_iter().flatten().for_each(|i| i.user = None);
        if let Some(token) = &mut source.service_account_token {
            token.user = None;
        }
    }
}

fn item(item: &mut KeyToPath) {
    item.user = None;
}

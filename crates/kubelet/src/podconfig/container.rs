//! A container as the runtime is told.

use std::collections::BTreeMap;

use cri::{ContainerConfig, ContainerMetadata, Mount, MountPropagation, NamespaceMode};
use k8s_openapi::api::core::v1::{Container, Pod, VolumeMount};

use super::ConfigError;
use super::expand::expand;
use super::resources::{self, Machine};
use super::security::{self, NodeDefaults};
use crate::observed::label;
use crate::plan::{self, Start};
use crate::spec;

/// What has been found out before.
pub struct Given<'a> {
    pub start: &'a Start,
    pub image: &'a cri::Image,
    /// As `pull_image` and `image_status` name it.
    pub image_ref: String,
    pub env: Vec<(String, String)>,
    pub mounts: Vec<Mount>,
    pub machine: Machine,
    pub defaults: NodeDefaults<'a>,
    /// Container id of the one whose processes an ephemeral container sees.
    pub target: Option<String>,
}

/// The configuration.
pub fn container_config(
    pod: &Pod,
    container: &Container,
    given: Given<'_>,
) -> Result<ContainerConfig, ConfigError> {
    let known = |name: &str| given.env.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
    let expand_all = |list: &Option<Vec<String>>| {
        list.iter().flatten().map(|text| expand(text, &known)).collect::<Vec<_>>()
    };
    if container.volume_devices.as_ref().is_some_and(|d| !d.is_empty()) {
        return Err(ConfigError::new("block volumes (volumeDevices) are not supported by this kubelet"));
    }
    let mut security = security::security_context(pod, container, given.image, given.defaults)?;
    if let NamespaceMode::Target(name) = &security.namespaces.pid {
        let id =
            given.target.ok_or_else(|| ConfigError(format!("unable to find target container {name}")))?;
        security.namespaces.pid = NamespaceMode::Target(id);
    }
    Ok(ContainerConfig {
        metadata: ContainerMetadata { name: container.name.clone(), attempt: given.start.restart_count },
        image: given.image_ref,
        user_specified_image: container.image.clone().unwrap_or_default(),
        command: expand_all(&container.command),
        args: expand_all(&container.args),
        working_dir: container.working_dir.clone().unwrap_or_default(),
        mounts: given.mounts,
        devices: Vec::new(),
        labels: labels(pod, container),
        annotations: annotations(pod, container, given.start),
        log_path: format!("{}/{}.log", container.name, given.start.restart_count),
        stdin: container.stdin == Some(true),
        stdin_once: container.stdin_once == Some(true),
        tty: container.tty == Some(true),
        resources: resources::container_resources(pod, container, given.machine),
        security_context: security,
        stop_signal: container.lifecycle.as_ref().and_then(|l| l.stop_signal.clone()).unwrap_or_default(),
        envs: given.env,
    })
}

fn labels(pod: &Pod, container: &Container) -> BTreeMap<String, String> {
    let own = |s: &Option<String>| s.clone().unwrap_or_default();
    BTreeMap::from([
        (label::POD_NAME.into(), own(&pod.metadata.name)),
        (label::POD_NAMESPACE.into(), own(&pod.metadata.namespace)),
        (label::POD_UID.into(), own(&pod.metadata.uid)),
        (label::CONTAINER_NAME.into(), container.name.clone()),
    ])
}

fn annotations(pod: &Pod, container: &Container, start: &Start) -> BTreeMap<String, String> {
    let mut all = BTreeMap::from([
        (label::HASH.into(), plan::hash(container)),
        (label::RESTART_COUNT.into(), start.restart_count.to_string()),
        (label::BACK_OFF.into(), start.back_off.to_string()),
        (label::MESSAGE_PATH.into(), message_path(container).to_owned()),
        (label::MESSAGE_POLICY.into(), message_policy(container).to_owned()),
        (label::POD_GRACE.into(), spec::grace(pod).to_string()),
    ]);
    let ports: Vec<_> = container
        .ports
        .iter()
        .flatten()
        .map(|p| serde_json::json!({"containerPort": p.container_port, "protocol": p.protocol, "name": p.name}))
        .collect();
    if !ports.is_empty() {
        all.insert(label::PORTS.into(), serde_json::Value::Array(ports).to_string());
    }
    all
}

/// Where the container may say why it ends.
pub fn message_path(container: &Container) -> &str {
    container.termination_message_path.as_deref().filter(|p| !p.is_empty()).unwrap_or("/dev/termination-log")
}

pub fn message_policy(container: &Container) -> &str {
    container.termination_message_policy.as_deref().unwrap_or("File")
}

/// A volume's mount; `host_path` is the volume's directory, or what subPath names below it.
pub fn volume_mount(mount: &VolumeMount, host_path: String, readonly: bool) -> Result<Mount, ConfigError> {
    if mount.bind_mount_options.as_ref().is_some_and(|o| !o.is_empty()) {
        // Behind a feature gate upstream, off by default.
        return Err(ConfigError(format!(
            "volumeMount {:?}: bindMountOptions is not supported by this kubelet",
            mount.name
        )));
    }
    // Relative to the root, wherever the image's working directory is.
    let container_path = match mount.mount_path.starts_with('/') {
        true => mount.mount_path.clone(),
        false => format!("/{}", mount.mount_path),
    };
    let readonly = readonly || mount.read_only == Some(true);
    Ok(Mount {
        container_path,
        host_path,
        readonly,
        recursive_readonly: readonly
            && matches!(mount.recursive_read_only.as_deref(), Some("Enabled" | "IfPossible")),
        propagation: match mount.mount_propagation.as_deref() {
            Some("HostToContainer") => MountPropagation::HostToContainer,
            Some("Bidirectional") => MountPropagation::Bidirectional,
            _ => MountPropagation::Private,
        },
        ..Mount::default()
    })
}

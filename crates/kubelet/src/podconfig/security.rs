//! A container's security context: its own over the pod's.

use std::path::Path;

use cri::{LinuxContainerSecurityContext, NamespaceMode, NamespaceOptions, SecurityProfile};
use k8s_openapi::api::core::v1::{Container, Pod, PodSecurityContext, SeccompProfile, SecurityContext};

use super::ConfigError;
use crate::spec;

/// What the node decides.
#[derive(Clone, Copy, Debug)]
pub struct NodeDefaults<'a> {
    /// Containers that say nothing get RuntimeDefault.
    pub seccomp_default: bool,
    /// Where Localhost profiles are.
    pub seccomp_dir: &'a Path,
}

/// Whose namespaces the pod's containers use.
pub fn namespaces(pod: &Pod) -> NamespaceOptions {
    let spec = spec::of(pod);
    let host =
        |own: Option<bool>, else_: NamespaceMode| if own == Some(true) { NamespaceMode::Node } else { else_ };
    let pid = if spec.share_process_namespace == Some(true) {
        NamespaceMode::Pod
    } else {
        NamespaceMode::Container
    };
    NamespaceOptions {
        network: host(spec.host_network, NamespaceMode::Pod),
        pid: host(spec.host_pid, pid),
        ipc: host(spec.host_ipc, NamespaceMode::Pod),
        userns: None,
    }
}

/// The context to run `container` with; `image` is what it runs.
pub fn security_context(
    pod: &Pod,
    container: &Container,
    image: &cri::Image,
    node: NodeDefaults<'_>,
) -> Result<LinuxContainerSecurityContext, ConfigError> {
    let empty_pod = PodSecurityContext::default();
    let empty = SecurityContext::default();
    let of_pod = spec::of(pod).security_context.as_ref().unwrap_or(&empty_pod);
    let own = container.security_context.as_ref().unwrap_or(&empty);
    let run_as_user = own.run_as_user.or(of_pod.run_as_user);
    if own.run_as_non_root.or(of_pod.run_as_non_root) == Some(true) {
        verify_non_root(pod, container, run_as_user, image)?;
    }
    let capabilities = own.capabilities.clone().unwrap_or_default();
    let mut groups = of_pod.supplemental_groups.clone().unwrap_or_default();
    groups.extend(of_pod.fs_group);
    let mut namespaces = namespaces(pod);
    if let Some(target) = spec::target_of(pod, &container.name) {
        // Replaced by the target's id when it is known.
        namespaces.pid = NamespaceMode::Target(target.to_owned());
    }
    Ok(LinuxContainerSecurityContext {
        add_capabilities: capabilities.add.unwrap_or_default(),
        drop_capabilities: capabilities.drop.unwrap_or_default(),
        privileged: own.privileged == Some(true),
        namespaces,
        run_as_user: run_as_user.or(image.uid),
        run_as_group: own.run_as_group.or(of_pod.run_as_group),
        run_as_username: if run_as_user.is_none() { image.username.clone() } else { String::new() },
        readonly_rootfs: own.read_only_root_filesystem == Some(true),
        supplemental_groups: groups,
        supplemental_groups_strict: of_pod.supplemental_groups_policy.as_deref() == Some("Strict"),
        no_new_privs: own.allow_privilege_escalation == Some(false),
        masked_paths: Vec::new(),
        readonly_paths: Vec::new(),
        unmasked_proc: own.proc_mount.as_deref() == Some("Unmasked"),
        seccomp: seccomp(own, of_pod, node)?,
    })
}

fn verify_non_root(
    pod: &Pod,
    container: &Container,
    run_as_user: Option<i64>,
    image: &cri::Image,
) -> Result<(), ConfigError> {
    let which = format!("(pod: {:?}, container: {})", spec::full_name(pod), container.name);
    match run_as_user {
        Some(0) => Err(ConfigError(format!("container's runAsUser breaks non-root policy {which}"))),
        Some(_) => Ok(()),
        None if image.uid.is_none() && !image.username.is_empty() => Err(ConfigError(format!(
            "container has runAsNonRoot and image has non-numeric user ({}), cannot verify user is non-root {which}",
            image.username
        ))),
        None if image.uid.unwrap_or(0) == 0 => {
            Err(ConfigError(format!("container has runAsNonRoot and image will run as root {which}")))
        }
        None => Ok(()),
    }
}

fn seccomp(
    own: &SecurityContext,
    of_pod: &PodSecurityContext,
    node: NodeDefaults<'_>,
) -> Result<SecurityProfile, ConfigError> {
    if own.privileged == Some(true) {
        return Ok(SecurityProfile::Unconfined);
    }
    match own.seccomp_profile.as_ref().or(of_pod.seccomp_profile.as_ref()) {
        None if node.seccomp_default => Ok(SecurityProfile::RuntimeDefault),
        None => Ok(SecurityProfile::Unconfined),
        Some(profile) => profile_of(profile, node.seccomp_dir),
    }
}

/// A profile as the runtime knows it.
pub fn profile_of(profile: &SeccompProfile, dir: &Path) -> Result<SecurityProfile, ConfigError> {
    match profile.type_.as_str() {
        "RuntimeDefault" => Ok(SecurityProfile::RuntimeDefault),
        "Unconfined" => Ok(SecurityProfile::Unconfined),
        "Localhost" => {
            let name = profile.localhost_profile.as_deref().filter(|n| !n.is_empty()).ok_or_else(|| {
                ConfigError::new("localhostProfile must be set if seccompProfile type is Localhost.")
            })?;
            Ok(SecurityProfile::Localhost(dir.join(name).to_string_lossy().into_owned()))
        }
        other => Err(ConfigError(format!("unknown seccompProfile type {other:?}"))),
    }
}

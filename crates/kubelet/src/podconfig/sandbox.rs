//! A pod's sandbox as the runtime is told.

use cri::{
    DnsConfig, NamespaceOptions, PodSandboxConfig, PodSandboxMetadata, PortMapping, Protocol,
    SecurityProfile, UserNamespace,
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::security::{self, NodeDefaults};
use super::{ConfigError, hosts};
use crate::observed::label;
use crate::paths::Paths;
use crate::spec;

/// What is decided outside of the pod.
pub struct Given<'a> {
    pub attempt: u32,
    pub dns: DnsConfig,
    pub cluster_domain: &'a str,
    pub cgroup_parent: String,
    pub paths: &'a Paths,
    pub defaults: NodeDefaults<'a>,
    pub now: Timestamp,
    /// With `hostUsers: false`.
    pub userns: Option<UserNamespace>,
}

/// The configuration; the same for the sandbox's creation and for each container's.
pub fn sandbox_config(pod: &Pod, given: Given<'_>) -> Result<PodSandboxConfig, ConfigError> {
    let spec = spec::of(pod);
    let own = |s: &Option<String>| s.clone().unwrap_or_default();
    let meta = &pod.metadata;
    let metadata = PodSandboxMetadata {
        name: own(&meta.name),
        uid: own(&meta.uid),
        namespace: own(&meta.namespace),
        attempt: given.attempt,
    };
    let mut labels = meta.labels.clone().unwrap_or_default();
    labels.insert(label::POD_NAME.into(), metadata.name.clone());
    labels.insert(label::POD_NAMESPACE.into(), metadata.namespace.clone());
    labels.insert(label::POD_UID.into(), metadata.uid.clone());
    let mut annotations = meta.annotations.clone().unwrap_or_default();
    annotations.entry("kubernetes.io/config.seen".into()).or_insert_with(|| given.now.to_string());
    annotations.entry("kubernetes.io/config.source".into()).or_insert_with(|| "api".into());
    annotations.insert(label::POD_GRACE.into(), spec::grace(pod).to_string());
    let security = spec.security_context.clone().unwrap_or_default();
    let mut groups = security.supplemental_groups.unwrap_or_default();
    groups.extend(security.fs_group);
    let seccomp = match &security.seccomp_profile {
        Some(profile) => security::profile_of(profile, given.defaults.seccomp_dir)?,
        None if given.defaults.seccomp_default => SecurityProfile::RuntimeDefault,
        None => SecurityProfile::Unconfined,
    };
    let hostname = match spec::host_network(pod) {
        true => String::new(),
        false => hosts::uts_hostname(pod, given.cluster_domain).map_err(ConfigError)?,
    };
    Ok(PodSandboxConfig {
        log_directory: given.paths.pod_logs(pod).to_string_lossy().into_owned(),
        metadata,
        hostname,
        dns: Some(given.dns),
        port_mappings: port_mappings(pod),
        labels,
        annotations,
        cgroup_parent: given.cgroup_parent,
        namespaces: NamespaceOptions { userns: given.userns, ..security::namespaces(pod) },
        sysctls: security.sysctls.into_iter().flatten().map(|s| (s.name, s.value)).collect(),
        privileged: spec::all(pod)
            .any(|s| s.container.security_context.as_ref().is_some_and(|c| c.privileged == Some(true))),
        seccomp,
        supplemental_groups: groups,
    })
}

fn port_mappings(pod: &Pod) -> Vec<PortMapping> {
    if spec::host_network(pod) {
        return Vec::new();
    }
    let ports =
        spec::init(pod).chain(spec::main(pod)).flat_map(|s| s.container.ports.clone().unwrap_or_default());
    ports
        .filter_map(|port| {
            Some(PortMapping {
                protocol: match port.protocol.as_deref() {
                    Some("UDP") => Protocol::Udp,
                    Some("SCTP") => Protocol::Sctp,
                    _ => Protocol::Tcp,
                },
                container_port: u16::try_from(port.container_port).ok()?,
                host_port: u16::try_from(port.host_port?).ok().filter(|p| *p > 0)?,
                host_ip: port.host_ip.unwrap_or_default(),
            })
        })
        .collect()
}

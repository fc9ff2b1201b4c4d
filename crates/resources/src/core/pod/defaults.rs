//! What an absent field of a pod means. [`pod`] for pods, [`template`] for what pods are made from.

use k8s_openapi::api::core::v1::{
    Container, ContainerPort, DownwardAPIVolumeFile, EnvVar, EphemeralContainer, LifecycleHandler, Pod,
    PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ResourceRequirements,
};

use super::requests::{container_limits, container_requests, is_pod_level};
use super::{ContainerExt, PodExt};
use crate::fill;
use crate::quantity::{Amounts, ResourceList, canonicalize, canonicalize_requirements, text};

mod disabled;
mod volumes;

pub const GRACE_SECONDS: i64 = 30;

/// Defaults of a pod itself: those of its spec and those that templates do not get.
pub fn pod(pod: &mut Pod) {
    let host_network = pod.uses_host_network();
    if let Some(status) = &mut pod.status {
        status_lists(status);
    }
    let Some(spec) = &mut pod.spec else { return };
    self::spec(spec);
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        requests_from_limits(container);
        if host_network {
            host_ports_from_ports(container);
        }
    }
    pod_level_resources(spec);
    spec.enable_service_links.get_or_insert(true);
}

/// Defaults of a pod template.
pub fn template(template: &mut PodTemplateSpec) {
    if let Some(spec) = &mut template.spec {
        self::spec(spec);
    }
}

/// Defaults that pods and templates share.
pub fn spec(spec: &mut PodSpec) {
    disabled::drop_from(spec);
    fill::text(&mut spec.dns_policy, "ClusterFirst");
    fill::text(&mut spec.restart_policy, "Always");
    fill::text(&mut spec.scheduler_name, "default-scheduler");
    spec.security_context.get_or_insert_with(PodSecurityContext::default);
    spec.termination_grace_period_seconds.get_or_insert(GRACE_SECONDS);
    service_account_names(spec);
    canonicalize(spec.overhead.as_mut());
    canonicalize_requirements(spec.resources.as_mut());
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        self::container(container);
    }
    spec.ephemeral_containers.iter_mut().flatten().for_each(ephemeral_container);
    spec.volumes.iter_mut().flatten().for_each(volumes::volume);
}

/// `serviceAccount` is the old name of `serviceAccountName`; both are kept the same.
fn service_account_names(spec: &mut PodSpec) {
    fill::none_if_empty(&mut spec.service_account_name);
    if spec.service_account_name.is_none() {
        fill::none_if_empty(&mut spec.service_account);
        spec.service_account_name = spec.service_account.clone();
    }
    spec.service_account = spec.service_account_name.clone();
}

fn container(c: &mut Container) {
    fill::text(&mut c.image_pull_policy, pull_policy(c.image.as_deref()));
    fill::text(&mut c.termination_message_path, "/dev/termination-log");
    fill::text(&mut c.termination_message_policy, "File");
    c.resources.get_or_insert_default();
    canonicalize_requirements(c.resources.as_mut());
    c.ports.iter_mut().flatten().for_each(port);
    c.env.iter_mut().flatten().for_each(env);
    for probe in [&mut c.liveness_probe, &mut c.readiness_probe, &mut c.startup_probe].into_iter().flatten() {
        self::probe(probe);
    }
    if let Some(lifecycle) = &mut c.lifecycle {
        let handlers = [&mut lifecycle.post_start, &mut lifecycle.pre_stop];
        handlers.into_iter().flatten().for_each(handler);
    }
}

fn ephemeral_container(c: &mut EphemeralContainer) {
    fill::text(&mut c.image_pull_policy, pull_policy(c.image.as_deref()));
    fill::text(&mut c.termination_message_path, "/dev/termination-log");
    fill::text(&mut c.termination_message_policy, "File");
    c.resources.get_or_insert_default();
    canonicalize_requirements(c.resources.as_mut());
    c.ports.iter_mut().flatten().for_each(port);
    c.env.iter_mut().flatten().for_each(env);
}

/// Only what may change behind its name is pulled always: `latest`, which is also what no tag means.
pub(super) fn pull_policy(image: Option<&str>) -> &'static str {
    let image = image.unwrap_or_default();
    let name = image.split('@').next().unwrap_or_default();
    let last = name.rsplit('/').next().unwrap_or_default();
    match last.split_once(':') {
        Some((_, "latest")) => "Always",
        None if !image.is_empty() && !image.contains('@') => "Always",
        _ => "IfNotPresent",
    }
}

fn port(port: &mut ContainerPort) {
    fill::text(&mut port.protocol, "TCP");
}

fn env(env: &mut EnvVar) {
    let Some(from) = &mut env.value_from else { return };
    if let Some(field) = &mut from.field_ref {
        fill::text(&mut field.api_version, "v1");
    }
    if let Some(resource) = &mut from.resource_field_ref {
        divisor(&mut resource.divisor);
    }
    if let Some(file) = &mut from.file_key_ref {
        file.optional.get_or_insert(false);
    }
}

/// Upstream's encoder shows the absent divisor as zero.
fn divisor(field: &mut Option<k8s_openapi::apimachinery::pkg::api::resource::Quantity>) {
    let amount = field.as_ref().map_or(Ok(apimachinery::Quantity::ZERO), |d| d.0.parse());
    if let Ok(amount) = amount {
        *field = Some(text(amount));
    }
}

fn downward_file(file: &mut DownwardAPIVolumeFile) {
    if let Some(field) = &mut file.field_ref {
        fill::text(&mut field.api_version, "v1");
    }
    if let Some(resource) = &mut file.resource_field_ref {
        divisor(&mut resource.divisor);
    }
}

fn probe(probe: &mut Probe) {
    fill::number(&mut probe.timeout_seconds, 1);
    fill::number(&mut probe.period_seconds, 10);
    fill::number(&mut probe.success_threshold, 1);
    fill::number(&mut probe.failure_threshold, 3);
    if let Some(get) = &mut probe.http_get {
        fill::text(&mut get.path, "/");
        fill::text(&mut get.scheme, "HTTP");
    }
    if let Some(grpc) = &mut probe.grpc {
        grpc.service.get_or_insert_default();
    }
}

fn handler(handler: &mut LifecycleHandler) {
    if let Some(get) = &mut handler.http_get {
        fill::text(&mut get.path, "/");
        fill::text(&mut get.scheme, "HTTP");
    }
}

fn requests_from_limits(container: &mut Container) {
    let Some(resources) = &mut container.resources else { return };
    let Some(limits) = &resources.limits else { return };
    let requests = resources.requests.get_or_insert_default();
    for (resource, limit) in limits {
        requests.entry(resource.clone()).or_insert_with(|| limit.clone());
    }
    if requests.is_empty() {
        resources.requests = None;
    }
}

fn host_ports_from_ports(container: &mut Container) {
    for port in container.ports.iter_mut().flatten() {
        fill::number(&mut port.host_port, port.container_port);
    }
}

/// Where the pod as a whole has resources, the halves that are absent follow from its containers.
fn pod_level_resources(spec: &mut PodSpec) {
    let Some(mut own) = spec.resources.take() else { return };
    let set = |list: &Option<ResourceList>| list.as_ref().is_some_and(|l| !l.is_empty());
    if set(&own.limits) || set(&own.requests) {
        huge_page_limits(&mut own, container_limits(spec));
    }
    if set(&own.limits) {
        requests_of_pod(&mut own, container_requests(spec));
    } else if set(&own.requests) {
        limits_of_pod(&mut own, spec);
    }
    spec.resources = Some(own);
}

fn huge_page_limits(own: &mut ResourceRequirements, containers: Amounts) {
    let requested = |resource: &str| own.requests.as_ref().is_some_and(|r| r.contains_key(resource));
    let huge = containers.0.into_iter().filter(|(r, _)| r.starts_with("hugepages-") && !requested(r));
    let add: Vec<_> = huge.collect();
    for (resource, limit) in add {
        own.limits.get_or_insert_default().entry(resource).or_insert(text(limit));
    }
}

fn requests_of_pod(own: &mut ResourceRequirements, containers: Amounts) {
    let requests = own.requests.get_or_insert_default();
    for (resource, amount) in containers.0 {
        if matches!(&*resource, "cpu" | "memory") {
            requests.entry(resource).or_insert(text(amount));
        }
    }
    for (resource, limit) in own.limits.iter().flatten() {
        if is_pod_level(resource) {
            requests.entry(resource.clone()).or_insert_with(|| limit.clone());
        }
    }
}

fn limits_of_pod(own: &mut ResourceRequirements, spec: &PodSpec) {
    let limited = |c: &Container, resource: &str| c.limits().0.contains_key(resource);
    let everywhere = |resource: &str| {
        let sidecars = spec.init_containers.iter().flatten();
        spec.containers.iter().chain(sidecars).all(|c| limited(c, resource))
    };
    for (resource, amount) in container_limits(spec).0 {
        if matches!(&*resource, "cpu" | "memory") && everywhere(&resource) {
            own.limits.get_or_insert_default().entry(resource).or_insert(text(amount));
        }
    }
}

fn status_lists(status: &mut k8s_openapi::api::core::v1::PodStatus) {
    one_pod_ip(status);
    canonicalize(status.allocated_resources.as_mut());
    canonicalize_requirements(status.resources.as_mut());
    let lists = [
        &mut status.container_statuses,
        &mut status.init_container_statuses,
        &mut status.ephemeral_container_statuses,
    ];
    for container in lists.into_iter().flatten().flatten() {
        canonicalize(container.allocated_resources.as_mut());
        canonicalize_requirements(container.resources.as_mut());
        container.state.get_or_insert_default();
        container.last_state.get_or_insert_default();
    }
}

/// The single address and the list say the same; where they differ, the single one is what older kubelets meant.
fn one_pod_ip(status: &mut k8s_openapi::api::core::v1::PodStatus) {
    let first = status.pod_ips.iter().flatten().next().map(|a| a.ip.clone());
    match status.pod_ip.clone().filter(|ip| !ip.is_empty()) {
        Some(ip) if first.as_ref() != Some(&ip) => {
            status.pod_ips = Some(vec![k8s_openapi::api::core::v1::PodIP { ip }]);
        }
        Some(_) => {}
        None => status.pod_ip = first,
    }
}

#[cfg(test)]
mod tests;

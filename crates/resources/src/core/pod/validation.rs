//! Rules for pods and their templates. Start at [`create`], [`template`] and, for changes, [`update`].

use std::collections::{BTreeMap, BTreeSet};

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;
use k8s_openapi::api::core::v1::{Pod, PodSpec, PodTemplateSpec, Volume};

use super::PodExt;
use crate::check::{each, each_number, one, one_of, required};

mod annotations;
mod containers;
mod env;
mod ephemeral;
mod mounts;
mod network;
mod os;
mod probes;
mod resize;
pub mod resources;
mod restart;
pub(crate) mod scheduling;
mod security;
mod spread;
mod status;
mod update;
mod volumes;

pub use ephemeral::update as ephemeral_update;
pub use resize::update as resize_update;
pub use status::update as status_update;
pub use update::update;

#[cfg(test)]
mod tests;

/// What the rules for one part of a pod have to know of the rest.
struct Context<'a> {
    /// The well-formed volumes, by name.
    volumes: BTreeMap<&'a str, &'a Volume>,
    /// Names of `spec.resourceClaims`.
    claims: BTreeSet<&'a str>,
    grace: Option<i64>,
    restart_policy: &'a str,
    /// `linux` or `windows`, when the pod says so.
    os: Option<&'a str>,
    /// The pod's users are the node's users.
    host_users: bool,
    /// A pod itself rather than a template.
    is_pod: bool,
}

/// A new pod.
pub fn create(pod: &Pod) -> ErrorList {
    let spec = pod.pod_spec();
    let path = Path::new("spec");
    let mut errs = whole(pod);
    if spec.ephemeral_containers.as_ref().is_some_and(|c| !c.is_empty()) {
        errs.push(Error::forbidden(&path.child("ephemeralContainers"), "cannot be set on create"));
    }
    let gated = spec.scheduling_gates.as_ref().is_some_and(|g| !g.is_empty());
    if pod.node_name().is_some() && gated {
        errs.push(Error::forbidden(
            &path.child("nodeName"),
            "cannot be set until all schedulingGates have been cleared",
        ));
    }
    errs
}

/// A pod template at `path`.
pub fn template(template: &PodTemplateSpec, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let none = PodSpec::default();
    let spec = template.spec.as_ref().unwrap_or(&none);
    if let Some(meta) = &template.metadata {
        if let Some(labels) = &meta.labels {
            errs.extend(names::labels(labels, &path.child("labels")));
        }
        if let Some(texts) = &meta.annotations {
            let path = path.child("annotations");
            errs.extend(names::annotations(texts, &path));
            errs.extend(annotations::specific(texts, spec, &path));
        }
    }
    errs.extend(self::spec(spec, None, &path.child("spec")));
    if spec.ephemeral_containers.as_ref().is_some_and(|c| !c.is_empty()) {
        errs.push(Error::forbidden(
            &path.child("spec").child("ephemeralContainers"),
            "ephemeral containers not allowed in pod template",
        ));
    }
    errs
}

/// All rules that hold for a pod at any time.
fn whole(pod: &Pod) -> ErrorList {
    let path = Path::new("spec");
    let pod_spec = pod.pod_spec();
    let mut errs = ErrorList::new();
    if let Some(texts) = &pod.metadata.annotations {
        errs.extend(annotations::specific(texts, pod_spec, &Path::new("metadata").child("annotations")));
    }
    errs.extend(spec(pod_spec, pod.metadata.name.as_deref().or(Some("")), &path));
    errs.extend(volumes::tokens_need_account(pod_spec, &path.child("volumes")));
    for (list, name) in [
        (&pod_spec.containers[..], "containers"),
        (pod_spec.init_containers.as_deref().unwrap_or_default(), "initContainers"),
    ] {
        for (i, container) in list.iter().enumerate() {
            let image = container.image.as_deref().unwrap_or_default();
            errs.extend(containers::untrimmed_image(image, &path.child(name).index(i)));
        }
    }
    errs
}

/// The spec of a pod with the name `pod`, or of a template.
fn spec(spec: &PodSpec, pod: Option<&str>, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    if spec.termination_grace_period_seconds.is_none() {
        errs.push(Error::required(&path.child("terminationGracePeriodSeconds"), ""));
    }
    let list = spec.volumes.as_deref().unwrap_or_default();
    let (volumes, bad) = volumes::all(list, pod, &path.child("volumes"));
    errs.extend(bad);
    errs.extend(resources::pod_claims(spec, &path.child("resourceClaims")));
    let context = Context {
        volumes,
        claims: spec
            .resource_claims
            .iter()
            .flatten()
            .map(|c| c.name.as_str())
            .filter(|n| !n.is_empty())
            .collect(),
        grace: spec.termination_grace_period_seconds,
        restart_policy: spec.restart_policy.as_deref().unwrap_or_default(),
        os: spec.os.as_ref().map(|os| os.name.as_str()),
        host_users: spec.host_users != Some(false),
        is_pod: pod.is_some(),
    };
    errs.extend(containers::regular(spec, &context, &path.child("containers")));
    errs.extend(containers::init(spec, &context, &path.child("initContainers")));
    errs.extend(ephemeral::all(spec, &context, &path.child("ephemeralContainers")));
    errs.extend(resources::pod_level(spec, &context, &path.child("resources")));
    errs.extend(policies(spec, &context, path));
    errs.extend(security::pod(spec, &path.child("securityContext")));
    errs.extend(scheduling::affinity(spec.affinity.as_ref(), &path.child("affinity")));
    errs.extend(network::dns(spec, &path.child("dnsConfig")));
    errs.extend(scheduling::gates(spec, path));
    errs.extend(spread::all(spec, &path.child("topologySpreadConstraints")));
    errs.extend(network::host_users(spec, path));
    errs.extend(names_and_numbers(spec, path));
    errs.extend(network::aliases(spec, &path.child("hostAliases")));
    errs.extend(overhead(spec, &context, path));
    errs.extend(os::rules(spec, path));
    errs
}

fn policies(spec: &PodSpec, context: &Context<'_>, path: &Path) -> ErrorList {
    let mut errs = network::host_ports(spec, context, &path.child("containers"));
    errs.extend(one_of(
        &path.child("restartPolicy"),
        context.restart_policy,
        &["Always", "OnFailure", "Never"],
    ));
    errs.extend(one_of(
        &path.child("dnsPolicy"),
        spec.dns_policy.as_deref().unwrap_or_default(),
        &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
    ));
    if let Some(labels) = &spec.node_selector {
        errs.extend(names::labels(labels, &path.child("nodeSelector")));
    }
    errs
}

fn names_and_numbers(spec: &PodSpec, path: &Path) -> ErrorList {
    type Rule = fn(&str) -> Vec<String>;
    let mut errs = ErrorList::new();
    let mut named = |field: &str, value: &Option<String>, rule: Rule| {
        if let Some(value) = value.as_deref().filter(|v| !v.is_empty()) {
            errs.extend(each(&path.child(field), value, rule(value)));
        }
    };
    named("serviceAccountName", &spec.service_account_name, names::dns1123_subdomain);
    named("nodeName", &spec.node_name, names::dns1123_subdomain);
    named("hostname", &spec.hostname, names::dns1123_label);
    named("subdomain", &spec.subdomain, names::dns1123_label);
    named("priorityClassName", &spec.priority_class_name, names::dns1123_subdomain);
    named("runtimeClassName", &spec.runtime_class_name, names::dns1123_subdomain);
    errs.extend(network::hostname_override(spec, path));
    if let Some(seconds) = spec.active_deadline_seconds {
        let messages = names::in_range(seconds, 1, i64::from(i32::MAX));
        errs.extend(each_number(&path.child("activeDeadlineSeconds"), seconds, messages));
    }
    errs.extend(scheduling::tolerations(
        spec.tolerations.as_deref().unwrap_or_default(),
        &path.child("tolerations"),
    ));
    if let Some(policy) = &spec.preemption_policy {
        let path = path.child("preemptionPolicy");
        errs.extend(one_of(&path, policy, &["PreemptLowerPriority", "Never"]));
    }
    errs
}

fn overhead(spec: &PodSpec, context: &Context<'_>, path: &Path) -> ErrorList {
    let Some(overhead) = &spec.overhead else { return ErrorList::new() };
    let requirements = k8s_openapi::api::core::v1::ResourceRequirements {
        limits: Some(overhead.clone()),
        ..Default::default()
    };
    resources::container(&requirements, context, &path.child("overhead"))
}

/// A binding of a pod: to a node, by name.
pub fn binding(binding: &k8s_openapi::api::core::v1::Binding) -> ErrorList {
    let path = Path::new("target");
    let kind = binding.target.kind.as_deref().unwrap_or_default();
    let mut errs = one(!matches!(kind, "" | "Node"), || {
        Error::not_supported(&path.child("kind"), kind, &["Node", "<empty>"])
    });
    errs.extend(required(&path.child("name"), binding.target.name.as_deref().unwrap_or_default()));
    errs
}

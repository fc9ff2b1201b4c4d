//! What is allowed in a pod and yet hardly meant.

use apimachinery::field::Path;
use apimachinery::{Quantity, names};
use codec::Kind;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, PodTemplateSpec};

use super::PodExt;

#[cfg(test)]
mod tests;

/// Texts for `Warning` headers, in upstream's words.
pub(super) fn of(pod: &Pod) -> Vec<String> {
    let mut texts = of_name(pod.name(), "the Pod's hostname");
    texts.extend(of_spec(pod.pod_spec(), &Path::new("spec")));
    texts
}

/// For whatever makes pods after the template.
pub fn of_template<K: Kind>(maker: &K, template: Option<&PodTemplateSpec>) -> Vec<String> {
    let mut texts = of_maker(maker);
    if let Some(template) = template {
        texts.extend(of_template_at(template, &Path::new("spec").child("template")));
    }
    texts
}

/// For the name of whatever makes pods.
pub(crate) fn of_maker<K: Kind>(maker: &K) -> Vec<String> {
    of_name(maker.name(), "Pod names and hostnames")
}

/// For a template at `path`.
pub(crate) fn of_template_at(template: &PodTemplateSpec, path: &Path) -> Vec<String> {
    template.spec.as_ref().map(|spec| of_spec(spec, &path.child("spec"))).unwrap_or_default()
}

/// Names that are longer or more than a host's name may be.
fn of_name(name: &str, used_in: &str) -> Vec<String> {
    let faults = names::dns1123_label(name);
    if name.is_empty() || faults.is_empty() {
        return Vec::new();
    }
    let faults = faults.join(" ");
    vec![format!(
        "metadata.name: this is used in {used_in}, which can result in surprising behavior; a DNS label is \
         recommended: [{faults}]"
    )]
}

fn of_spec(spec: &PodSpec, path: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    if spec.termination_grace_period_seconds.is_some_and(|s| s < 0) {
        let path = path.child("terminationGracePeriodSeconds");
        texts.push(format!("{path}: must be >= 0; negative values are invalid and will be treated as 1"));
    }
    for (i, volume) in spec.volumes.iter().flatten().enumerate() {
        if volume.git_repo.is_some() {
            let path = path.child("volumes").index(i).child("gitRepo");
            texts.push(format!("{path}: deprecated in v1.11, and disabled by default in v1.33+"));
        }
    }
    texts.extend(pull_secrets(spec, &path.child("imagePullSecrets")));
    texts.extend(aliases(spec, &path.child("hostAliases")));
    let lists = [
        (spec.init_containers.as_deref().unwrap_or_default(), "initContainers"),
        (&spec.containers[..], "containers"),
    ];
    for (list, field) in lists {
        for (i, container) in list.iter().enumerate() {
            texts.extend(of_container(container, &path.child(field).index(i)));
        }
    }
    texts
}

fn pull_secrets(spec: &PodSpec, path: &Path) -> Vec<String> {
    let secrets = spec.image_pull_secrets.as_deref().unwrap_or_default();
    let mut texts = Vec::new();
    for (i, secret) in secrets.iter().enumerate() {
        if secret.name.is_empty() {
            let path = path.index(i);
            texts.push(format!("{path}: invalid empty name {:?}", secret.name));
        } else if secrets[..i].iter().any(|s| s.name == secret.name) {
            texts.push(format!("{}: duplicate name {:?}", path.index(i), secret.name));
        }
    }
    texts
}

fn aliases(spec: &PodSpec, path: &Path) -> Vec<String> {
    let aliases = spec.host_aliases.as_deref().unwrap_or_default();
    let again = aliases.iter().enumerate().filter(|(i, a)| aliases[..*i].iter().any(|b| b.ip == a.ip));
    again.map(|(i, a)| format!("{}: duplicate ip {:?}", path.index(i).child("ip"), a.ip)).collect()
}

fn of_container(container: &Container, path: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    let vars = container.env.as_deref().unwrap_or_default();
    for (i, var) in vars.iter().enumerate() {
        let Some(previous) = vars[..i].iter().rev().find(|v| v.name == var.name) else { continue };
        // A value that is made from the one before it is no accident.
        let refers = var.value.as_deref().is_some_and(|v| v.contains(&format!("$({})", previous.name)));
        if !refers {
            let path = path.child("env").index(i);
            let name = &var.name;
            texts.push(format!(
                "{path}: hides previous definition of {name:?}, which may be dropped when using apply"
            ));
        }
    }
    let ports = container.ports.as_deref().unwrap_or_default();
    for (i, port) in ports.iter().enumerate() {
        let same = ports[..i].iter().position(|p| {
            (p.container_port, &p.protocol, p.host_port, &p.host_ip)
                == (port.container_port, &port.protocol, port.host_port, &port.host_ip)
        });
        if let Some(first) = same {
            let (path, first) = (path.child("ports").index(i), path.child("ports").index(first));
            texts.push(format!("{path}: duplicate port definition with {first}"));
        }
    }
    texts.extend(fractions(container, &path.child("resources")));
    texts
}

/// There is no half a byte.
fn fractions(container: &Container, path: &Path) -> Vec<String> {
    let Some(resources) = &container.resources else { return Vec::new() };
    let mut texts = Vec::new();
    for (list, field) in [(&resources.requests, "requests"), (&resources.limits, "limits")] {
        for resource in ["memory", "ephemeral-storage"] {
            let Some(amount) = list.as_ref().and_then(|l| l.get(resource)) else { continue };
            if Quantity::parse(&amount.0).is_ok_and(|q| q.milli_value() % 1000 != 0) {
                let path = path.child(field).key(resource);
                texts.push(format!(
                    "{path}: fractional byte value {:?} is invalid, must be an integer",
                    amount.0
                ));
            }
        }
    }
    texts
}

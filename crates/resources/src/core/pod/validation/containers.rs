//! Rules for containers: what all sorts share, and what is special to ordinary and init containers.

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;
use k8s_openapi::api::core::v1::{Container, ContainerPort, ContainerResizePolicy, PodSpec};

use super::{Context, env, mounts, probes, resources, restart, security};
use crate::check::{each, each_number, one_of, required};
use crate::core::pod::ContainerExt;

/// The ordinary containers.
pub(super) fn regular(spec: &PodSpec, context: &Context<'_>, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    if spec.containers.is_empty() {
        errs.push(Error::required(path, ""));
        return errs;
    }
    let mut names = BTreeSet::new();
    for (i, container) in spec.containers.iter().enumerate() {
        let path = path.index(i);
        errs.extend(common(container, context, &path));
        if !names.insert(&container.name) {
            errs.push(Error::duplicate(&path.child("name"), &container.name));
        }
        errs.extend(probes::all(container, context, &path));
        errs.extend(restart::rules(container, &path));
    }
    errs.extend(host_port_conflicts(&spec.containers, path));
    errs
}

/// The init containers, sidecars among them.
pub(super) fn init(spec: &PodSpec, context: &Context<'_>, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let mut names: BTreeSet<_> = spec.containers.iter().map(|c| &c.name).collect();
    for (i, container) in spec.init_containers.iter().flatten().enumerate() {
        let at = path.index(i);
        errs.extend(common(container, context, &at));
        errs.extend(restart::rules(container, &at));
        if names.contains(&container.name) {
            errs.push(Error::duplicate(&at.child("name"), &container.name));
        } else if !container.name.is_empty() {
            names.insert(&container.name);
        }
        // They run one by one, so each may have the ports of another.
        errs.extend(host_port_conflicts(std::slice::from_ref(container), path));
        match container.is_restartable_init() {
            true => errs.extend(probes::all(container, context, &at)),
            false => errs.extend(nothing_that_watches(container, &at)),
        }
    }
    errs
}

/// A container that runs to its end is neither probed nor told of its life.
fn nothing_that_watches(container: &Container, path: &Path) -> ErrorList {
    let fields = [
        ("lifecycle", container.lifecycle.is_some()),
        ("livenessProbe", container.liveness_probe.is_some()),
        ("readinessProbe", container.readiness_probe.is_some()),
        ("startupProbe", container.startup_probe.is_some()),
    ];
    let set = fields.into_iter().filter(|(_, set)| *set);
    set.map(|(field, _)| {
        Error::forbidden(
            &path.child(field),
            "may not be set for init containers without restartPolicy=Always",
        )
    })
    .collect()
}

/// What holds for every sort of container.
pub(super) fn common(container: &Container, context: &Context<'_>, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let name = path.child("name");
    match &*container.name {
        "" => errs.push(Error::required(&name, "")),
        text => errs.extend(each(&name, text, names::dns1123_label(text))),
    }
    // A template may leave the image to whoever fills it in, by a blank.
    errs.extend(required(&path.child("image"), container.image.as_deref().unwrap_or_default()));
    errs.extend(one_of(
        &path.child("terminationMessagePolicy"),
        container.termination_message_policy.as_deref().unwrap_or_default(),
        &["File", "FallbackToLogsOnError"],
    ));
    errs.extend(ports(container.ports.as_deref().unwrap_or_default(), &path.child("ports")));
    errs.extend(env::vars(container.env.as_deref().unwrap_or_default(), context, &path.child("env")));
    errs.extend(env::sources(container.env_from.as_deref().unwrap_or_default(), &path.child("envFrom")));
    errs.extend(mounts::mounts(container, context, &path.child("volumeMounts")));
    errs.extend(mounts::devices(container, context, &path.child("volumeDevices")));
    errs.extend(pull_policy(
        container.image_pull_policy.as_deref().unwrap_or_default(),
        &path.child("imagePullPolicy"),
    ));
    if let Some(requirements) = &container.resources {
        errs.extend(resources::container(requirements, context, &path.child("resources")));
    }
    errs.extend(resize_policies(
        container.resize_policy.as_deref().unwrap_or_default(),
        context,
        &path.child("resizePolicy"),
    ));
    errs.extend(security::container(
        container.security_context.as_ref(),
        context,
        &path.child("securityContext"),
    ));
    errs
}

/// Of images and image volumes.
pub(super) fn pull_policy(policy: &str, path: &Path) -> ErrorList {
    one_of(path, policy, &["Always", "IfNotPresent", "Never"])
}

/// An image's name has no blanks around it (in pods; templates are older than the rule).
pub(super) fn untrimmed_image(image: &str, path: &Path) -> ErrorList {
    crate::check::one(image.trim() != image, || {
        Error::invalid(&path.child("image"), image, "must not have leading or trailing whitespace")
    })
}

fn ports(ports: &[ContainerPort], path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let mut seen = BTreeSet::new();
    for (i, port) in ports.iter().enumerate() {
        let path = path.index(i);
        if let Some(name) = port.name.as_deref().filter(|n| !n.is_empty()) {
            let messages = names::port_name(name);
            let good = messages.is_empty();
            errs.extend(each(&path.child("name"), name, messages));
            if good && !seen.insert(name) {
                errs.push(Error::duplicate(&path.child("name"), name));
            }
        }
        match i64::from(port.container_port) {
            0 => errs.push(Error::required(&path.child("containerPort"), "")),
            number => {
                errs.extend(each_number(&path.child("containerPort"), number, names::port_number(number)));
            }
        }
        if let Some(number) = port.host_port.map(i64::from).filter(|n| *n != 0) {
            errs.extend(each_number(&path.child("hostPort"), number, names::port_number(number)));
        }
        errs.extend(one_of(
            &path.child("protocol"),
            port.protocol.as_deref().unwrap_or_default(),
            &["SCTP", "TCP", "UDP"],
        ));
    }
    errs
}

/// A node's port is given out once.
fn host_port_conflicts(containers: &[Container], path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let mut taken = BTreeSet::new();
    for (i, container) in containers.iter().enumerate() {
        for (j, port) in container.ports.iter().flatten().enumerate() {
            let Some(number) = port.host_port.filter(|n| *n != 0) else { continue };
            let protocol = port.protocol.as_deref().unwrap_or_default();
            let place = format!("{protocol}/{}/{number}", port.host_ip.as_deref().unwrap_or_default());
            if taken.contains(&place) {
                let path = path.index(i).child("ports").index(j).child("hostPort");
                errs.push(Error::duplicate(&path, &place));
            }
            taken.insert(place);
        }
    }
    errs
}

fn resize_policies(policies: &[ContainerResizePolicy], context: &Context<'_>, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let mut seen = BTreeSet::new();
    for (i, policy) in policies.iter().enumerate() {
        if !seen.insert(&policy.resource_name) {
            errs.push(Error::duplicate(&path.index(i), &policy.resource_name));
        }
        errs.extend(one_of(path, &policy.resource_name, &["cpu", "memory"]));
        errs.extend(one_of(path, &policy.restart_policy, &["NotRequired", "RestartContainer"]));
        if context.restart_policy == "Never" && policy.restart_policy != "NotRequired" {
            let detail = "must be 'NotRequired' when `restartPolicy` is 'Never'";
            errs.push(Error::invalid(path, &policy.restart_policy, detail));
        }
    }
    errs
}

//! Rules for ephemeral containers: they look at a pod, they are no part of it.

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::core::v1::{Container, EphemeralContainer, Pod, PodSpec};

use super::{Context, annotations, containers, whole};
use crate::core::pod::PodExt;

const UNSUITABLE: &str = "cannot be set for an Ephemeral Container";

/// All of them.
pub(super) fn all(spec: &PodSpec, context: &Context<'_>, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let others: BTreeSet<&str> =
        spec.containers.iter().chain(spec.init_containers.iter().flatten()).map(|c| &*c.name).collect();
    let mut names = others.clone();
    for (i, ephemeral) in spec.ephemeral_containers.iter().flatten().enumerate() {
        let path = path.index(i);
        let container = as_container(ephemeral);
        errs.extend(containers::common(&container, context, &path));
        errs.extend(containers::untrimmed_image(container.image.as_deref().unwrap_or_default(), &path));
        if !names.insert(&ephemeral.name) {
            errs.push(Error::duplicate(&path.child("name"), &ephemeral.name));
        }
        if let Some(target) = ephemeral.target_container_name.as_deref().filter(|t| !t.is_empty())
            && !others.contains(target)
        {
            errs.push(Error::not_found(&path.child("targetContainerName"), target));
        }
        errs.extend(unsuitable(&container, &path));
    }
    errs
}

/// The fields that both sorts have.
fn as_container(c: &EphemeralContainer) -> Container {
    let c = c.clone();
    Container {
        args: c.args,
        command: c.command,
        env: c.env,
        env_from: c.env_from,
        image: c.image,
        image_pull_policy: c.image_pull_policy,
        lifecycle: c.lifecycle,
        liveness_probe: c.liveness_probe,
        name: c.name,
        ports: c.ports,
        readiness_probe: c.readiness_probe,
        resize_policy: c.resize_policy,
        resources: c.resources,
        restart_policy: c.restart_policy,
        restart_policy_rules: c.restart_policy_rules,
        security_context: c.security_context,
        startup_probe: c.startup_probe,
        stdin: c.stdin,
        stdin_once: c.stdin_once,
        termination_message_path: c.termination_message_path,
        termination_message_policy: c.termination_message_policy,
        tty: c.tty,
        volume_devices: c.volume_devices,
        volume_mounts: c.volume_mounts,
        working_dir: c.working_dir,
    }
}

/// Nothing may depend on such a container.
fn unsuitable(c: &Container, path: &Path) -> ErrorList {
    let has_resources = c.resources.as_ref().is_some_and(|r| {
        r.claims.as_ref().is_some_and(|l| !l.is_empty())
            || r.limits.as_ref().is_some_and(|l| !l.is_empty())
            || r.requests.as_ref().is_some_and(|l| !l.is_empty())
    });
    let fields = [
        ("ports", c.ports.as_ref().is_some_and(|p| !p.is_empty())),
        ("resources", has_resources),
        ("resizePolicy", c.resize_policy.as_ref().is_some_and(|p| !p.is_empty())),
        ("restartPolicy", c.restart_policy.is_some()),
        ("restartPolicyRules", c.restart_policy_rules.as_ref().is_some_and(|r| !r.is_empty())),
        ("livenessProbe", c.liveness_probe.is_some()),
        ("readinessProbe", c.readiness_probe.is_some()),
        ("startupProbe", c.startup_probe.is_some()),
        ("lifecycle", c.lifecycle.is_some()),
    ];
    let mut errs: ErrorList = fields
        .iter()
        .filter(|(_, set)| *set)
        .map(|(f, _)| Error::forbidden(&path.child(f), UNSUITABLE))
        .collect();
    for (i, mount) in c.volume_mounts.iter().flatten().enumerate() {
        let path = path.child("volumeMounts").index(i);
        for (field, value) in [("subPath", &mount.sub_path), ("subPathExpr", &mount.sub_path_expr)] {
            if value.as_deref().is_some_and(|v| !v.is_empty()) {
                errs.push(Error::forbidden(&path.child(field), UNSUITABLE));
            }
        }
    }
    errs
}

/// They can be added, never changed or taken away.
pub fn update(new: &Pod, old: &Pod) -> ErrorList {
    if old.is_mirror() {
        return [Error::forbidden(&Path::new("[]"), "static pods do not support ephemeral containers")]
            .into_iter()
            .collect();
    }
    let mut errs = whole(new);
    errs.extend(annotations::changes(new, old));
    let path = Path::new("spec").child("ephemeralContainers");
    let after = new.pod_spec().ephemeral_containers.as_deref().unwrap_or_default();
    for before in old.pod_spec().ephemeral_containers.iter().flatten() {
        let name = &before.name;
        match after.iter().find(|c| c.name == *name) {
            None => {
                let detail = format!("existing ephemeral containers {name:?} may not be removed\n");
                errs.push(Error::forbidden(&path, detail));
            }
            Some(now) if now != before => {
                let detail = format!("existing ephemeral containers {name:?} may not be changed\n");
                errs.push(Error::forbidden(&path, detail));
            }
            Some(_) => {}
        }
    }
    errs
}

//! Rules for a pod's status.

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use super::annotations;
use crate::check::{each, ip, one, shown_list};
use crate::core::pod::{ContainerExt, PodExt};

/// Compares a status with what is stored.
pub fn update(new: &Pod, old: &Pod) -> ErrorList {
    let path = Path::new("status");
    let (after, before) = (new.pod_status(), old.pod_status());
    let mut errs = annotations::changes(new, old);
    errs.extend(conditions(new));
    let nominated = after.nominated_node_name.as_deref().unwrap_or_default();
    if after.nominated_node_name != before.nominated_node_name && !nominated.is_empty() {
        let path = path.child("nominatedNodeName");
        errs.extend(each(&path, nominated, names::dns1123_subdomain(nominated)));
    }
    let class = |s: &Option<String>| s.clone().unwrap_or_default();
    if class(&after.qos_class) != class(&before.qos_class) {
        let shown = class(&after.qos_class);
        errs.push(Error::invalid(&path.child("qosClass"), &shown, "field is immutable"));
    }
    errs.extend(transitions(new, old, &path));
    errs.extend(addresses(
        &after.pod_ips.iter().flatten().map(|a| a.ip.as_str()).collect::<Vec<_>>(),
        &path.child("podIPs"),
    ));
    let hosts: Vec<_> = after.host_ips.iter().flatten().map(|a| a.ip.as_str()).collect();
    if let Some(first) = hosts.first() {
        errs.extend(one(Some(*first) != after.host_ip.as_deref(), || {
            Error::invalid(&path.child("hostIPs").index(0).child("ip"), *first, "must be equal to `hostIP`")
        }));
    }
    errs.extend(addresses(&hosts, &path.child("hostIPs")));
    errs
}

/// Upstream looks for conditions below metadata.
fn conditions(pod: &Pod) -> ErrorList {
    let mut errs = ErrorList::new();
    for (i, condition) in pod.pod_status().conditions.iter().flatten().enumerate() {
        let path = Path::new("metadata").child("conditions").index(i).child("Type");
        errs.extend(each(&path, &condition.type_, names::qualified_name(&condition.type_)));
    }
    errs
}

/// What has ended for good does not come to life again.
fn transitions(new: &Pod, old: &Pod, path: &Path) -> ErrorList {
    let policy = old.pod_spec().restart_policy.as_deref().unwrap_or_default();
    let init = old.pod_spec().init_containers.as_deref().unwrap_or_default();
    let sidecar = |name: &str| init.iter().any(|c| c.name == name && c.is_restartable_init());
    let (after, before) = (new.pod_status(), old.pod_status());
    let never = |_: &str| false;
    let mut errs = transitions_of(
        &after.container_statuses,
        &before.container_statuses,
        policy,
        never,
        &path.child("containerStatuses"),
    );
    errs.extend(transitions_of(
        &after.init_container_statuses,
        &before.init_container_statuses,
        policy,
        sidecar,
        &path.child("initContainerStatuses"),
    ));
    errs.extend(transitions_of(
        &after.ephemeral_container_statuses,
        &before.ephemeral_container_statuses,
        "Never",
        never,
        &path.child("ephemeralContainerStatuses"),
    ));
    errs
}

fn transitions_of(
    new: &Option<Vec<ContainerStatus>>,
    old: &Option<Vec<ContainerStatus>>,
    policy: &str,
    restarts: impl Fn(&str) -> bool,
    path: &Path,
) -> ErrorList {
    let mut errs = ErrorList::new();
    let ended =
        |s: &ContainerStatus| s.state.as_ref().and_then(|s| s.terminated.as_ref()).map(|t| t.exit_code);
    if policy == "Always" {
        return errs;
    }
    for (i, old) in old.iter().flatten().enumerate() {
        let Some(code) = ended(old) else { continue };
        if code != 0 && policy == "OnFailure" || restarts(&old.name) {
            continue;
        }
        if new.iter().flatten().any(|new| new.name == old.name && ended(new).is_none()) {
            let detail = "may not be transitioned to non-terminated state";
            errs.push(Error::forbidden(&path.index(i).child("state"), detail));
        }
    }
    errs
}

/// Valid, and at most one of each family.
fn addresses(list: &[&str], path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    for (i, address) in list.iter().enumerate() {
        errs.extend(ip(&path.index(i), address));
    }
    let families: BTreeSet<bool> = list.iter().map(|a| a.contains(':')).collect();
    if list.len() > 1 && families.len() != list.len() {
        let detail = "may specify no more than one IP for each IP family";
        errs.push(Error::invalid(path, shown_list(list), detail));
    }
    for (i, address) in list.iter().enumerate() {
        if list[..i].contains(address) {
            errs.push(Error::duplicate(&path.index(i), *address));
        }
    }
    errs
}

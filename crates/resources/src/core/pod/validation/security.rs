//! Rules for security contexts.

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path, Raw};
use apimachinery::names;
use k8s_openapi::api::core::v1::{
    AppArmorProfile, PodSecurityContext, PodSpec, SeccompProfile, SecurityContext, Sysctl,
};
use serde_json::json;

use super::Context;
use crate::check::{each_number, known, one};

/// The context of the whole pod.
pub(super) fn pod(spec: &PodSpec, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    if spec.share_process_namespace == Some(true) && spec.host_pid == Some(true) {
        errs.push(Error::invalid(
            &path.child("shareProcessNamespace"),
            true,
            "ShareProcessNamespace and HostPID cannot both be enabled",
        ));
    }
    let Some(context) = &spec.security_context else { return errs };
    errs.extend(ids(context, path));
    errs.extend(sysctls(context.sysctls.as_deref().unwrap_or_default(), spec, &path.child("sysctls")));
    if let Some(policy) = &context.fs_group_change_policy {
        errs.extend(known(&path.child("fsGroupChangePolicy"), policy, &["Always", "OnRootMismatch"]));
    }
    errs.extend(seccomp(context.seccomp_profile.as_ref(), &path.child("seccompProfile")));
    errs.extend(apparmor(context.app_armor_profile.as_ref(), &path.child("appArmorProfile")));
    if let Some(policy) = &context.supplemental_groups_policy {
        errs.extend(known(&path.child("supplementalGroupsPolicy"), policy, &["Merge", "Strict"]));
    }
    if let Some(policy) = &context.se_linux_change_policy {
        errs.extend(known(&path.child("seLinuxChangePolicy"), policy, &["MountOption", "Recursive"]));
    }
    errs
}

fn ids(context: &PodSecurityContext, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    for (field, id) in [
        ("fsGroup", context.fs_group),
        ("runAsUser", context.run_as_user),
        ("runAsGroup", context.run_as_group),
    ] {
        errs.extend(user_id(id, &path.child(field)));
    }
    for (i, id) in context.supplemental_groups.iter().flatten().enumerate() {
        errs.extend(user_id(Some(*id), &path.child("supplementalGroups").index(i)));
    }
    errs
}

fn user_id(id: Option<i64>, path: &Path) -> ErrorList {
    id.map_or_else(ErrorList::new, |id| each_number(path, id, names::user_id(id)))
}

fn sysctls(sysctls: &[Sysctl], spec: &PodSpec, path: &Path) -> ErrorList {
    const MAX: usize = 253;
    const PATTERN: &str = r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
    let mut errs = ErrorList::new();
    let mut seen = BTreeSet::new();
    for (i, sysctl) in sysctls.iter().enumerate() {
        let path = path.index(i).child("name");
        let name = &*sysctl.name;
        if name.is_empty() {
            errs.push(Error::required(&path, ""));
        } else if name.len() > MAX || !is_sysctl(name) {
            let detail = format!("must have at most {MAX} characters and match regex {PATTERN}");
            errs.push(Error::invalid(&path, name, detail));
        } else if seen.contains(name) {
            errs.push(Error::duplicate(&path, name));
        }
        seen.insert(name);
        errs.extend(of_shared_namespace(name, spec, &path));
    }
    errs
}

fn is_sysctl(name: &str) -> bool {
    let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    name.split(['.', '/']).all(|part| {
        let bytes = part.as_bytes();
        bytes.first().is_some_and(alphanumeric)
            && bytes.last().is_some_and(alphanumeric)
            && bytes.iter().all(|b| alphanumeric(b) || matches!(b, b'-' | b'_'))
    })
}

/// A pod may not set what it shares with the node.
fn of_shared_namespace(name: &str, spec: &PodSpec, path: &Path) -> ErrorList {
    let dotted = name.replace('/', ".");
    let is_ipc = ["kernel.shm", "kernel.msg", "fs.mqueue."].iter().any(|p| dotted.starts_with(p))
        || dotted == "kernel.sem";
    let detail = match () {
        () if spec.host_network == Some(true) && dotted.starts_with("net.") => {
            "may not be specified when 'hostNetwork' is true"
        }
        () if spec.host_ipc == Some(true) && is_ipc => "may not be specified when 'hostIPC' is true",
        () => return ErrorList::new(),
    };
    one(true, || Error::invalid(path, name, detail))
}

/// The context of one container.
pub(super) fn container(security: Option<&SecurityContext>, context: &Context<'_>, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let Some(security) = security else { return errs };
    errs.extend(user_id(security.run_as_user, &path.child("runAsUser")));
    errs.extend(user_id(security.run_as_group, &path.child("runAsGroup")));
    if let Some(mount) = &security.proc_mount {
        let path = path.child("procMount");
        errs.extend(known(&path, mount, &["Default", "Unmasked"]));
        if mount == "Unmasked" && context.host_users {
            errs.push(Error::invalid(&path, mount, "`hostUsers` must be false to use `Unmasked`"));
        }
    }
    errs.extend(seccomp(security.seccomp_profile.as_ref(), &path.child("seccompProfile")));
    if security.allow_privilege_escalation == Some(false) {
        errs.extend(escalation(security, path));
    }
    errs.extend(apparmor(security.app_armor_profile.as_ref(), &path.child("appArmorProfile")));
    errs
}

/// Who is privileged needs no escalation, so forbidding it would be a lie.
fn escalation(security: &SecurityContext, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let shown = || {
        let mut fields = json!({"allowPrivilegeEscalation": false});
        if let Some(privileged) = security.privileged {
            fields["privileged"] = privileged.into();
        }
        Raw(fields.to_string())
    };
    if security.privileged == Some(true) {
        errs.push(Error::invalid(
            path,
            shown(),
            "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
        ));
    }
    let added = security.capabilities.as_ref().and_then(|c| c.add.as_deref()).unwrap_or_default();
    for _ in added.iter().filter(|c| *c == "CAP_SYS_ADMIN") {
        errs.push(Error::invalid(
            path,
            shown(),
            "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
        ));
    }
    errs
}

const PROFILES: &[&str] = &["Localhost", "RuntimeDefault", "Unconfined"];

fn seccomp(profile: Option<&SeccompProfile>, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let Some(profile) = profile else { return errs };
    match &*profile.type_ {
        "" => errs.push(Error::required(&path.child("type"), "type is required when seccompProfile is set")),
        kind => errs.extend(known(&path.child("type"), kind, PROFILES)),
    }
    let file = path.child("localhostProfile");
    match (&*profile.type_, &profile.localhost_profile) {
        ("Localhost", None) => {
            errs.push(Error::required(&file, "must be set when seccomp type is Localhost"));
        }
        ("Localhost", Some(name)) => errs.extend(names::local_descending_path(name, &file)),
        (kind, Some(name)) => {
            let shown = format!(r#"{{"Type":{},"LocalhostProfile":{}}}"#, json!(kind), json!(name));
            errs.push(Error::invalid(&file, Raw(shown), "can only be set when seccomp type is Localhost"));
        }
        (_, None) => {}
    }
    errs
}

fn apparmor(profile: Option<&AppArmorProfile>, path: &Path) -> ErrorList {
    const MAX: usize = 4095;
    let mut errs = ErrorList::new();
    let Some(profile) = profile else { return errs };
    let file = path.child("localhostProfile");
    const NEEDED: &str = "must be set when AppArmor type is Localhost";
    match (&*profile.type_, profile.localhost_profile.as_deref()) {
        ("", _) => {
            errs.push(Error::required(&path.child("type"), "type is required when appArmorProfile is set"))
        }
        ("Localhost", None | Some("")) => errs.push(Error::required(&file, NEEDED)),
        ("Localhost", Some(name)) => {
            if name.trim() != name {
                errs.push(Error::invalid(&file, name, "must not be padded with whitespace"));
            }
            if name.len() > MAX {
                errs.push(Error::too_long(&file, MAX));
            }
        }
        ("RuntimeDefault" | "Unconfined", Some(name)) => {
            errs.push(Error::invalid(&file, name, "can only be set when AppArmor type is Localhost"));
        }
        (kind, _) => errs.extend(known(&path.child("type"), kind, PROFILES)),
    }
    errs
}

//! Rules for the operating system a pod says it is for.

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::core::v1::{Container, PodSecurityContext, PodSpec, SecurityContext};

use crate::check::known;

pub(super) fn rules(spec: &PodSpec, path: &Path) -> ErrorList {
    let Some(os) = &spec.os else { return ErrorList::new() };
    let at = path.child("os");
    match &*os.name {
        "" => [Error::required(&at.child("name"), "cannot be empty")].into_iter().collect(),
        "linux" => linux(spec, path),
        "windows" => windows(spec, path),
        other => known(&at, other, &["linux", "windows"]),
    }
}

/// Each container's security context, with its path.
fn contexts<'a>(spec: &'a PodSpec, path: &Path) -> Vec<(&'a SecurityContext, Path)> {
    let of = |list: &'a [Container], field: &str| -> Vec<(&'a SecurityContext, Path)> {
        let with = list.iter().enumerate().filter_map(|(i, c)| Some((i, c.security_context.as_ref()?)));
        with.map(|(i, c)| (c, path.child(field).index(i).child("securityContext"))).collect()
    };
    let mut all = of(spec.init_containers.as_deref().unwrap_or_default(), "initContainers");
    all.extend(of(&spec.containers, "containers"));
    let ephemeral = spec.ephemeral_containers.iter().flatten().enumerate();
    let with = ephemeral.filter_map(|(i, c)| Some((i, c.security_context.as_ref()?)));
    all.extend(with.map(|(i, c)| (c, path.child("ephemeralContainers").index(i).child("securityContext"))));
    all
}

fn forbid(set: &[(&str, bool)], path: &Path, detail: &str) -> ErrorList {
    set.iter()
        .filter(|(_, set)| *set)
        .map(|(field, _)| Error::forbidden(&path.child(field), detail))
        .collect()
}

fn linux(spec: &PodSpec, path: &Path) -> ErrorList {
    const DETAIL: &str = "windows options cannot be set for a linux pod";
    let of_pod = spec.security_context.as_ref().is_some_and(|s| s.windows_options.is_some());
    let mut errs = forbid(&[("windowsOptions", of_pod)], &path.child("securityContext"), DETAIL);
    for (context, path) in contexts(spec, path) {
        errs.extend(forbid(&[("windowsOptions", context.windows_options.is_some())], &path, DETAIL));
    }
    errs
}

fn windows(spec: &PodSpec, path: &Path) -> ErrorList {
    const DETAIL: &str = "cannot be set for a windows pod";
    let none = PodSecurityContext::default();
    let of_pod = spec.security_context.as_ref().unwrap_or(&none);
    let in_context: &[(&str, bool)] = &[
        ("appArmorProfile", of_pod.app_armor_profile.is_some()),
        ("seLinuxOptions", of_pod.se_linux_options.is_some()),
        ("seccompProfile", of_pod.seccomp_profile.is_some()),
        ("fsGroup", of_pod.fs_group.is_some()),
        ("fsGroupChangePolicy", of_pod.fs_group_change_policy.is_some()),
        ("sysctls", of_pod.sysctls.as_ref().is_some_and(|s| !s.is_empty())),
        ("runAsUser", of_pod.run_as_user.is_some()),
        ("runAsGroup", of_pod.run_as_group.is_some()),
        ("supplementalGroups", of_pod.supplemental_groups.is_some()),
        ("supplementalGroupsPolicy", of_pod.supplemental_groups_policy.is_some()),
        ("seLinuxChangePolicy", of_pod.se_linux_change_policy.is_some()),
    ];
    let in_spec: &[(&str, bool)] = &[
        ("hostUsers", spec.host_users.is_some()),
        ("hostPID", spec.host_pid == Some(true)),
        ("hostIPC", spec.host_ipc == Some(true)),
        ("shareProcessNamespace", spec.share_process_namespace.is_some()),
    ];
    let mut errs = forbid(in_context, &path.child("securityContext"), DETAIL);
    errs.extend(forbid(in_spec, path, DETAIL));
    for (context, path) in contexts(spec, path) {
        let fields: &[(&str, bool)] = &[
            ("appArmorProfile", context.app_armor_profile.is_some()),
            ("seLinuxOptions", context.se_linux_options.is_some()),
            ("seccompProfile", context.seccomp_profile.is_some()),
            ("capabilities", context.capabilities.is_some()),
            ("readOnlyRootFilesystem", context.read_only_root_filesystem.is_some()),
            ("privileged", context.privileged.is_some()),
            ("allowPrivilegeEscalation", context.allow_privilege_escalation.is_some()),
            ("procMount", context.proc_mount.is_some()),
            ("runAsUser", context.run_as_user.is_some()),
            ("runAsGroup", context.run_as_group.is_some()),
        ];
        errs.extend(forbid(fields, &path, DETAIL));
    }
    errs
}

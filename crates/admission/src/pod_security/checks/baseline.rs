//! The baseline: nothing that is a known way to the node.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{AppArmorProfile, SELinuxOptions, SeccompProfile};

use super::{Fault, One, Subject, Version, fault, named, offenders, quoted, setters};

const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
const CAPABILITIES: &[&str] = &[
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
/// Sysctls that stay within the pod, with the release that found so.
const SYSCTLS: &[(&str, u32)] = &[
    ("kernel.shm_rmid_forced", 0),
    ("net.ipv4.ip_local_port_range", 0),
    ("net.ipv4.tcp_syncookies", 0),
    ("net.ipv4.ping_group_range", 0),
    ("net.ipv4.ip_unprivileged_port_start", 0),
    ("net.ipv4.ip_local_reserved_ports", 27),
    ("net.ipv4.tcp_keepalive_time", 29),
    ("net.ipv4.tcp_fin_timeout", 29),
    ("net.ipv4.tcp_keepalive_intvl", 29),
    ("net.ipv4.tcp_keepalive_probes", 29),
    ("net.ipv4.tcp_rmem", 32),
    ("net.ipv4.tcp_wmem", 32),
];

pub(super) fn app_armor(s: &Subject<'_>, _: Version) -> Option<Fault> {
    let bad = |p: Option<&AppArmorProfile>| {
        p.filter(|p| !matches!(&*p.type_, "RuntimeDefault" | "Localhost")).map(|p| p.type_.clone())
    };
    let pod = bad(s.spec.security_context.as_ref().and_then(|c| c.app_armor_profile.as_ref()));
    let of = |c: &One<'_>| bad(c.context.and_then(|c| c.app_armor_profile.as_ref())).into_iter().collect();
    let (names, mut values) = offenders(s, of);
    let mut details = Vec::new();
    let by_pod = pod.is_some();
    values.extend(pod);
    if by_pod || !names.is_empty() {
        let who = setters(by_pod, &names);
        details.push(format!("{who} must not set AppArmor profile type to {}", quoted(&values)));
    }
    let annotations = s.meta.annotations.iter().flatten();
    let notes: Vec<String> = annotations
        .filter(|(key, value)| key.starts_with(APP_ARMOR) && !allowed_annotation(value))
        .map(|(key, value)| format!("{key:?}={value:?}"))
        .collect();
    if !notes.is_empty() {
        let plural = if notes.len() == 1 { "" } else { "s" };
        details.push(format!("annotation{plural} {}", notes.join(", ")));
    }
    let count = values.len() + notes.len();
    if count == 0 {
        return None;
    }
    fault(format!("forbidden AppArmor profile{}", if count == 1 { "" } else { "s" }), details.join("; "))
}

fn allowed_annotation(value: &str) -> bool {
    value.is_empty() || value == "runtime/default" || value.starts_with("localhost/")
}

pub(super) fn capabilities(s: &Subject<'_>, _: Version) -> Option<Fault> {
    let added = |c: &One<'_>| {
        let add = c.context.and_then(|c| c.capabilities.as_ref()?.add.as_ref());
        add.into_iter().flatten().filter(|c| !CAPABILITIES.contains(&c.as_str())).cloned().collect()
    };
    let (names, values) = offenders(s, added);
    if names.is_empty() {
        return None;
    }
    let who = named("container", &names);
    let detail = format!("{who} must not include {} in securityContext.capabilities.add", quoted(&values));
    fault("non-default capabilities", detail)
}

pub(super) fn host_namespaces(s: &Subject<'_>, _: Version) -> Option<Fault> {
    let flags = [
        ("hostNetwork=true", s.spec.host_network),
        ("hostPID=true", s.spec.host_pid),
        ("hostIPC=true", s.spec.host_ipc),
    ];
    let set: Vec<&str> = flags.iter().filter(|(_, set)| *set == Some(true)).map(|(name, _)| *name).collect();
    if set.is_empty() { None } else { fault("host namespaces", set.join(", ")) }
}

pub(super) fn host_paths(s: &Subject<'_>, _: Version) -> Option<Fault> {
    let volumes = s.spec.volumes.iter().flatten().filter(|v| v.host_path.is_some());
    let names: Vec<&str> = volumes.map(|v| v.name.as_str()).collect();
    if names.is_empty() { None } else { fault("hostPath volumes", named("volume", &names)) }
}

pub(super) fn host_ports(s: &Subject<'_>, _: Version) -> Option<Fault> {
    let of = |c: &One<'_>| {
        c.ports.iter().filter_map(|p| p.host_port).filter(|p| *p != 0).map(|p| p.to_string()).collect()
    };
    let (names, ports) = offenders(s, of);
    if names.is_empty() {
        return None;
    }
    let verb = if names.len() == 1 { "uses" } else { "use" };
    let what = if ports.len() == 1 { "hostPort" } else { "hostPorts" };
    let list = ports.into_iter().collect::<Vec<_>>().join(", ");
    fault("hostPort", format!("{} {verb} {what} {list}", named("container", &names)))
}

/// The node itself opens these connections, wherever they lead.
pub(super) fn hosts_of_probes(s: &Subject<'_>, _: Version) -> Option<Fault> {
    let of = |c: &One<'_>| {
        let mut hosts: Vec<String> = Vec::new();
        for probe in c.probes.iter().flatten() {
            hosts.extend(probe.http_get.as_ref().and_then(|h| h.host.clone()));
            hosts.extend(probe.tcp_socket.as_ref().and_then(|t| t.host.clone()));
        }
        let hooks = c.lifecycle.into_iter().flat_map(|l| [l.post_start.as_ref(), l.pre_stop.as_ref()]);
        for hook in hooks.flatten() {
            hosts.extend(hook.http_get.as_ref().and_then(|h| h.host.clone()));
            hosts.extend(hook.tcp_socket.as_ref().and_then(|t| t.host.clone()));
        }
        hosts.retain(|h| !h.is_empty());
        hosts
    };
    let (names, hosts) = offenders(s, of);
    if names.is_empty() {
        return None;
    }
    let verb = if names.len() == 1 { "uses" } else { "use" };
    let what = if hosts.len() == 1 { "host" } else { "hosts" };
    let detail =
        format!("{} {verb} probe or lifecycle {what} {}", named("container", &names), quoted(&hosts));
    fault("probe or lifecycle host", detail)
}

pub(super) fn privileged(s: &Subject<'_>, _: Version) -> Option<Fault> {
    let of = |c: &One<'_>| match c.context.and_then(|c| c.privileged) {
        Some(true) => vec![String::new()],
        _ => Vec::new(),
    };
    let (names, _) = offenders(s, of);
    if names.is_empty() {
        return None;
    }
    fault(
        "privileged",
        format!("{} must not set securityContext.privileged=true", named("container", &names)),
    )
}

pub(super) fn proc_mount(s: &Subject<'_>, _: Version) -> Option<Fault> {
    let of = |c: &One<'_>| {
        let kind = c.context.and_then(|c| c.proc_mount.clone());
        kind.filter(|k| k != "Default").into_iter().collect()
    };
    let (names, values) = offenders(s, of);
    if names.is_empty() {
        return None;
    }
    let who = named("container", &names);
    fault("procMount", format!("{who} must not set securityContext.procMount to {}", quoted(&values)))
}

pub(super) fn selinux(s: &Subject<'_>, version: Version) -> Option<Fault> {
    let allowed = |kind: &str| {
        matches!(kind, "" | "container_t" | "container_init_t" | "container_kvm_t")
            || kind == "container_engine_t" && version.since(31)
    };
    let mut types = BTreeSet::new();
    let (mut user, mut role) = (false, false);
    let mut bad = |options: Option<&SELinuxOptions>| {
        let Some(options) = options else { return false };
        let text = |t: &Option<String>| t.clone().unwrap_or_default();
        let (kind, has_user, has_role) =
            (text(&options.type_), !text(&options.user).is_empty(), !text(&options.role).is_empty());
        let odd = !allowed(&kind);
        if odd {
            types.insert(kind);
        }
        user |= has_user;
        role |= has_role;
        odd || has_user || has_role
    };
    let pod = bad(s.spec.security_context.as_ref().and_then(|c| c.se_linux_options.as_ref()));
    let all = s.containers();
    let names: Vec<&str> = all
        .iter()
        .filter(|c| bad(c.context.and_then(|c| c.se_linux_options.as_ref())))
        .map(|c| c.name)
        .collect();
    if !pod && names.is_empty() {
        return None;
    }
    let mut what = Vec::new();
    if !types.is_empty() {
        let plural = if types.len() == 1 { "" } else { "s" };
        what.push(format!("type{plural} {}", quoted(&types)));
    }
    if user {
        what.push("user may not be set".into());
    }
    if role {
        what.push("role may not be set".into());
    }
    let who = setters(pod, &names);
    let detail = format!("{who} set forbidden securityContext.seLinuxOptions: {}", what.join("; "));
    fault("seLinuxOptions", detail)
}

pub(super) fn seccomp(s: &Subject<'_>, _: Version) -> Option<Fault> {
    explicit_seccomp(s)
}

/// A profile that lets everything through, by name.
pub(super) fn explicit_seccomp(s: &Subject<'_>) -> Option<Fault> {
    let bad = |p: Option<&SeccompProfile>| {
        p.filter(|p| !matches!(&*p.type_, "RuntimeDefault" | "Localhost")).map(|p| p.type_.clone())
    };
    let pod = bad(s.spec.security_context.as_ref().and_then(|c| c.seccomp_profile.as_ref()));
    let of = |c: &One<'_>| bad(c.context.and_then(|c| c.seccomp_profile.as_ref())).into_iter().collect();
    let (names, mut values) = offenders(s, of);
    let by_pod = pod.is_some();
    values.extend(pod);
    if values.is_empty() {
        return None;
    }
    let who = setters(by_pod, &names);
    fault(
        "seccompProfile",
        format!("{who} must not set securityContext.seccompProfile.type to {}", quoted(&values)),
    )
}

pub(super) fn sysctls(s: &Subject<'_>, version: Version) -> Option<Fault> {
    let safe = |name: &str| SYSCTLS.iter().any(|(known, since)| *known == name && version.since(*since));
    let set = s.spec.security_context.iter().flat_map(|c| c.sysctls.iter().flatten());
    let bad: Vec<&str> = set.map(|s| s.name.as_str()).filter(|name| !safe(name)).collect();
    if bad.is_empty() { None } else { fault("forbidden sysctls", bad.join(", ")) }
}

pub(super) fn host_process(s: &Subject<'_>, _: Version) -> Option<Fault> {
    let pod = s.spec.security_context.as_ref().and_then(|c| c.windows_options.as_ref()?.host_process);
    let of = |c: &One<'_>| match c.context.and_then(|c| c.windows_options.as_ref()?.host_process) {
        Some(true) => vec![String::new()],
        _ => Vec::new(),
    };
    let (names, _) = offenders(s, of);
    let pod = pod == Some(true);
    if !pod && names.is_empty() {
        return None;
    }
    let who = setters(pod, &names);
    fault("hostProcess", format!("{who} must not set securityContext.windowsOptions.hostProcess=true"))
}

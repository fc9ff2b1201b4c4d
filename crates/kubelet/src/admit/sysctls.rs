//! Which kernel parameters a pod may set: those known to stay inside its namespaces.
//! <https://kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/>

use k8s_openapi::api::core::v1::Pod;

use crate::plan::Verdict;
use crate::spec;

/// The safe ones, with the namespace each belongs to.
const SAFE: [(&str, Namespace); 12] = [
    ("kernel.shm_rmid_forced", Namespace::Ipc),
    ("net.ipv4.ip_local_port_range", Namespace::Net),
    ("net.ipv4.tcp_syncookies", Namespace::Net),
    ("net.ipv4.ping_group_range", Namespace::Net),
    ("net.ipv4.ip_unprivileged_port_start", Namespace::Net),
    ("net.ipv4.ip_local_reserved_ports", Namespace::Net),
    ("net.ipv4.tcp_keepalive_time", Namespace::Net),
    ("net.ipv4.tcp_fin_timeout", Namespace::Net),
    ("net.ipv4.tcp_keepalive_intvl", Namespace::Net),
    ("net.ipv4.tcp_keepalive_probes", Namespace::Net),
    ("net.ipv4.tcp_rmem", Namespace::Net),
    ("net.ipv4.tcp_wmem", Namespace::Net),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Namespace {
    Ipc,
    Net,
}

/// Why the pod cannot begin because of one of its sysctls.
pub fn forbidden(pod: &Pod) -> Option<Verdict> {
    let spec = spec::of(pod);
    let asked = spec.security_context.as_ref().and_then(|c| c.sysctls.clone()).unwrap_or_default();
    let why = asked.iter().find_map(|sysctl| {
        let name = normalised(&sysctl.name);
        let known = SAFE.iter().find(|(safe, _)| *safe == name);
        match known {
            None => Some(format!("{name:?} not allowlisted")),
            Some((_, Namespace::Ipc)) if spec.host_ipc == Some(true) => {
                Some(format!("{name:?} not allowed with host ipc enabled"))
            }
            Some((_, Namespace::Net)) if spec.host_network == Some(true) => {
                Some(format!("{name:?} not allowed with host net enabled"))
            }
            Some(_) => None,
        }
    })?;
    Some(Verdict { reason: "SysctlForbidden", message: format!("Pod was rejected: forbidden sysctl: {why}") })
}

/// With dots between its parts; of `a/b.c` the dot is part of a name.
fn normalised(name: &str) -> String {
    match name.find(['.', '/']) {
        Some(at) if name.as_bytes().get(at) == Some(&b'/') => name
            .chars()
            .map(|c| {
                if c == '/' {
                    '.'
                } else if c == '.' {
                    '/'
                } else {
                    c
                }
            })
            .collect(),
        _ => name.to_owned(),
    }
}

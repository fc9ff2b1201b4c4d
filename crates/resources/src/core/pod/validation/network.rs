//! Rules for names, addresses and the namespaces shared with the node.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;
use k8s_openapi::api::core::v1::PodSpec;

use super::Context;
use crate::check::{each, ip, one, shown_list};

/// `dnsConfig`, and what `dnsPolicy: None` needs of it.
pub(super) fn dns(spec: &PodSpec, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let no_policy = spec.dns_policy.as_deref() == Some("None");
    let Some(config) = &spec.dns_config else {
        return one(no_policy, || Error::required(path, "must provide `dnsConfig` when `dnsPolicy` is None"));
    };
    let servers = config.nameservers.as_deref().unwrap_or_default();
    let at = path.child("nameservers");
    if no_policy && servers.is_empty() {
        let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
        return one(true, || Error::required(&at, detail));
    }
    if servers.len() > MAX_SERVERS {
        let detail = format!("must not have more than {MAX_SERVERS} nameservers");
        errs.push(Error::invalid(&at, shown_list(servers), detail));
    }
    for (i, server) in servers.iter().enumerate() {
        errs.extend(ip(&at.index(i), server));
    }
    errs.extend(searches(config.searches.as_deref().unwrap_or_default(), &path.child("searches")));
    for (i, option) in config.options.iter().flatten().enumerate() {
        if option.name.as_deref().unwrap_or_default().is_empty() {
            errs.push(Error::required(&path.child("options").index(i), "must not be empty"));
        }
    }
    errs
}

// What resolvers can take.
const MAX_SERVERS: usize = 3;
const MAX_SEARCHES: usize = 32;
const MAX_SEARCH_BYTES: usize = 2048;

fn searches(searches: &[String], path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    if searches.len() > MAX_SEARCHES {
        let detail = format!("must not have more than {MAX_SEARCHES} search paths");
        errs.push(Error::invalid(path, shown_list(searches), detail));
    }
    if searches.join(" ").len() > MAX_SEARCH_BYTES {
        let detail = format!(
            "must not have more than {MAX_SEARCH_BYTES} characters (including spaces) in the search list"
        );
        errs.push(Error::invalid(path, shown_list(searches), detail));
    }
    for (i, search) in searches.iter().enumerate().filter(|(_, s)| *s != ".") {
        let name = search.strip_suffix('.').unwrap_or(search);
        errs.extend(each(&path.index(i), name, search_domain(name)));
    }
    errs
}

/// As a DNS subdomain, but with underscores, which search paths of real networks have.
fn search_domain(name: &str) -> Vec<String> {
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    let label = |part: &str| {
        let bytes = part.as_bytes();
        let starts = edge(bytes.first()) || bytes.first() == Some(&b'_');
        starts && edge(bytes.last()) && bytes.iter().all(inner)
    };
    let mut messages = Vec::new();
    if name.len() > names::DNS1123_SUBDOMAIN_MAX {
        messages.push(names::max_len_error(names::DNS1123_SUBDOMAIN_MAX));
    }
    if !name.split('.').all(label) {
        messages.push(names::regex_error(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
             start and end with an alphanumeric character",
            r"[a-z0-9_]([-_a-z0-9]*[a-z0-9])?(\.[a-z0-9_]([-_a-z0-9]*[a-z0-9])?)*",
            &["example.com"],
        ));
    }
    messages
}

/// `hostAliases`
pub(super) fn aliases(spec: &PodSpec, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    for (i, alias) in spec.host_aliases.iter().flatten().enumerate() {
        let path = path.index(i);
        errs.extend(ip(&path.child("ip"), &alias.ip));
        for (j, name) in alias.hostnames.iter().flatten().enumerate() {
            let path = path.child("hostnames").index(j);
            errs.extend(each(&path, name, names::dns1123_subdomain(name)));
        }
    }
    errs
}

/// On the node's network a container's port is the node's. Templates may leave it out.
pub(super) fn host_ports(spec: &PodSpec, context: &Context<'_>, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    if spec.host_network != Some(true) {
        return errs;
    }
    for (i, container) in spec.containers.iter().enumerate() {
        for (j, port) in container.ports.iter().flatten().enumerate() {
            let host = port.host_port.unwrap_or(0);
            if (context.is_pod || host != 0) && host != port.container_port {
                errs.push(Error::invalid(
                    &path.index(i).child("ports").index(j).child("hostPort"),
                    host,
                    "must match `containerPort` when `hostNetwork` is true",
                ));
            }
        }
    }
    errs
}

/// Users of its own go with namespaces of its own.
pub(super) fn host_users(spec: &PodSpec, path: &Path) -> ErrorList {
    if spec.host_users != Some(false) {
        return ErrorList::new();
    }
    let shared = [("hostNetwork", spec.host_network), ("HostPID", spec.host_pid), ("HostIPC", spec.host_ipc)];
    let set = shared.into_iter().filter(|(_, shared)| *shared == Some(true));
    set.map(|(field, _)| Error::forbidden(&path.child(field), "when `pod.Spec.HostUsers` is false")).collect()
}

/// `hostnameOverride`
pub(super) fn hostname_override(spec: &PodSpec, path: &Path) -> ErrorList {
    const MAX: usize = 64;
    let mut errs = ErrorList::new();
    let Some(name) = spec.hostname_override.as_deref() else { return errs };
    let at = path.child("hostnameOverride");
    errs.extend(each(&at, name, names::dns1123_subdomain(name)));
    if name.len() > MAX {
        errs.push(Error::too_long(&at, MAX));
    }
    if spec.set_hostname_as_fqdn == Some(true) {
        errs.push(Error::forbidden(&at, "may not be specified when `setHostnameAsFQDN` is true"));
    }
    if spec.host_network == Some(true) {
        errs.push(Error::forbidden(&at, "may not be specified when `hostNetwork` is true"));
    }
    errs
}

//! The /etc/hosts that a pod's containers share.

use k8s_openapi::api::core::v1::Pod;

use crate::spec;

/// The name inside the pod, and the domain that `subdomain` gives it (empty without one).
pub fn hostname(pod: &Pod, cluster_domain: &str) -> (String, String) {
    const MAX: usize = 63;
    let spec = spec::of(pod);
    if let Some(name) = spec.hostname_override.clone().filter(|n| !n.is_empty()) {
        return (name, String::new());
    }
    let own = spec.hostname.clone().filter(|n| !n.is_empty());
    let mut name = own.unwrap_or_else(|| pod.metadata.name.clone().unwrap_or_default());
    // Names are ASCII: validation.
    name.truncate(MAX);
    let name = name.trim_end_matches(['-', '.']).to_owned();
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let domain = match spec.subdomain.as_deref() {
        Some(sub) if !sub.is_empty() => format!("{sub}.{namespace}.svc.{cluster_domain}"),
        _ => String::new(),
    };
    (name, domain)
}

/// What `hostname` prints inside the pod; an error where the kernel cannot hold it.
pub fn uts_hostname(pod: &Pod, cluster_domain: &str) -> Result<String, String> {
    const MAX: usize = 64;
    let (name, domain) = hostname(pod, cluster_domain);
    if spec::of(pod).set_hostname_as_fqdn != Some(true) || domain.is_empty() {
        return Ok(name);
    }
    let fqdn = format!("{name}.{domain}");
    if fqdn.len() > MAX {
        return Err(format!(
            "failed to construct FQDN from pod hostname and cluster domain, FQDN {fqdn} is too long ({MAX} characters is the max, {} characters requested)",
            fqdn.len()
        ));
    }
    Ok(fqdn)
}

/// `host_file`: the host's own, which a pod in the host's network sees.
pub fn hosts_file(pod: &Pod, ips: &[String], cluster_domain: &str, host_file: &str) -> String {
    let mut text = if spec::host_network(pod) {
        format!("# Kubernetes-managed hosts file (host network).\n{host_file}")
    } else {
        managed(pod, ips, cluster_domain)
    };
    let aliases = spec::of(pod).host_aliases.iter().flatten();
    let lines: Vec<_> = aliases
        .map(|a| {
            format!("{}\t{}\n", a.ip, a.hostnames.iter().flatten().cloned().collect::<Vec<_>>().join("\t"))
        })
        .collect();
    if !lines.is_empty() {
        text += "\n# Entries added by HostAliases.\n";
        text += &lines.concat();
    }
    text
}

fn managed(pod: &Pod, ips: &[String], cluster_domain: &str) -> String {
    let mut text = "# Kubernetes-managed hosts file.\n\
        127.0.0.1\tlocalhost\n\
        ::1\tlocalhost ip6-localhost ip6-loopback\n\
        fe00::0\tip6-localnet\n\
        fe00::0\tip6-mcastprefix\n\
        fe00::1\tip6-allnodes\n\
        fe00::2\tip6-allrouters\n"
        .to_owned();
    let (name, domain) = hostname(pod, cluster_domain);
    for ip in ips {
        text += &match domain.as_str() {
            "" => format!("{ip}\t{name}\n"),
            domain => format!("{ip}\t{name}.{domain}\t{name}\n"),
        };
    }
    text
}

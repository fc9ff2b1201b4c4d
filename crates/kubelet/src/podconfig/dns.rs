//! A pod's resolv.conf by its dnsPolicy.

use std::net::IpAddr;

use cri::DnsConfig;
use k8s_openapi::api::core::v1::Pod;

use crate::spec;

/// What the cluster offers.
#[derive(Clone, Debug, Default)]
pub struct ClusterDns {
    pub servers: Vec<IpAddr>,
    pub domain: String,
}

/// Limits of resolvers, checked as upstream does.
const MAX_SERVERS: usize = 3;
const MAX_SEARCHES: usize = 32;
const MAX_SEARCH_CHARS: usize = 2048;

/// The configuration, and a warning (reason, message) when the pod does not get what it asked for.
pub fn pod_dns(
    pod: &Pod,
    cluster: &ClusterDns,
    host: &DnsConfig,
) -> (DnsConfig, Option<(&'static str, String)>) {
    let spec = spec::of(pod);
    let policy = spec.dns_policy.as_deref().unwrap_or("ClusterFirst");
    let wants_cluster =
        policy == "ClusterFirstWithHostNet" || (policy == "ClusterFirst" && !spec::host_network(pod));
    let mut warning = None;
    let mut config = match policy {
        "None" => DnsConfig::default(),
        _ if wants_cluster && !cluster.servers.is_empty() => cluster_first(pod, cluster, host),
        _ => {
            if wants_cluster {
                let message = format!(
                    "pod: {:?}. kubelet does not have ClusterDNS IP configured and cannot create Pod using \
                     {policy:?} policy. Falling back to \"Default\" policy.",
                    spec::full_name(pod)
                );
                warning = Some(("MissingClusterDNS", message));
            }
            host.clone()
        }
    };
    if let Some(own) = &spec.dns_config {
        merge(&mut config.servers, own.nameservers.iter().flatten());
        merge(&mut config.searches, own.searches.iter().flatten());
        for option in own.options.iter().flatten() {
            let name = option.name.clone().unwrap_or_default();
            let text = option.value.as_ref().map_or_else(|| name.clone(), |v| format!("{name}:{v}"));
            config.options.retain(|o| o.split(':').next() != Some(&name));
            config.options.push(text);
        }
    }
    warning = warning.or(cut(&mut config));
    (config, warning)
}

fn cluster_first(pod: &Pod, cluster: &ClusterDns, host: &DnsConfig) -> DnsConfig {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let domain = &cluster.domain;
    let mut searches = Vec::new();
    if !domain.is_empty() {
        let own = [format!("{namespace}.svc.{domain}"), format!("svc.{domain}"), domain.clone()];
        merge(&mut searches, own.iter());
    }
    merge(&mut searches, host.searches.iter());
    DnsConfig {
        servers: cluster.servers.iter().map(ToString::to_string).collect(),
        searches,
        options: vec!["ndots:5".into()],
    }
}

fn merge<'a>(list: &mut Vec<String>, more: impl Iterator<Item = &'a String>) {
    for item in more {
        if !list.contains(item) {
            list.push(item.clone());
        }
    }
}

/// Cuts to what resolvers take.
fn cut(config: &mut DnsConfig) -> Option<(&'static str, String)> {
    let mut warning = None;
    if config.servers.len() > MAX_SERVERS {
        config.servers.truncate(MAX_SERVERS);
        let message = format!(
            "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: {}",
            config.servers.join(" ")
        );
        warning = Some(("DNSConfigForming", message));
    }
    let too_long = |searches: &[String]| searches.join(" ").len() > MAX_SEARCH_CHARS;
    if config.searches.len() > MAX_SEARCHES || too_long(&config.searches) {
        config.searches.truncate(MAX_SEARCHES);
        while too_long(&config.searches) {
            config.searches.pop();
        }
        let message = format!(
            "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: {}",
            config.searches.join(" ")
        );
        warning = Some(("DNSConfigForming", message));
    }
    warning
}

/// Reads a resolv.conf.
pub fn parse(text: &str) -> DnsConfig {
    let mut config = DnsConfig::default();
    for line in text.lines() {
        let mut words = line.split(['#', ';']).next().unwrap_or_default().split_whitespace();
        match words.next() {
            Some("nameserver") => config.servers.extend(words.next().map(str::to_owned)),
            // The last one counts.
            Some("search") => config.searches = words.map(str::to_owned).collect(),
            Some("options") => {
                for option in words.map(str::to_owned) {
                    let name = option.split(':').next().map(str::to_owned);
                    config.options.retain(|o| o.split(':').next().map(str::to_owned) != name);
                    config.options.push(option);
                }
            }
            _ => {}
        }
    }
    config
}

//! Where an image may be pulled from: mirrors in their order, then its registry. Pure.

use std::net::IpAddr;

use anyhow::{Context, Result, bail};

use super::reference::Reference;
use crate::registries::Registries;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Host and port.
    pub host: String,
    /// What the repository is called there.
    pub repository: String,
    /// Without TLS.
    pub plain: bool,
    pub mirror: bool,
}

pub(super) fn endpoints(registries: &Registries, reference: &Reference) -> Result<Vec<Endpoint>> {
    let mut all = Vec::new();
    let mirror = registries.mirrors.get(&reference.registry).or_else(|| registries.mirrors.get("*"));
    if let Some(mirror) = mirror {
        let mut repository = reference.repository.clone();
        for (pattern, replacement) in &mirror.rewrite {
            let pattern = regex::Regex::new(pattern)
                .with_context(|| format!("registries.yaml: rewrite {pattern:?}"))?;
            if pattern.is_match(&repository) {
                repository = pattern.replace(&repository, replacement.as_str()).into_owned();
                break;
            }
        }
        for url in &mirror.endpoint {
            all.push(parse(url, &repository)?);
        }
    }
    all.push(Endpoint {
        host: reference.registry.clone(),
        repository: reference.repository.clone(),
        plain: is_loopback(&reference.registry),
        mirror: false,
    });
    Ok(all)
}

/// `http://host:port/v2/prefix`; without a scheme TLS is meant, except on this machine.
fn parse(url: &str, repository: &str) -> Result<Endpoint> {
    let (plain, rest) = match url.split_once("://") {
        Some(("http", rest)) => (true, rest),
        Some(("https", rest)) => (false, rest),
        Some((scheme, _)) => bail!("registries.yaml: endpoint {url:?} has scheme {scheme:?}"),
        None => (is_loopback(url.split('/').next().unwrap_or_default()), url),
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if host.is_empty() {
        bail!("registries.yaml: endpoint {url:?} has no host");
    }
    let prefix = path.trim_matches('/');
    let prefix = prefix.strip_prefix("v2").map_or(prefix, |rest| rest.trim_start_matches('/'));
    let repository =
        if prefix.is_empty() { repository.to_string() } else { format!("{prefix}/{repository}") };
    Ok(Endpoint { host: host.to_string(), repository, plain, mirror: true })
}

/// Nobody listens in on this machine's own loopback.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registries::Mirror;

    #[track_caller]
    fn check(mirrors: &[(&str, &[&str], &[(&str, &str)])], image: &str, expected: &[&str]) {
        let own =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
        let mirrors = mirrors.iter().map(|(host, endpoint, rewrite)| {
            let endpoint = endpoint.iter().map(|e| e.to_string()).collect();
            (host.to_string(), Mirror { endpoint, rewrite: own(rewrite) })
        });
        let registries = Registries { mirrors: mirrors.collect(), ..Registries::default() };
        let found = endpoints(&registries, &Reference::parse(image).unwrap()).unwrap();
        let shown: Vec<String> = found
            .iter()
            .map(|e| format!("{}://{}/{}", if e.plain { "http" } else { "https" }, e.host, e.repository))
            .collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn mirrors_come_before_the_registry() {
        check(&[], "nginx", &["https://docker.io/library/nginx"]);
        check(&[], "localhost:5000/a", &["http://localhost:5000/a"]);
        check(
            &[("docker.io", &["http://10.0.0.1:5000", "https://m.example/v2/hub"], &[])],
            "nginx",
            &[
                "http://10.0.0.1:5000/library/nginx",
                "https://m.example/hub/library/nginx",
                "https://docker.io/library/nginx",
            ],
        );
        check(
            &[("*", &["m.example"], &[])],
            "quay.io/a/b",
            &["https://m.example/a/b", "https://quay.io/a/b"],
        );
        check(
            &[("docker.io", &["https://m.example"], &[("^library/(.*)", "official/$1")])],
            "nginx",
            &["https://m.example/official/nginx", "https://docker.io/library/nginx"],
        );
    }
}

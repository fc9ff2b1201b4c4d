//! Registry credentials from `imagePullSecrets`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use cri::AuthConfig;
use k8s_openapi::api::core::v1::Secret;
use serde::Deserialize;

use super::reference::split_domain;

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    auth: String,
    #[serde(default, rename = "identitytoken")]
    identity_token: String,
    #[serde(default, rename = "registrytoken")]
    registry_token: String,
}

/// Those of `secrets` that fit the image's registry, the most specific first. What is no credential is skipped.
pub fn for_image(image: &str, secrets: &[Secret]) -> Vec<AuthConfig> {
    let target = registry_and_path(image);
    let mut found: Vec<(usize, AuthConfig)> = secrets
        .iter()
        .flat_map(entries)
        .filter_map(|(key, entry)| Some((matches(&key, &target)?, auth(&key, entry)?)))
        .collect();
    found.sort_by_key(|(specific, _)| std::cmp::Reverse(*specific));
    found.into_iter().map(|(_, auth)| auth).collect()
}

fn entries(secret: &Secret) -> Vec<(String, Entry)> {
    let data = |key: &str| secret.data.as_ref().and_then(|d| d.get(key)).map(|v| v.0.as_slice());
    let auths = match secret.type_.as_deref() {
        Some("kubernetes.io/dockerconfigjson") => data(".dockerconfigjson")
            .and_then(|json| serde_json::from_slice::<DockerConfig>(json).ok())
            .map(|config| config.auths),
        Some("kubernetes.io/dockercfg") => {
            data(".dockercfg").and_then(|json| serde_json::from_slice(json).ok())
        }
        _ => None,
    };
    auths.unwrap_or_default().into_iter().collect()
}

fn auth(key: &str, entry: Entry) -> Option<AuthConfig> {
    let (mut username, mut password) = (entry.username, entry.password);
    if !entry.auth.is_empty() {
        let decoded = BASE64_STANDARD.decode(entry.auth.trim()).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (user, secret) = text.split_once(':')?;
        (username, password) = (user.to_owned(), secret.to_owned());
    }
    Some(AuthConfig {
        username,
        password,
        server_address: key.to_owned(),
        identity_token: entry.identity_token,
        registry_token: entry.registry_token,
    })
}

/// `docker.io/library/nginx` for `nginx:1`.
fn registry_and_path(image: &str) -> String {
    let name = image.split('@').next().unwrap_or(image);
    let name = match name.rsplit_once(':') {
        Some((before, tag)) if !tag.contains('/') => before,
        _ => name,
    };
    match split_domain(name) {
        (Some(domain), path) => format!("{domain}/{path}"),
        (None, path) if path.contains('/') => format!("docker.io/{path}"),
        (None, path) => format!("docker.io/library/{path}"),
    }
}

/// How specific the key is for the image; `None`: not for it. Keys are URLs, hosts with globs, or hosts with paths.
fn matches(key: &str, target: &str) -> Option<usize> {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let key = key.trim_end_matches('/').trim_end_matches("/v1").trim_end_matches("/v2");
    let key = match key {
        // Docker Hub's old and new names.
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        key => key,
    };
    let (host, path) = key.split_once('/').unwrap_or((key, ""));
    let (target_host, target_path) = target.split_once('/')?;
    let (host_name, port) = host.split_once(':').unwrap_or((host, ""));
    let (target_name, target_port) = target_host.split_once(':').unwrap_or((target_host, ""));
    let labels: Vec<_> = host_name.split('.').collect();
    let target_labels: Vec<_> = target_name.split('.').collect();
    let host_fits = port == target_port
        && labels.len() == target_labels.len()
        && labels.iter().zip(&target_labels).all(|(pattern, label)| glob(pattern, label));
    let path_fits = path.is_empty() || target_path == path || target_path.starts_with(&format!("{path}/"));
    (host_fits && path_fits).then_some(key.len())
}

/// `*` stands for any characters within a label.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => {
            text.strip_prefix(before).is_some_and(|rest| (0..=rest.len()).any(|i| glob(after, &rest[i..])))
        }
    }
}

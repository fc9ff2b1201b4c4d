//! From configuration and flags to a server, an identity and a namespace. Start at [`access`].

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use client::wire::Target;
use http::Uri;
use serde_json::{Value, json};

use super::{Config, exec};
use crate::command::Call;
use crate::error::{self, Error, Result};

/// Where to go, as whom, and in which namespace one is.
#[derive(Clone, Debug)]
pub struct Access {
    pub target: Target,
    /// Path before `/api`, without a slash at its end.
    pub prefix: String,
    pub headers: Vec<(String, String)>,
}

const IN_CLUSTER: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The context's namespace, or `default`; works without a cluster.
pub fn namespace(config: &Config, call: &Call) -> (String, bool) {
    if call.changed("namespace") && !call.text("namespace").is_empty() && !call.has_flag("namespace") {
        return (call.text("namespace").to_owned(), true);
    }
    let context = context_of(config, call).ok().flatten();
    let named = context.as_ref().and_then(|c| c["namespace"].as_str()).filter(|n| !n.is_empty());
    match named {
        Some(namespace) => (namespace.to_owned(), false),
        None if config.files.is_empty() => {
            let file = std::fs::read_to_string(format!("{IN_CLUSTER}/namespace")).unwrap_or_default();
            let file = file.trim();
            (if file.is_empty() { "default".into() } else { file.to_owned() }, false)
        }
        None => ("default".into(), false),
    }
}

/// Whether the command looks for its namespace in the configuration: then stock stumbles there first, in other words.
fn asks_namespace(call: &Call) -> bool {
    let given = call.changed("namespace") && !call.text("namespace").is_empty();
    let none = ["api-resources", "api-versions", "version", "cluster-info"];
    !given && !none.contains(&call.command.path.split(' ').next().unwrap_or_default())
}

fn context_of(config: &Config, call: &Call) -> Result<Option<Value>> {
    let name = match call.text("context") {
        "" => config.current.as_str(),
        name => name,
    };
    if name.is_empty() {
        return Ok(None);
    }
    match config.contexts.get(name) {
        Some(entry) => Ok(Some(entry.value.clone())),
        None if !call.text("context").is_empty() && !asks_namespace(call) => {
            Err(Error::text(format!("context \"{name}\" does not exist")))
        }
        None => {
            Err(Error::Configuration(vec![format!("context was not found for specified context: {name}")]))
        }
    }
}

/// Everything that a request needs.
pub fn access(config: &Config, call: &Call) -> Result<Access> {
    let context = context_of(config, call)?;
    // Some commands have flags of their own by these names.
    let named = |flag: &str, field: &str| match if call.has_flag(flag) { "" } else { call.text(flag) } {
        "" => context.as_ref().and_then(|c| c[field].as_str()).unwrap_or_default().to_owned(),
        name => name.to_owned(),
    };
    let (cluster_name, user_name) = (named("cluster", "cluster"), named("user", "user"));
    let find = |all: &std::collections::BTreeMap<String, super::Entry>, name: &str, what: &str| match (
        all.get(name),
        name,
    ) {
        (Some(entry), _) => Ok((entry.value.clone(), entry.file.clone())),
        (None, "") => Ok((json!({}), PathBuf::new())),
        (None, name) if what == "cluster" && asks_namespace(call) => {
            Err(Error::text(format!("no server found for cluster \"{name}\"")))
        }
        (None, name) => Err(Error::text(format!("{what} \"{name}\" does not exist"))),
    };
    let (mut cluster, cluster_file) = find(&config.clusters, &cluster_name, "cluster")?;
    let (mut user, user_file) = find(&config.users, &user_name, "auth info")?;
    for (flag, field) in [
        ("server", "server"),
        ("certificate-authority", "certificate-authority"),
        ("tls-server-name", "tls-server-name"),
        ("proxy-url", "proxy-url"),
    ] {
        if !call.text(flag).is_empty() {
            cluster[field] = json!(call.text(flag));
            if flag == "certificate-authority" {
                cluster["certificate-authority-data"] = json!("");
            }
        }
    }
    if call.is("insecure-skip-tls-verify") {
        cluster["insecure-skip-tls-verify"] = json!(true);
        if call.text("certificate-authority").is_empty() {
            cluster["certificate-authority"] = json!("");
            cluster["certificate-authority-data"] = json!("");
        }
    }
    for flag in ["client-certificate", "client-key", "token", "username", "password"] {
        if !call.text(flag).is_empty() {
            user[flag] = json!(call.text(flag));
            if flag.starts_with("client-") {
                user[format!("{flag}-data")] = json!("");
            }
            if flag == "token" {
                user["tokenFile"] = json!("");
            }
        }
    }
    if text(&cluster, "server").is_empty() {
        if config.files.is_empty() && std::env::var("KUBERNETES_SERVICE_HOST").is_ok() && context.is_none() {
            in_cluster(&mut cluster, &mut user);
        } else {
            cluster["server"] = json!("http://localhost:8080");
        }
    }
    let dir = |file: &Path| file.parent().map(Path::to_owned).unwrap_or_default();
    let (target, prefix) = target(&cluster, &user, &dir(&cluster_file), &dir(&user_file))?;
    let program = text(&user["exec"], "command");
    if user["exec"].is_object() && !call.plugins.allow(program) {
        return Err(Error::Connection(format!(
            "Unable to connect to the server: getting credentials: plugin {} not allowed: policy set to {}",
            crate::text::quote(program),
            crate::text::quote(call.plugins.policy())
        )));
    }
    let mut access = Access { target, prefix, headers: Vec::new() };
    identity(&mut access, &cluster, &user, &dir(&user_file))?;
    impersonate(&mut access, call, &user)?;
    Ok(access)
}

fn in_cluster(cluster: &mut Value, user: &mut Value) {
    let env = |name: &str| std::env::var(name).unwrap_or_default();
    let host = env("KUBERNETES_SERVICE_HOST");
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    cluster["server"] = json!(format!("https://{host}:{}", env("KUBERNETES_SERVICE_PORT")));
    cluster["certificate-authority"] = json!(format!("{IN_CLUSTER}/ca.crt"));
    if text(user, "token").is_empty() {
        user["tokenFile"] = json!(format!("{IN_CLUSTER}/token"));
    }
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_default()
}

fn target(cluster: &Value, user: &Value, cluster_dir: &Path, user_dir: &Path) -> Result<(Target, String)> {
    let mut server = text(cluster, "server").to_owned();
    if !server.contains("://") {
        server = format!("http://{server}");
    }
    let uri: Uri = server.parse().map_err(|e| Error::text(format!("parse \"{server}\": {e}")))?;
    let insecure = cluster["insecure-skip-tls-verify"].as_bool().unwrap_or(false);
    let authority = pem(cluster, "certificate-authority", cluster_dir)?;
    if insecure && authority.is_some() {
        return Err(Error::text("specifying a root certificates file with the insecure flag is not allowed"));
    }
    let certificate = pem(user, "client-certificate", user_dir)?;
    let key = pem(user, "client-key", user_dir)?;
    let identity = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (Some(_), None) => {
            return Err(Error::text("tls: the client certificate has no key: give client-key, too"));
        }
        (None, Some(_)) => {
            return Err(Error::text("tls: the client key has no certificate: give client-certificate, too"));
        }
    };
    let proxy = match text(cluster, "proxy-url") {
        "" => proxy_of_environment(&uri),
        url => Some(
            url.parse::<Uri>()
                .ok()
                .filter(|u| matches!(u.scheme_str(), Some("http" | "https" | "socks5" | "socks5h")))
                .ok_or_else(|| {
                    Error::text(format!(
                        "unsupported scheme or broken proxy URL \"{url}\": must be http, https or socks5"
                    ))
                })?,
        ),
    };
    let prefix = uri.path().trim_end_matches('/').to_owned();
    let name = text(cluster, "tls-server-name");
    let server_name = (!name.is_empty()).then(|| name.to_owned());
    Ok((Target { server: uri, authority, server_name, insecure, identity, proxy }, prefix))
}

/// `HTTPS_PROXY` and `NO_PROXY`, as Go reads them.
fn proxy_of_environment(server: &Uri) -> Option<Uri> {
    let env = |name: &str| {
        let upper = std::env::var(name.to_uppercase()).ok().filter(|v| !v.is_empty());
        upper.or_else(|| std::env::var(name).ok().filter(|v| !v.is_empty()))
    };
    let host = server.host()?.trim_start_matches('[').trim_end_matches(']');
    let local = host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if host == "localhost" || local {
        return None;
    }
    let spared = env("no_proxy").unwrap_or_default();
    let spares = |entry: &str| {
        let entry = entry.trim();
        let bare = entry.trim_start_matches("*.").trim_start_matches('.');
        entry == "*"
            || (!bare.is_empty() && (host == bare || host.ends_with(&format!(".{bare}"))))
            || in_network(entry, host)
    };
    if spared.split(',').any(spares) {
        return None;
    }
    let scheme = if server.scheme_str() == Some("https") { "https_proxy" } else { "http_proxy" };
    let url = env(scheme)?;
    let url = if url.contains("://") { url } else { format!("http://{url}") };
    url.parse().ok()
}

fn in_network(entry: &str, host: &str) -> bool {
    let Some((network, length)) = entry.split_once('/') else { return false };
    let (Ok(network), Ok(host)) = (network.parse::<std::net::Ipv4Addr>(), host.parse::<std::net::Ipv4Addr>())
    else {
        return false;
    };
    let Some(length) = length.parse::<u32>().ok().filter(|l| *l <= 32) else { return false };
    let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
    u32::from(network) & mask == u32::from(host) & mask
}

/// Embedded data, or else the file's text.
fn pem(of: &Value, field: &str, dir: &Path) -> Result<Option<String>> {
    let data = text(of, &format!("{field}-data"));
    if !data.is_empty() {
        let bytes = STANDARD
            .decode(data.trim())
            .map_err(|e| Error::text(format!("{field}-data: illegal base64 data: {e}")))?;
        return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
    }
    let file = text(of, field);
    if file.is_empty() {
        return Ok(None);
    }
    let path = dir.join(file);
    let shown = path.display().to_string();
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(e) => {
            let why = error::reason(&e);
            Err(Error::Configuration(vec![format!(
                "unable to read {field} {shown} due to open {shown}: {why}"
            )]))
        }
    }
}

fn identity(access: &mut Access, cluster: &Value, user: &Value, dir: &Path) -> Result<()> {
    let bearer = |token: &str| ("Authorization".to_owned(), format!("Bearer {token}"));
    let (file, token) = (text(user, "tokenFile"), text(user, "token"));
    if !file.is_empty() {
        let path = dir.join(file);
        let shown = path.display().to_string();
        let read = std::fs::read_to_string(&path).map_err(|e| error::io("open", &shown, &e))?;
        access.headers.push(bearer(read.trim()));
    } else if !token.is_empty() {
        access.headers.push(bearer(token));
    } else if !text(user, "username").is_empty() {
        let both = format!("{}:{}", text(user, "username"), text(user, "password"));
        access.headers.push(("Authorization".into(), format!("Basic {}", STANDARD.encode(both))));
    } else if user["exec"].is_object() {
        let credential = exec::run(&user["exec"], cluster, dir)?;
        if let Some(token) = credential.token {
            access.headers.push(bearer(&token));
        }
        if credential.identity.is_some() {
            access.target.identity = credential.identity;
        }
    } else if user["auth-provider"].is_object() {
        let name = text(&user["auth-provider"], "name");
        return Err(Error::text(format!("no Auth Provider found for name \"{name}\"")));
    }
    Ok(())
}

fn impersonate(access: &mut Access, call: &Call, user: &Value) -> Result<()> {
    let given = |flag: &str, field: &str| match call.text(flag) {
        "" => text(user, field).to_owned(),
        flag => flag.to_owned(),
    };
    let name = given("as", "as");
    let uid = given("as-uid", "as-uid");
    let mut groups = call.list("as-group");
    if groups.is_empty() {
        let list = user["as-groups"].as_array().map(Vec::as_slice).unwrap_or_default();
        groups = list.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    }
    if name.is_empty() {
        if !groups.is_empty() || !uid.is_empty() {
            return Err(Error::text("requesting uid, groups or user-extra without impersonating a user"));
        }
        return Ok(());
    }
    access.headers.push(("Impersonate-User".into(), name));
    if !uid.is_empty() {
        access.headers.push(("Impersonate-Uid".into(), uid));
    }
    access.headers.extend(groups.into_iter().map(|g| ("Impersonate-Group".to_owned(), g)));
    for extra in call.list("as-user-extra") {
        let Some((key, value)) = extra.split_once('=') else {
            return Err(Error::text(format!("as-user-extra: \"{extra}\" is not KEY=VALUE")));
        };
        access.headers.push((format!("Impersonate-Extra-{key}"), value.to_owned()));
    }
    Ok(())
}

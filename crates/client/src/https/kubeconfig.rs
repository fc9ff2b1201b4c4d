//! kubeconfig files: where the API is, and as whom to go there. Start at [`load`].
//!
//! Contract: <https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/>. What is not supported (exec plugins, auth providers, basic
//! authentication, proxies, no verification) is refused, not ignored.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pki::identity::Identity;
use pki::tls::LiveIdentity;
use serde::Deserialize;

use super::{Credential, HttpsConfig};

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
struct File {
    current_context: String,
    clusters: Vec<NamedCluster>,
    users: Vec<NamedUser>,
    contexts: Vec<NamedContext>,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    #[serde(default)]
    user: User,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: ContextOf,
}

#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "kebab-case", default)]
struct Cluster {
    server: String,
    certificate_authority: String,
    certificate_authority_data: String,
    insecure_skip_tls_verify: bool,
    tls_server_name: String,
    proxy_url: String,
}

#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "kebab-case", default)]
struct User {
    client_certificate: String,
    client_certificate_data: String,
    client_key: String,
    client_key_data: String,
    token: String,
    #[serde(rename = "tokenFile")]
    token_file: String,
    username: String,
    exec: Option<serde_json::Value>,
    auth_provider: Option<serde_json::Value>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
struct ContextOf {
    cluster: String,
    user: String,
    namespace: String,
}

/// A kubeconfig's current context.
pub struct Loaded {
    pub config: HttpsConfig,
    /// `default` unless the context says otherwise.
    pub namespace: String,
}

/// Reads a file. Paths in it are relative to its directory.
pub fn load(path: &Path, user_agent: &str) -> anyhow::Result<Loaded> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let dir = path.parent().unwrap_or(Path::new("."));
    parse(&text, dir, user_agent).with_context(|| format!("load {}", path.display()))
}

/// The same of a text.
pub fn parse(text: &str, dir: &Path, user_agent: &str) -> anyhow::Result<Loaded> {
    let file: File = serde_saphyr::from_str(text).map_err(|e| anyhow!("{e}"))?;
    let context = file.contexts.iter().find(|c| c.name == file.current_context);
    let context = match (context, file.current_context.as_str()) {
        (Some(context), _) => context.context.clone(),
        (None, "") => bail!("no current-context is set"),
        (None, name) => bail!("context {name:?} does not exist"),
    };
    let cluster = file.clusters.iter().find(|c| c.name == context.cluster);
    let cluster = cluster.ok_or_else(|| anyhow!("cluster {:?} does not exist", context.cluster))?;
    let user = match context.user.as_str() {
        "" => User::default(),
        name => {
            let user = file.users.iter().find(|u| u.name == name);
            user.ok_or_else(|| anyhow!("user {name:?} does not exist"))?.user.clone()
        }
    };
    let namespace = if context.namespace.is_empty() { "default".into() } else { context.namespace };
    Ok(Loaded { config: config(&cluster.cluster, &user, dir, user_agent)?, namespace })
}

fn config(cluster: &Cluster, user: &User, dir: &Path, user_agent: &str) -> anyhow::Result<HttpsConfig> {
    refuse(cluster, user)?;
    let server: http::Uri = cluster.server.parse().with_context(|| format!("server {:?}", cluster.server))?;
    let ca = pem(dir, &cluster.certificate_authority_data, &cluster.certificate_authority)
        .context("certificate-authority")?;
    if ca.is_empty() && server.scheme_str() == Some("https") {
        bail!("the cluster has no certificate-authority; the system's are not used");
    }
    let certificate =
        pem(dir, &user.client_certificate_data, &user.client_certificate).context("client-certificate")?;
    let key = pem(dir, &user.client_key_data, &user.client_key).context("client-key")?;
    let identity = match (certificate.is_empty(), key.is_empty()) {
        (true, true) => None,
        (false, false) => Some(Arc::new(LiveIdentity::new(&Identity::new(certificate, key))?)),
        _ => bail!("client-certificate and client-key come only together"),
    };
    // As in client-go, the file counts when both are there.
    let credential = match (user.token_file.as_str(), user.token.as_str()) {
        ("", "") => Credential::None,
        ("", token) => Credential::Token(token.to_owned()),
        (file, _) => Credential::file(dir.join(file)),
    };
    Ok(HttpsConfig {
        server,
        ca,
        server_name: (!cluster.tls_server_name.is_empty()).then(|| cluster.tls_server_name.clone()),
        identity,
        credential,
        user_agent: user_agent.to_owned(),
    })
}

fn refuse(cluster: &Cluster, user: &User) -> anyhow::Result<()> {
    let unsupported = [
        (cluster.insecure_skip_tls_verify, "insecure-skip-tls-verify"),
        (!cluster.proxy_url.is_empty(), "proxy-url"),
        (user.exec.is_some(), "exec"),
        (user.auth_provider.is_some(), "auth-provider"),
        (!user.username.is_empty(), "username"),
    ];
    match unsupported.iter().find(|(set, _)| *set) {
        Some((_, what)) => bail!("{what} is not supported"),
        None => Ok(()),
    }
}

/// Embedded data, or else the file's text; empty when neither is given.
fn pem(dir: &Path, data: &str, file: &str) -> anyhow::Result<String> {
    if !data.is_empty() {
        let bytes = STANDARD.decode(data.trim()).context("decode base64")?;
        return String::from_utf8(bytes).context("decode PEM");
    }
    if file.is_empty() {
        return Ok(String::new());
    }
    let path: PathBuf = dir.join(file);
    std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
}

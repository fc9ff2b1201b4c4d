//! Who a kubelet alone is: the kubeconfig's user, or the node that a bootstrap kubeconfig lets it become; with certificates that renew
//! themselves where that was asked for. Start at [`open`].

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use apimachinery::Status;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use client::Transport;
use client::https::{HttpsTransport, kubeconfig};
use serde_json::json;

use super::Config;
use crate::agent::Machine;
use crate::agent::certificates::{Certificates, Held, KUBELET};
use crate::components::Process;
use crate::components::access::Reached;

/// Between tries while the API server does not answer, or nobody approves.
const AGAIN: Duration = Duration::from_secs(2);

/// Which certificates the kubelet asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    pub cert_dir: PathBuf,
    /// As whom to ask for the first client certificate.
    pub bootstrap: Option<PathBuf>,
    /// Whether client and serving certificates are renewed in time.
    pub client: bool,
    pub serving: bool,
}

/// The kubelet's certificates on the disk, asked for or not.
pub fn certificates(config: &Config, process: &Process) -> Certificates {
    let machine = Machine {
        clock: process.clock.clone(),
        random: process.random.clone(),
        tasks: process.groups.api.clone(),
    };
    let (node, dir) = (&config.node, config.rotation.cert_dir.clone());
    Certificates::new(dir, KUBELET, &node.node_name, node.node_ip, machine)
}

/// The API, as the node.
pub async fn open(config: &Config, certificates: &Certificates, process: &Process) -> Result<Reached> {
    if let (Some(bootstrap), Some(kubeconfig)) = (&config.rotation.bootstrap, &config.access.kubeconfig)
        && !is_good(kubeconfig, process)
    {
        become_node(bootstrap, kubeconfig, certificates, process).await?;
    }
    if !config.rotation.client {
        return config.access.open(process);
    }
    let mut https = config.access.config()?;
    let Some(given) = https.identity.take() else {
        bail!("--rotate-certificates: the kubeconfig's user has no client certificate that could be renewed");
    };
    // What was renewed already counts more than what the kubeconfig began with.
    let kept = match certificates.client() {
        Ok(kept) => kept.filter(|held| certificates.is_good(held)),
        Err(error) => {
            tracing::warn!("{error:#}");
            None
        }
    };
    let held = kept.map_or_else(|| Held::from_live(given), Ok)?;
    https.identity = Some(held.live.clone());
    let ca_pem = https.ca.clone();
    let (clock, random) = (process.clock.clone(), process.random.clone());
    let transport = HttpsTransport::new(https, clock, random, process.groups.api.clone())?;
    certificates.keep_client(held, transport.clone());
    Ok(Reached { transport: Arc::new(transport), ca_pem })
}

/// Whether the file is there, and its certificate good today.
fn is_good(path: &Path, process: &Process) -> bool {
    if !path.exists() {
        return false;
    }
    let judged = kubeconfig::load(path, "kubelet").and_then(|loaded| match loaded.config.identity {
        Some(identity) => identity.validity().map(Some),
        None => Ok(None),
    });
    match judged {
        Ok(Some((from, until))) => (from..until).contains(&process.clock.now()),
        Ok(None) => true,
        Err(error) => {
            tracing::warn!("the kubeconfig is made anew: {error:#}");
            false
        }
    }
}

/// Asks for a client certificate and writes the kubeconfig that names it. Waits while nobody answers or approves.
async fn become_node(
    bootstrap: &Path,
    kubeconfig: &Path,
    certificates: &Certificates,
    process: &Process,
) -> Result<()> {
    let config = kubeconfig::load(bootstrap, "kubelet").context("--bootstrap-kubeconfig")?.config;
    let (server, ca, name) = (config.server.to_string(), config.ca.clone(), config.server_name.clone());
    // A group of its own: connections of the bootstrap user end with it.
    let tasks = process.groups.api.child();
    let (clock, random) = (process.clock.clone(), process.random.clone());
    let transport: Arc<dyn Transport> = Arc::new(HttpsTransport::new(config, clock, random, tasks.clone())?);
    loop {
        match certificates.ask_client(&transport).await {
            Ok(_) => break,
            Err(error) if error.downcast_ref::<Status>().is_some_and(|s| matches!(s.code, 401 | 403)) => {
                tasks.stop().await;
                return Err(error).context("--bootstrap-kubeconfig: the API server refuses its user");
            }
            Err(error) => tracing::warn!("no client certificate yet: {error:#}"),
        }
        process.clock.sleep(AGAIN).await;
    }
    tasks.stop().await;
    let text = kubeconfig_text(&server, &ca, name.as_deref(), &certificates.client_path());
    if let Some(dir) = kubeconfig.parent() {
        std::fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
    }
    pki::files::write_private(kubeconfig, text.as_bytes()).context("write --kubeconfig")?;
    tracing::info!(kubeconfig = %kubeconfig.display(), "this machine is a node of the cluster now");
    Ok(())
}

/// As upstream's kubelet writes it: the certificate is named, so that what is renewed is found.
fn kubeconfig_text(server: &str, ca_pem: &str, server_name: Option<&str>, pem: &Path) -> String {
    let mut cluster = json!({
        "server": server.trim_end_matches('/'),
        "certificate-authority-data": STANDARD.encode(ca_pem),
    });
    if let Some(name) = server_name {
        cluster["tls-server-name"] = name.into();
    }
    let file = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "default-cluster", "cluster": cluster }],
        "users": [{ "name": "default-auth", "user": { "client-certificate": pem, "client-key": pem } }],
        "contexts": [{
            "name": "default-context",
            "context": { "cluster": "default-cluster", "user": "default-auth" },
        }],
        "current-context": "default-context",
    });
    format!("{file:#}\n")
}

//! `kubelet`, with the container runtime and the pod network that are built in.

mod identity;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use client::{Api, Transport};
use k8s_openapi::api::core::v1::ConfigMap;
use pki::{Ca, Identity, LiveIdentity, Template};

use super::health::{self, Ports};
use super::{Access, Process, run};
use crate::config::NodeConfig;
use crate::{control, node};

pub use identity::Rotation;

/// Where an API server publishes the CA that its own client certificate is from.
const PUBLISHED: (&str, &str) = ("kube-system", "extension-apiserver-authentication");

/// What the user chose.
#[derive(Clone, Debug)]
pub struct Config {
    pub access: Access,
    pub health: Ports,
    pub node: NodeConfig,
    pub rotation: Rotation,
    /// Who vouches for those who come to the kubelet; what the API server publishes when empty.
    pub client_ca_file: Option<PathBuf>,
    /// Certificate and key of the kubelet's server; made by itself when empty.
    pub tls: Option<(PathBuf, PathBuf)>,
}

/// Until SIGTERM. Containers are left running.
pub fn start(config: Config) -> Result<()> {
    run(async |process| {
        // What is wrong in a file of the user's stops before anything is made.
        node::registries(config.node.registries.as_deref())?;
        let client_ca = config.client_ca_file.as_deref().map(read_client_ca).transpose()?;
        let given = (!config.rotation.serving).then(|| serving(&config, process)).transpose()?;
        if config.rotation.bootstrap.is_none() {
            config.access.config()?;
        }
        pki::files::private_dir(&config.node.data_dir)?;
        let certificates = identity::certificates(&config, process);
        let api = identity::open(&config, &certificates, process).await?;
        let mut asked_for = None;
        let serving = match given {
            Some(given) => given,
            None => asked_for.insert(certificates.serving()?).live.clone(),
        };
        let client_ca = match client_ca {
            Some(pem) => pem,
            None => published_ca(&api.transport, process).await?,
        };
        health::serve(config.health, "kubelet", process).await?;
        let transport = api.transport;
        let access =
            node::Access { kubelet: transport.clone(), network: transport.clone(), client_ca, serving };
        let (runtime, _kubelet) =
            node::start(&config.node, access, &process.clock, &process.random, &process.groups).await?;
        if let Some(held) = asked_for {
            // It is signed when the API knows the node's addresses.
            certificates.keep_serving(held, transport);
        }
        let shown = control::Node { runtime, clock: process.clock.clone() };
        control::serve(Arc::new(shown), &config.node.control_socket(), &process.groups.components)
    })
}

fn read_client_ca(file: &Path) -> Result<String> {
    let pem = std::fs::read_to_string(file)
        .with_context(|| format!("--client-ca-file: read {}", file.display()))?;
    // Its certificates are looked at when callers are judged; that there is one is seen now.
    if pki::identity::certificates(&pem)
        .with_context(|| format!("--client-ca-file {}", file.display()))?
        .is_empty()
    {
        bail!("--client-ca-file: {} holds no certificate", file.display());
    }
    Ok(pem)
}

fn serving(config: &Config, process: &Process) -> Result<Arc<LiveIdentity>> {
    let identity = match &config.tls {
        Some((cert, key)) => {
            let read =
                |p: &PathBuf| std::fs::read_to_string(p).with_context(|| format!("read {}", p.display()));
            let (cert, key) =
                (read(cert).context("--tls-cert-file")?, read(key).context("--tls-private-key-file")?);
            Identity::new(cert, key)
        }
        None => {
            let now = process.clock.now();
            let name = &config.node.node_name;
            let (ca, _) = Ca::create(&format!("{name}-ca"), now)?;
            ca.issue(&Template::server(name, [name.clone(), config.node.node_ip.to_string()]), now)?
        }
    };
    Ok(Arc::new(LiveIdentity::new(&identity).context("--tls-cert-file, --tls-private-key-file")?))
}

/// Waits until the API server says it. A node's own user may not ask: an error names the flag.
async fn published_ca(transport: &Arc<dyn Transport>, process: &Process) -> Result<String> {
    let maps = Api::<ConfigMap>::new(transport.clone());
    let mut told = false;
    loop {
        let why = match maps.get(PUBLISHED.0, PUBLISHED.1).await {
            Ok(map) => match map.data.and_then(|d| d.get("client-ca-file").cloned()) {
                Some(ca) => return Ok(ca),
                None => "it holds no client-ca-file".to_owned(),
            },
            Err(status) if status.code == 403 => bail!(
                "give --client-ca-file (authentication.x509.clientCAFile), the CA of those who may ask this kubelet: its user may not \
                 read what the API server publishes ({status})"
            ),
            Err(status) => status.to_string(),
        };
        if !std::mem::replace(&mut told, true) {
            tracing::warn!(
                "waiting for the config map {}/{}, which names the CA of those who may ask this kubelet (or give --client-ca-file): {why}",
                PUBLISHED.0,
                PUBLISHED.1
            );
        }
        process.clock.sleep(std::time::Duration::from_secs(1)).await;
    }
}

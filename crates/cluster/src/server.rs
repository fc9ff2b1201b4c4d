//! `knarr server`: a whole cluster in one process.

use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use client::{Informer, PatchType, Transport};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Node;
use pki::{Identity, Kubeconfig, Pki};

use crate::config::ServerConfig;
use crate::control_plane::{ControlPlane, Groups, Shared, live};
use crate::datastore::Datastore;
use crate::process::{self, Process};
use crate::{control, host, identities, node, proxy};

/// How long the first message waits for the node to be ready.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// Runs a server until SIGTERM or SIGINT. Containers are left running.
pub fn run(config: ServerConfig) -> Result<()> {
    process::run("Stopping; containers keep running.\n", async |process| start(&config, process).await)
}

async fn start(config: &ServerConfig, process: &Process) -> Result<()> {
    let Process { clock, groups, progress, .. } = process;
    // What is wrong in a file of the user's stops before anything is made.
    let security = config.security.read(&config.issuer())?;
    if !config.disable_agent {
        node::registries(config.registries.as_deref())?;
    }
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&config.data_dir)
        .with_context(|| format!("create {}", config.data_dir.display()))?;
    // First: it holds the lock on the data directory.
    let datastore = Datastore::open(config, clock, progress, &groups.store).await?;
    progress.step("store open");
    let pki = Pki::load_or_create(&config.data_dir.join("pki"), process.clock.clone())?;
    let pki = Arc::new(pki.with_lifetime(config.certificate_lifetime));
    let node_ip = config.node_ip.unwrap_or_else(|| host::node_ip(config.cluster_cidrs[0].addr().is_ipv4()));
    let shared = Shared { clock: clock.clone(), random: process.random.clone(), pki, node_ip };
    let control_plane = ControlPlane::start(config, security, &shared, datastore, groups).await?;
    progress.step(&format!("API server, controllers and scheduler on https://{}", control_plane.address));
    keep_kubeconfig(config, &shared, &control_plane, groups)?;
    crate::dns::start(config, &shared, &control_plane, groups).await?;
    if !config.disable_agent {
        start_node(config, &shared, &control_plane, groups).await?;
        progress.step("container runtime and kubelet");
        let transport = control_plane.api.local(identities::user("system:apiserver"));
        let name = config.node_name.clone();
        groups.components.spawn_until_shutdown(label_control_plane(transport.clone(), name));
        tokio::select! {
            () = node::ready(&*transport, &config.node_name) => progress.step(&format!("node {} is ready", config.node_name)),
            () = shared.clock.sleep(READY_WITHIN) => progress.print(&format!(
                "node {} is not ready yet; `kubectl describe node {}` says why\n",
                config.node_name, config.node_name
            )),
        }
    }
    progress.print(&format!(
        "\nKnarr is up. In another terminal:\n\n  export KUBECONFIG={}\n  kubectl get nodes\n  kubectl run nginx --image=nginx\n\n",
        config.write_kubeconfig.display()
    ));
    Ok(())
}

/// This machine as a node of its own cluster.
async fn start_node(
    config: &ServerConfig,
    shared: &Shared,
    control_plane: &ControlPlane,
    groups: &Groups,
) -> Result<()> {
    let node = config.node(shared.node_ip);
    let network = control_plane.api.local(identities::user("system:kube-proxy"));
    let access = node::Access {
        kubelet: control_plane.api.local(identities::node(&node.node_name)),
        network: network.clone(),
        client_ca: shared.pki.ca.cert_pem().to_owned(),
        serving: live(shared, "kubelet-server", &identities::kubelet_server(&node), groups)?,
    };
    // Before the first pod: it looks for the API server by its service.
    proxy::start(&node, network, &shared.clock, &shared.random, groups)?;
    let (runtime, _kubelet) = node::start(&node, access, &shared.clock, &shared.random, groups).await?;
    let shown = control::Node { runtime, clock: shared.clock.clone() };
    control::serve(Arc::new(shown), &config.control_socket(), &groups.components)
}

/// Gives the node the role that `kubectl get nodes` shows, whenever it is registered. A kubelet may not say so itself.
async fn label_control_plane(transport: Arc<dyn Transport>, name: String) {
    const ROLE: &str = "node-role.kubernetes.io/control-plane";
    let mut changes = Informer::<Node>::all(&*transport).subscribe();
    while let Some(change) = changes.next().await {
        let Some(node) = change.new.filter(|n| *n.key.name == *name && n.meta.label(ROLE).is_none()) else {
            continue;
        };
        let label = serde_json::json!({ "metadata": { "labels": { ROLE: "true" } } });
        let api = client::Api::<Node>::new(transport.clone());
        if let Err(error) = api.patch("", &node.key.name, PatchType::Merge, &label).await {
            tracing::warn!(%error, "cannot label the node with its role");
        }
    }
}

/// Writes the administrator's kubeconfig, now and whenever his certificate is renewed.
fn keep_kubeconfig(
    config: &ServerConfig,
    shared: &Shared,
    control_plane: &ControlPlane,
    groups: &Groups,
) -> Result<()> {
    let mut written = shared.pki.identity("admin", &identities::admin())?;
    write_kubeconfig(config, shared, control_plane.address.port(), &written)?;
    let (config, shared, port) = (config.clone(), shared.clone(), control_plane.address.port());
    groups.api.spawn_until_shutdown(async move {
        let pki = shared.pki.clone();
        let written = std::sync::Mutex::new(std::mem::take(&mut written.cert_pem));
        pki.keep("admin", &identities::admin(), |admin| {
            let mut written = written.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if *written != admin.cert_pem {
                write_kubeconfig(&config, &shared, port, admin)?;
                written.clone_from(&admin.cert_pem);
            }
            Ok(())
        })
        .await;
    });
    Ok(())
}

fn write_kubeconfig(config: &ServerConfig, shared: &Shared, port: u16, admin: &Identity) -> Result<()> {
    let host = match config.bind_address {
        ip if ip.is_unspecified() && ip.is_ipv4() => "127.0.0.1".to_owned(),
        ip if ip.is_unspecified() => "[::1]".to_owned(),
        ip if ip.is_ipv6() => format!("[{ip}]"),
        ip => ip.to_string(),
    };
    let server = format!("https://{host}:{port}");
    let kubeconfig =
        Kubeconfig { name: "knarr", server: &server, ca_pem: shared.pki.ca.cert_pem(), identity: admin };
    kubeconfig.write(&config.write_kubeconfig).context("write the kubeconfig (--write-kubeconfig)")?;
    // For a reset, which knows only the data directory.
    let note = config.data_dir.join("kubeconfig-path");
    std::fs::write(&note, config.write_kubeconfig.as_os_str().as_encoded_bytes())
        .with_context(|| format!("write {}", note.display()))
}

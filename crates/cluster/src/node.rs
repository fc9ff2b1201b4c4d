//! Runtime, network and kubelet of this machine.

use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use auth::authn::{DelegatedAuthentication, X509};
use auth::authz::DelegatedAuthorization;
use client::{EventRecorder, EventType, Informer, Transport, ViewScope};
use cri::RuntimeService as _;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Node, ObjectReference};
use kubelet::cgroups::Cgroups;
use kubelet::mounts::SystemMounter;
use kubelet::{Kubelet, Plain, ServerConfig as KubeletServer};
use pki::LiveIdentity;
use resources::prelude::NodeExt as _;
use runtime::Runtime;
use runtime::registries::Registries;
use stdx::clock::SharedClock;
use stdx::{Random, Tasks};
use tokio::net::TcpListener;

use crate::config::{DEFAULT_REGISTRIES, NodeConfig, cgroup_prefix};
use crate::control_plane::Groups;
use crate::network::Network;
use crate::streams::Streams;

/// The runtime's configuration; also what a reset undoes.
pub fn runtime_config(
    config: &NodeConfig,
    clock: &SharedClock,
    groups: &Groups,
    network: Arc<Network>,
) -> Result<runtime::Config> {
    Ok(runtime::Config {
        state_dir: config.run_dir.clone(),
        data_dir: config.data_dir.clone(),
        cgroup_root: cgroup_prefix(&config.run_dir),
        network,
        registries: registries(config.registries.as_deref())?,
        program: "/proc/self/exe".into(),
        clock: clock.clone(),
        tasks: groups.components.clone(),
    })
}

/// The file's contents. The usual one may be missing, one that was named may not.
pub fn registries(named: Option<&Path>) -> Result<Registries> {
    let path = named.unwrap_or(Path::new(DEFAULT_REGISTRIES));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && named.is_none() => {
            return Ok(Registries::default());
        }
        Err(e) => return Err(e).with_context(|| format!("read {}", path.display())),
    };
    serde_saphyr::from_str(&text)
        .with_context(|| format!("{} is not as registries.yaml should be", path.display()))
}

/// How the node's parts reach the API, and how others know the kubelet.
pub struct Access {
    /// As `system:node:NAME`.
    pub kubelet: Arc<dyn Transport>,
    /// May read nodes, services and endpoint slices.
    pub network: Arc<dyn Transport>,
    /// PEM; who vouches for those who come to the kubelet.
    pub client_ca: String,
    /// What the kubelet's server shows.
    pub serving: Arc<LiveIdentity>,
}

/// Opens the runtime and starts the kubelet.
pub async fn start(
    config: &NodeConfig,
    access: Access,
    clock: &SharedClock,
    random: &Random,
    groups: &Groups,
) -> Result<(Arc<Runtime>, Kubelet)> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&config.run_dir)
        .with_context(|| format!("create {}", config.run_dir.display()))?;
    let network = Arc::new(Network::open(&config.run_dir.join("net"), &config.cluster_cidrs)?);
    let runtime = Runtime::open(runtime_config(config, clock, groups, network.clone())?)
        .await
        .context("start the container runtime")?;
    load_images(&runtime, &config.data_dir.join("images")).await;

    let address = SocketAddr::new(config.bind_address, config.kubelet_port);
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("listen on {address} for the kubelet (choose another port with --kubelet-port)")
    })?;
    let mut plain = Vec::new();
    for (address, port, flag) in [
        (config.kubelet.read_only, Plain::ReadOnly, "--read-only-port"),
        (config.kubelet.cadvisor, Plain::Cadvisor, "--cadvisor-port"),
    ] {
        let Some(address) = address else { continue };
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("listen on {address} ({flag})"))?;
        tracing::warn!("{flag}: whoever reaches http://{address} reads what this node runs, unasked");
        plain.push((listener, port));
    }
    let kubelet_dir = config.data_dir.join("kubelet");
    private(&kubelet_dir).with_context(|| format!("make {} root's alone", kubelet_dir.display()))?;
    let mut settings = kubelet::Config::new(&config.node_name, kubelet_dir, Arc::new(SystemMounter));
    settings.pod_logs_dir = config.data_dir.join("pod-logs");
    settings.node_ips = vec![config.node_ip];
    settings.node_labels = config.node_labels.clone();
    settings.cluster_domain = config.cluster_domain.clone();
    settings.cluster_dns = config.cluster_dns.into_iter().collect();
    settings.resolv_conf = crate::dns::resolv_conf(config.resolv_conf.as_deref());
    settings.seccomp_default = config.kubelet.seccomp_default;
    settings.max_pods = config.kubelet.max_pods;
    settings.node_taints = config.kubelet.taints.clone();
    settings.eviction = config.eviction_hard;
    let manifests = &config.pod_manifest_path;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(manifests)
        .with_context(|| format!("create {}", manifests.display()))?;
    settings.static_pod_path = Some(manifests.clone());
    settings.cgroups = Cgroups::detect(&cgroup_prefix(&config.run_dir)).context("find the cgroups")?;
    let transport = access.kubelet;
    let x509 = X509::new(&access.client_ca, clock.clone())?;
    // As a kubelet of any cluster: certificates are judged here, everything else is asked of the API server.
    let authenticator =
        DelegatedAuthentication::new(Some(x509), transport.clone(), config.kubelet.anonymous, clock.clone());
    let authorizer = DelegatedAuthorization::new(transport.clone(), clock.clone());
    settings.server = Some(KubeletServer {
        listener,
        plain,
        tls: Arc::new(pki::tls::server_config(access.serving)?),
        authenticator: Arc::new(authenticator),
        authorizer: Arc::new(authorizer),
        streaming: Some(Arc::new(Streams {
            runtime: runtime.clone(),
            clock: clock.clone(),
            tasks: groups.components.clone(),
        })),
    });
    let recorder = EventRecorder::new(
        transport.clone(),
        &groups.components,
        clock.clone(),
        random.clone(),
        "kubelet",
        &config.node_name,
    );
    let kubelet = Kubelet::start(
        settings,
        transport,
        runtime.clone(),
        runtime.clone(),
        clock.clone(),
        random.clone(),
        &groups.components,
    )
    .await
    .context("start the kubelet")?;
    mend_links(network.clone(), &runtime, recorder.clone(), &groups.components);
    crate::peers::keep(network, &*access.network, config, recorder, &groups.components);
    Ok((runtime, kubelet))
}

/// Links of pods that somebody deletes come back, and an event of the pod says so.
fn mend_links(network: Arc<Network>, runtime: &Arc<Runtime>, recorder: EventRecorder, group: &Tasks) {
    let tasks = group.clone();
    let runtime = runtime.clone();
    let told = move |sandbox: &str, result: anyhow::Result<()>| {
        let (runtime, recorder, sandbox) = (runtime.clone(), recorder.clone(), sandbox.to_owned());
        tasks.spawn_until_shutdown(async move {
            let message = match result {
                Ok(()) => "The pod's network link was deleted; it has been made again".to_owned(),
                Err(e) => format!("The pod's network link was deleted and cannot be made again: {e:#}"),
            };
            tracing::warn!(sandbox, "{message}");
            let Ok(status) = runtime.pod_sandbox_status(&sandbox).await else { return };
            let pod = status.sandbox.metadata;
            let object = ObjectReference {
                api_version: Some("v1".into()),
                kind: Some("Pod".into()),
                namespace: Some(pod.namespace),
                name: Some(pod.name),
                uid: Some(pod.uid),
                ..ObjectReference::default()
            };
            recorder.event(&object, EventType::Warning, "NetworkLinkLost", message);
        });
    };
    group.spawn_until_shutdown(async move {
        if let Err(e) = network.mend(told).await {
            tracing::error!("links that are deleted are not noticed any more: {e:#}");
        }
    });
}

/// Pods' volumes hold tokens and secrets that containers of any user may read, so nobody else gets there: the data directory itself
/// may be a person's, who put images into it before the first start.
fn private(dir: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).create(dir)?;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))
}

/// Archives that lie in the data directory: images for machines without a network. One that is broken is reported and left.
async fn load_images(runtime: &Runtime, dir: &Path) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let mut archives: Vec<_> = entries.flatten().map(|e| e.path()).collect();
    archives.sort();
    for archive in archives.iter().filter(|p| p.extension().is_some_and(|e| e == "tar")) {
        match runtime.load_archive(archive).await {
            Ok(names) => tracing::info!(archive = %archive.display(), ?names, "images loaded"),
            Err(error) => tracing::error!("cannot load images from {}: {error:#}", archive.display()),
        }
    }
}

/// Completes when the node is Ready.
pub async fn ready(transport: &dyn Transport, name: &str) {
    let scope = ViewScope { field_selector: format!("metadata.name={name}"), ..ViewScope::default() };
    let mut changes = Informer::<Node>::scoped(transport, &scope).subscribe();
    while let Some(change) = changes.next().await {
        let node = change.new.as_ref().and_then(|n| client::informer::decode::<Node>(n));
        if node.is_some_and(|n| n.is_ready()) {
            return;
        }
    }
}

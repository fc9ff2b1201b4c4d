//! `knarr agent`: this machine as a node of a cluster whose servers are elsewhere. Start at [`run`].
//!
//! - [`join`]: from a token to certificates of the node's own. [`certificates`]: they renew themselves.
//! - [`clocks`]: whether this machine and its server agree on the time.
//! - Everything else is the server's own node part, over HTTPS.

pub(crate) mod certificates;
mod clocks;
mod config;
mod join;
mod servers;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use client::https::HttpsTransport;
use client::{Informer, Transport};
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Node;
use stdx::clock::SharedClock;
use stdx::{Random, Tasks};

use crate::config::NodeConfig;
use crate::dns::{self, agents};
use crate::process::{self, Process};
use crate::progress::Progress;
use crate::{control, host, joining, node, proxy};
use certificates::Certificates;
pub use clocks::complaint as clock_complaint;
pub use config::AgentConfig;

/// How long the first message waits for the node to be ready.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Between tries while no server answers.
const AGAIN: Duration = Duration::from_secs(2);

/// What an agent runs on.
#[derive(Clone)]
pub(crate) struct Machine {
    pub clock: SharedClock,
    pub random: Random,
    pub tasks: Tasks,
}

/// Runs an agent until SIGTERM or SIGINT. Containers are left running.
pub fn run(config: AgentConfig) -> Result<()> {
    process::run("Stopping; containers keep running.\n", async |process| start(&config, process).await)
}

async fn start(config: &AgentConfig, process: &Process) -> Result<()> {
    let Process { groups, progress, .. } = process;
    // What is wrong in a file of the user's stops before anything is made.
    node::registries(config.registries.as_deref())?;
    if config.data_dir.join("db").exists() {
        bail!(
            "{} holds the data of a server; an agent needs a --data-dir of its own, or `knarr reset` first",
            config.data_dir.display()
        );
    }
    let (clock, random) = (process.clock.clone(), process.random.clone());
    let machine = Machine { clock, random, tasks: groups.api.clone() };
    let node_ip = config.node_ip.unwrap_or_else(|| host::node_ip(true));
    let (dir, name) = (config.data_dir.join("agent"), &config.node_name);
    let certificates = Certificates::new(dir, certificates::AGENT, name, node_ip, machine.clone());
    let servers = servers::Known::load(config)?;
    join::check(config, &certificates)?;
    pki::files::private_dir(&config.data_dir)?;
    let lock = lock(&config.data_dir)?;
    let access = join::join(config, &certificates, &servers, &machine, progress).await?;
    let transport: Arc<dyn Transport> = Arc::new(access.transport.clone());
    certificates.keep_client(access.client, access.transport.clone());
    let first = servers::url(&servers.first.0, servers.first.1);
    servers.keep(transport.clone(), &machine);
    let node = know_cluster(config, node_ip, &first, &transport, &machine, progress).await?;
    // Held until the process ends.
    groups.api.spawn_until_shutdown(async move {
        let _lock = lock;
        futures::future::pending::<()>().await;
    });
    // The certificate that the API server will accept comes when the node is known.
    let serving = certificates.serving()?;
    let parts = node::Access {
        kubelet: transport.clone(),
        network: transport.clone(),
        client_ca: access.ca_pem,
        serving: serving.live.clone(),
    };
    proxy::start(&node, transport.clone(), &machine.clock, &machine.random, groups)?;
    let around = dns::Around { clock: &machine.clock, random: &machine.random, tasks: &groups.components };
    let nodes = Informer::<Node>::all(&*transport);
    let served = dns::serve(&node, transport.clone(), ::dns::PodNames::Believed, nodes, &around).await?;
    if let Some(server) = served {
        agents::announce(transport.clone(), &node.node_name, server, &groups.components);
    }
    let (runtime, _kubelet) = node::start(&node, parts, &machine.clock, &machine.random, groups).await?;
    certificates.keep_serving(serving, transport.clone());
    let shown = control::Node { runtime, clock: machine.clock.clone() };
    control::serve(Arc::new(shown), &node.control_socket(), &groups.components)?;
    progress.step("container runtime, service proxy and kubelet");
    tokio::select! {
        () = node::ready(&*transport, &node.node_name) => progress.step(&format!("node {} is ready", node.node_name)),
        () = machine.clock.sleep(READY_WITHIN) => progress.print(&format!(
            "node {} is not ready yet; on a server, `kubectl describe node {}` says why\n",
            node.node_name, node.node_name
        )),
    }
    progress.print(&format!(
        "\nThis machine is node {} of the cluster. On a server:\n\n  kubectl get nodes -o wide\n\nHere, `knarr ps` lists its containers. \
         It needs no token from now on.\n\n",
        node.node_name
    ));
    Ok(())
}

/// In the agent's data directory.
pub(crate) const LOCK: &str = "agent.lock";

/// Two agents on one directory would fight over the same containers.
pub(crate) fn lock(data_dir: &Path) -> Result<nix::fcntl::Flock<std::fs::File>> {
    let path = data_dir.join(LOCK);
    let file = std::fs::File::create(&path).with_context(|| format!("create {}", path.display()))?;
    nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusiveNonblock).map_err(|(_, e)| match e {
        nix::errno::Errno::EWOULDBLOCK => {
            anyhow::anyhow!(
                "another agent runs on {}; stop it, or choose another --data-dir",
                data_dir.display()
            )
        }
        e => anyhow::anyhow!("lock {}: {e}", path.display()),
    })
}

/// Whether something listens at `--server`.
pub fn reach(server: &str) -> Result<()> {
    use std::net::{TcpStream, ToSocketAddrs as _};
    let (host, port) = servers::address(server)?;
    let mut addresses = (host.as_str(), port).to_socket_addrs().with_context(|| format!("resolve {host}"))?;
    let address = addresses.next().with_context(|| format!("{host} has no address"))?;
    TcpStream::connect_timeout(&address, Duration::from_secs(5))
        .with_context(|| format!("connect to {address}"))?;
    Ok(())
}

/// How far this machine's clock is ahead of the one of `server` (`https://host:port`), to the second. `None`: it does not tell.
pub fn clock_ahead(server: &str) -> Result<Option<SignedDuration>> {
    crate::install_tls();
    let (host, port) = servers::address(server)?;
    let tasks = Tasks::new();
    let machine =
        Machine { clock: stdx::SystemClock::shared(), random: Random::from_os(), tasks: tasks.clone() };
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let ahead = clocks::ahead(&servers::url(&host, port), &machine).await;
        tasks.stop().await;
        ahead
    })
}

/// The cluster's own settings, asked until a server answers.
async fn know_cluster(
    config: &AgentConfig,
    node_ip: std::net::IpAddr,
    server: &str,
    transport: &Arc<dyn Transport>,
    machine: &Machine,
    progress: &Progress,
) -> Result<NodeConfig> {
    let mut told = false;
    let about = loop {
        match joining::about(transport).await {
            Ok(about) => break about,
            Err(error) => {
                if !std::mem::replace(&mut told, true) {
                    progress.print(&format!("waiting for the API server: {error:#}\n"));
                    // Wrong clocks make good certificates look bad.
                    let ahead = clocks::ahead(server, machine).await.ok().flatten();
                    if let Some(why) = ahead.and_then(clocks::complaint) {
                        progress.print(&format!("{why}\n"));
                    }
                }
                machine.clock.sleep(AGAIN).await;
            }
        }
    };
    for attached in podnet::attached().await.context("read this machine's addresses")? {
        let clash = about
            .cluster_cidrs
            .iter()
            .chain(&about.service_cidrs)
            .find(|c| c.contains(&attached.network.network()) || attached.network.contains(&c.network()));
        if let Some(clash) = clash {
            bail!(
                "this machine is on the network {}, which overlaps the cluster's range {clash}: its pods or services could not be told \
                 from machines. Give the machine another network, or start the cluster anew with other --cluster-cidr and --service-cidr",
                attached.network.trunc()
            );
        }
    }
    Ok(config.node(node_ip, about))
}

/// The API as this node, and what was needed to get there.
pub(crate) struct Joined {
    pub transport: HttpsTransport,
    pub client: certificates::Held,
    pub ca_pem: String,
}

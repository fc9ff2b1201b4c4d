//! Cluster DNS: what names mean (the Kubernetes DNS specification 1.1), and everything else from the node's own resolvers.
//! Start at [`Dns::start`], then [`zone::Zone::find`].
//!
//! - [`records`]: the index of services, endpoints, namespaces and pods; [`watch`] keeps it, one change at a time.
//! - [`zone`]: a name and a type → an answer, purely. [`resolver`]: what the zone does not know goes to [`forward`].
//! - [`message`]: questions and answers on the wire. [`server`]: UDP and TCP, for clients that [`access`] lets in.
//!
//! Never writes to the API, never answers strangers.

mod access;
mod forward;
mod message;
mod records;
mod resolver;
mod server;
mod watch;
mod zone;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use client::Transport;
use futures::future::{Either, select};
use ipnet::IpNet;
use stdx::clock::{Clock, SharedClock};
use stdx::{Random, Tasks};

pub use access::Access;

/// How names such as `10-42-0-1.default.pod` are answered: CoreDNS' `pods verified` and `pods insecure`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodNames {
    /// When there is such a pod. Every pod of the cluster is watched for it.
    Verified,
    /// Always, in namespaces that there are: a node has no right to see others' pods.
    Believed,
}

/// What a DNS server is started with.
pub struct Config {
    /// The address to listen on: one by which the node is reached.
    pub address: IpAddr,
    /// Preferred; another is taken when this one is in use, or when it is 0.
    pub port: u16,
    /// Such as `cluster.local`.
    pub domain: String,
    /// The service addresses by which clients reach this server.
    pub service_ips: Vec<IpAddr>,
    /// The ranges of pods and services: reverse names in them are answered here alone.
    pub ranges: Vec<IpNet>,
    pub pods: PodNames,
    /// Who is answered.
    pub access: Access,
    /// Where the node's own nameservers are read from, again whenever the file changes.
    pub resolv_conf: PathBuf,
}

/// A running server; it ends with the tasks it was started in.
#[derive(Clone, Copy, Debug)]
pub struct Dns {
    address: SocketAddr,
}

impl Dns {
    /// Listens, and answers until `tasks` are stopped. Cluster names are answered with SERVFAIL until the first lists have
    /// come. Fails when no port can be had.
    pub async fn start(
        config: Config,
        transport: Arc<dyn Transport>,
        clock: SharedClock,
        random: Random,
        tasks: &Tasks,
    ) -> Result<Dns> {
        let sockets = server::bind(config.address, config.port)
            .await
            .with_context(|| format!("listen on {} for cluster DNS", config.address))?;
        let address = sockets.address;
        let index = records::Index::default();
        watch::start(&*transport, &index, config.pods, tasks);
        let zone = zone::Zone::new(&config.domain, config.service_ips.clone(), config.ranges)
            .with_context(|| format!("cluster domain {:?}", config.domain))?;
        // A resolv.conf that names this very server would send questions in circles.
        let own = config.service_ips.iter().map(|ip| SocketAddr::new(*ip, 53)).chain([address]).collect();
        let forward = forward::Forwarder::new(config.resolv_conf, own, clock.clone());
        let resolver = resolver::Resolver::new(zone, index, forward, clock.clone(), random);
        server::serve(sockets, Arc::new(resolver), Arc::new(config.access), clock, tasks);
        Ok(Dns { address })
    }

    /// Where it listens, over UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// The future's output, or `None` when it takes longer than `limit`.
async fn within<F: Future>(clock: &dyn Clock, limit: Duration, future: F) -> Option<F::Output> {
    futures::pin_mut!(future);
    match select(future, clock.sleep(limit)).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}

/// What a server that knows nothing answers to a packet; empty: nothing at all.
pub fn refuse(packet: &[u8]) -> Vec<u8> {
    match message::parse(packet) {
        Ok(question) => {
            let refused = zone::Answer::code(hickory_proto::op::ResponseCode::Refused);
            question.reply(&refused, message::Over::Udp)
        }
        Err(refusal) => refusal,
    }
}

#[cfg(test)]
mod tests;

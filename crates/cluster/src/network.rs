//! The pod network as the runtime wants it.

use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, Result};
use async_trait::async_trait;
use ipnet::IpNet;
use podnet::{HostPort, PodNetwork, Protocol, Ranges};
use runtime::SandboxNetwork;
use tokio::sync::watch;

/// [`PodNetwork`] behind the runtime's seam.
#[derive(Debug)]
pub struct Network {
    pods: PodNetwork,
    cluster_cidrs: Vec<IpNet>,
}

impl Network {
    /// Leases are kept in `dir`.
    pub fn open(dir: &Path, cluster_cidrs: &[IpNet]) -> Result<Self> {
        let pods = PodNetwork::open(dir).context("open the pod network")?;
        Ok(Network { pods, cluster_cidrs: cluster_cidrs.to_vec() })
    }
}

impl Network {
    /// As [`PodNetwork::mend`].
    pub async fn mend(&self, told: impl Fn(&str, Result<()>)) -> Result<()> {
        self.pods.mend(told).await
    }

    /// As [`PodNetwork::keep_ways`].
    pub async fn keep_ways(
        &self,
        cluster: watch::Receiver<podnet::Cluster>,
        told: impl Fn(&str),
    ) -> Result<()> {
        self.pods.keep_ways(cluster, told).await
    }
}

#[async_trait]
impl SandboxNetwork for Network {
    async fn setup(&self, sandbox: &str, netns: &Path, ports: &[cri::PortMapping]) -> Result<Vec<IpAddr>> {
        let ports = ports.iter().filter(|p| p.host_port != 0).map(host_port).collect::<Result<Vec<_>>>()?;
        self.pods.setup(sandbox, netns, &ports).await
    }

    async fn teardown(&self, sandbox: &str, _: &Path) -> Result<()> {
        self.pods.teardown(sandbox).await
    }

    async fn status(&self) -> Result<()> {
        self.pods.ready().await
    }

    async fn configure(&self, pod_cidrs: &[String]) -> Result<()> {
        let pod_cidrs = pod_cidrs
            .iter()
            .map(|c| c.parse().with_context(|| format!("pod CIDR {c:?}")))
            .collect::<Result<Vec<IpNet>>>()?;
        self.pods.configure(&Ranges { pod_cidrs, cluster_cidrs: self.cluster_cidrs.clone() }).await
    }

    async fn retain(&self, sandboxes: &[String]) -> Result<()> {
        self.pods.retain(sandboxes).await
    }
}

fn host_port(port: &cri::PortMapping) -> Result<HostPort> {
    let host_ip = match port.host_ip.as_str() {
        "" => None,
        ip => Some(ip.parse().with_context(|| format!("hostIP {ip:?}"))?),
    };
    Ok(HostPort {
        protocol: match port.protocol {
            cri::Protocol::Tcp => Protocol::Tcp,
            cri::Protocol::Udp => Protocol::Udp,
            cri::Protocol::Sctp => Protocol::Sctp,
        },
        host_ip,
        host_port: port.host_port,
        container_port: port.container_port,
    })
}

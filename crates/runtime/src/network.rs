//! How a sandbox gets its network: a seam, since the pod network is built elsewhere.

use std::net::IpAddr;
use std::path::Path;

use async_trait::async_trait;

/// Gives sandboxes their network and takes it back.
#[async_trait]
pub trait SandboxNetwork: Send + Sync + std::fmt::Debug + 'static {
    /// Connects the namespace pinned at `netns` and returns the sandbox's addresses. Loopback is up already. On failure
    /// nothing is left behind.
    async fn setup(
        &self,
        sandbox: &str,
        netns: &Path,
        ports: &[cri::PortMapping],
    ) -> anyhow::Result<Vec<IpAddr>>;
    /// Takes the network back. Idempotent; the namespace may be gone.
    async fn teardown(&self, sandbox: &str, netns: &Path) -> anyhow::Result<()>;
    /// Why no sandbox could be connected now, for the NetworkReady condition.
    async fn status(&self) -> anyhow::Result<()>;
    /// The node's pod CIDRs, when they become known.
    async fn configure(&self, pod_cidrs: &[String]) -> anyhow::Result<()>;
    /// After a restart: forget what belongs to none of these sandboxes.
    async fn retain(&self, sandboxes: &[String]) -> anyhow::Result<()>;
}

/// Nothing but loopback, for tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoopbackNetwork;

#[async_trait]
impl SandboxNetwork for LoopbackNetwork {
    async fn setup(&self, _: &str, _: &Path, _: &[cri::PortMapping]) -> anyhow::Result<Vec<IpAddr>> {
        Ok(vec![IpAddr::from([127, 0, 0, 1])])
    }

    async fn teardown(&self, _: &str, _: &Path) -> anyhow::Result<()> {
        Ok(())
    }

    async fn status(&self) -> anyhow::Result<()> {
        Ok(())
    }

    async fn configure(&self, _: &[String]) -> anyhow::Result<()> {
        Ok(())
    }

    async fn retain(&self, _: &[String]) -> anyhow::Result<()> {
        Ok(())
    }
}

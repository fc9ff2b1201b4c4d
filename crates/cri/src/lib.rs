//! The Container Runtime Interface as Rust values and traits: what the kubelet says to a runtime.
//! Start at [`RuntimeService`] and [`ImageService`].
//!
//! Names and meanings are CRI v1's (`runtime.v1`); the gRPC client and server will translate to these types. Never knows a
//! Kubernetes object, never names an implementation.

pub mod fake;
pub mod types;

use async_trait::async_trait;
use futures::stream::BoxStream;

pub use types::*;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("not found: {0}")]
    NotFound(String),
    #[error("already exists: {0}")]
    AlreadyExists(String),
    #[error("invalid argument: {0}")]
    InvalidArgument(String),
    /// The runtime cannot work now (shutting down, disk full, …).
    #[error("unavailable: {0}")]
    Unavailable(String),
    #[error("deadline exceeded: {0}")]
    DeadlineExceeded(String),
    /// Anything else; the text goes into events and `state.waiting.message`.
    #[error("{0}")]
    Unknown(String),
}

pub type Result<T> = std::result::Result<T, Error>;

/// Sandboxes and containers.
#[async_trait]
pub trait RuntimeService: Send + Sync + 'static {
    async fn version(&self) -> Result<VersionInfo>;
    /// RuntimeReady and NetworkReady, each with why not.
    async fn status(&self) -> Result<RuntimeStatus>;
    /// The node's podCIDR(s), once known.
    async fn update_runtime_config(&self, pod_cidrs: &[String]) -> Result<()>;

    /// Creates and starts a sandbox; when it returns the network is up. On failure nothing is left behind.
    async fn run_pod_sandbox(&self, config: &PodSandboxConfig) -> Result<SandboxId>;
    /// Stops all its containers and frees network. Idempotent.
    async fn stop_pod_sandbox(&self, id: &str) -> Result<()>;
    /// Removes it with its containers. Idempotent.
    async fn remove_pod_sandbox(&self, id: &str) -> Result<()>;
    async fn pod_sandbox_status(&self, id: &str) -> Result<PodSandboxStatus>;
    async fn list_pod_sandboxes(&self) -> Result<Vec<PodSandbox>>;

    async fn create_container(
        &self,
        sandbox: &str,
        config: &ContainerConfig,
        sandbox_config: &PodSandboxConfig,
    ) -> Result<ContainerId>;
    async fn start_container(&self, id: &str) -> Result<()>;
    /// Signals (SIGTERM or the image's STOPSIGNAL), waits `timeout_seconds`, kills. Idempotent.
    async fn stop_container(&self, id: &str, timeout_seconds: i64) -> Result<()>;
    async fn remove_container(&self, id: &str) -> Result<()>;
    async fn list_containers(&self) -> Result<Vec<Container>>;
    async fn container_status(&self, id: &str) -> Result<ContainerStatus>;
    /// What the machine could not give a container that asked for it (limits, capabilities, …), in words for an event; known
    /// once it was started. Not of CRI: a runtime behind gRPC says nothing.
    async fn container_warnings(&self, id: &str) -> Result<Vec<String>> {
        let _ = id;
        Ok(Vec::new())
    }
    async fn update_container_resources(&self, id: &str, resources: &LinuxContainerResources) -> Result<()>;
    /// After the log file was rotated away.
    async fn reopen_container_log(&self, id: &str) -> Result<()>;
    async fn container_stats(&self, id: &str) -> Result<ContainerStats>;

    /// Runs a command to its end (probes, hooks). `timeout_seconds` 0: none.
    async fn exec_sync(&self, id: &str, command: &[String], timeout_seconds: i64)
    -> Result<ExecSyncResponse>;
    /// Runs a command with streams.
    async fn exec(&self, request: ExecRequest) -> Result<Attached>;
    /// The running container's own streams.
    async fn attach(&self, request: AttachRequest) -> Result<Attached>;
    /// A connection to `port` on localhost inside the sandbox's network namespace.
    async fn port_forward(&self, sandbox: &str, port: u16) -> Result<Box<dyn Duplex>>;

    /// Container and sandbox changes, pushed, from now on. A reader that lags gets `Resync` and lists again.
    fn events(&self) -> BoxStream<'static, Event>;
}

/// Images.
#[async_trait]
pub trait ImageService: Send + Sync + 'static {
    async fn list_images(&self) -> Result<Vec<Image>>;
    /// `None` when it is not there. `image` is a reference as users write it, or an image id.
    async fn image_status(&self, image: &str) -> Result<Option<Image>>;
    /// Pulls and returns the image reference to run (its id).
    async fn pull_image(&self, image: &str, auth: Option<&AuthConfig>) -> Result<String>;
    async fn remove_image(&self, image: &str) -> Result<()>;
    async fn image_fs_info(&self) -> Result<Vec<FilesystemUsage>>;
}

/// A byte stream both ways.
pub trait Duplex: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Duplex for T {}

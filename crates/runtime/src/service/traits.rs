//! CRI's runtime service, each call where it belongs.

use async_trait::async_trait;
use cri::{
    AttachRequest, Attached, Container, ContainerConfig, ContainerState, ContainerStats, ContainerStatus,
    ContainerUser, Error, Event, ExecRequest, ExecSyncResponse, LinuxContainerResources, PodSandbox,
    PodSandboxConfig, PodSandboxStatus, Result, RuntimeCondition, RuntimeService, RuntimeStatus,
    SandboxState, VersionInfo,
};
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio_util::sync::CancellationToken;

use super::Runtime;
use super::records;
use crate::cgroup;
use crate::shim::proto::Op;

fn unknown(error: anyhow::Error) -> Error {
    Error::Unknown(format!("{error:#}"))
}

/// Whether the kernel makes them.
fn user_namespaces() -> bool {
    let most = std::fs::read_to_string("/proc/sys/user/max_user_namespaces").unwrap_or_default();
    most.trim().parse::<u64>().is_ok_and(|most| most > 0)
}

fn no_container(id: &str) -> Error {
    Error::NotFound(format!("container {id}"))
}

#[async_trait]
impl RuntimeService for Runtime {
    async fn version(&self) -> Result<VersionInfo> {
        Ok(VersionInfo {
            runtime_name: "knarr".to_string(),
            runtime_version: env!("CARGO_PKG_VERSION").to_string(),
            runtime_api_version: "v1".to_string(),
        })
    }

    async fn status(&self) -> Result<RuntimeStatus> {
        let condition = |kind: &str, reason: &str, problem: Option<String>| RuntimeCondition {
            kind: kind.to_string(),
            status: problem.is_none(),
            reason: problem.as_ref().map(|_| reason.to_string()).unwrap_or_default(),
            message: problem.unwrap_or_default(),
        };
        let network = self.network.status().await.err().map(|e| format!("{e:#}"));
        Ok(RuntimeStatus {
            conditions: vec![
                condition("RuntimeReady", "RuntimeBroken", self.problem()),
                condition("NetworkReady", "NetworkNotReady", network),
            ],
            cgroup_driver: "cgroupfs".to_string(),
            user_namespaces: user_namespaces(),
        })
    }

    async fn update_runtime_config(&self, pod_cidrs: &[String]) -> Result<()> {
        self.network.configure(pod_cidrs).await.map_err(unknown)
    }

    async fn run_pod_sandbox(&self, config: &PodSandboxConfig) -> Result<String> {
        self.start_sandbox(config).await.map_err(unknown)
    }

    async fn stop_pod_sandbox(&self, id: &str) -> Result<()> {
        self.stop_sandbox(id).await.map_err(unknown)
    }

    async fn remove_pod_sandbox(&self, id: &str) -> Result<()> {
        self.delete_sandbox(id).await.map_err(unknown)
    }

    async fn pod_sandbox_status(&self, id: &str) -> Result<PodSandboxStatus> {
        let sandbox = self.find_sandbox(id).ok_or_else(|| Error::NotFound(format!("sandbox {id}")))?;
        Ok(PodSandboxStatus {
            sandbox: self.pod_sandbox(&sandbox),
            ips: sandbox.ips.clone(),
            namespaces: sandbox.config.namespaces.clone(),
        })
    }

    async fn list_pod_sandboxes(&self) -> Result<Vec<PodSandbox>> {
        let all: Vec<_> = self.lock().sandboxes.values().cloned().collect();
        Ok(all.iter().map(|sandbox| self.pod_sandbox(sandbox)).collect())
    }

    async fn create_container(
        &self,
        sandbox: &str,
        config: &ContainerConfig,
        sandbox_config: &PodSandboxConfig,
    ) -> Result<String> {
        self.prepare_container(sandbox, config, sandbox_config).await
    }

    async fn start_container(&self, id: &str) -> Result<()> {
        self.run_container(id).await
    }

    async fn stop_container(&self, id: &str, timeout_seconds: i64) -> Result<()> {
        self.stop(id, timeout_seconds).await
    }

    async fn remove_container(&self, id: &str) -> Result<()> {
        self.delete_container(id).await.map_err(unknown)
    }

    async fn list_containers(&self) -> Result<Vec<Container>> {
        let all: Vec<_> = self.lock().containers.values().cloned().collect();
        Ok(all.iter().map(|container| listed(container)).collect())
    }

    async fn container_status(&self, id: &str) -> Result<ContainerStatus> {
        let container = self.find_container(id).ok_or_else(|| no_container(id))?;
        Ok(status(&container))
    }

    async fn container_warnings(&self, id: &str) -> Result<Vec<String>> {
        let container = self.find_container(id).ok_or_else(|| no_container(id))?;
        Ok(container.live().status.warnings)
    }

    async fn update_container_resources(&self, id: &str, resources: &LinuxContainerResources) -> Result<()> {
        self.change_resources(id, resources)
    }

    async fn reopen_container_log(&self, id: &str) -> Result<()> {
        let container = self.find_container(id).ok_or_else(|| no_container(id))?;
        let link = self.find_sandbox(&container.record.sandbox).and_then(|s| s.link());
        let link = link.ok_or_else(|| Error::Unknown("container is not running".to_string()))?;
        let op = Op::ReopenLog { container: id.to_string() };
        link.call(op, &[]).await.map(drop).map_err(unknown)
    }

    async fn container_stats(&self, id: &str) -> Result<ContainerStats> {
        let container = self.find_container(id).ok_or_else(|| no_container(id))?;
        let usage = cgroup::usage(&self.hierarchy.group(&container.record.cgroup));
        let upper = self.rootfs_dir(id).join("upper");
        let (bytes, inodes) = tokio::task::spawn_blocking(move || disk_usage(&upper))
            .await
            .map_err(|e| Error::Unknown(e.to_string()))?;
        Ok(ContainerStats {
            cpu_usage_core_nano_seconds: usage.cpu_nanoseconds,
            memory_working_set_bytes: usage.working_set_bytes,
            memory_usage_bytes: usage.memory_bytes,
            memory_rss_bytes: usage.rss_bytes,
            rootfs_used_bytes: bytes,
            rootfs_inodes_used: inodes,
        })
    }

    async fn exec_sync(
        &self,
        id: &str,
        command: &[String],
        timeout_seconds: i64,
    ) -> Result<ExecSyncResponse> {
        self.run_exec(id, command, timeout_seconds).await
    }

    async fn exec(&self, request: ExecRequest) -> Result<Attached> {
        self.start_exec(request).await
    }

    async fn attach(&self, request: AttachRequest) -> Result<Attached> {
        self.start_attach(request).await
    }

    async fn port_forward(&self, sandbox: &str, port: u16) -> Result<Box<dyn cri::Duplex>> {
        self.connect_port(sandbox, port).await
    }

    fn events(&self) -> BoxStream<'static, Event> {
        let receiver = self.events.subscribe();
        let ended: CancellationToken = self.tasks.shutdown();
        let stream = futures::stream::unfold(receiver, |mut receiver| async move {
            use tokio::sync::broadcast::error::RecvError;
            match receiver.recv().await {
                Ok(event) => Some((event, receiver)),
                Err(RecvError::Lagged(_)) => Some((Event::Resync, receiver)),
                Err(RecvError::Closed) => None,
            }
        });
        stream.take_until(ended.cancelled_owned()).boxed()
    }
}

impl Runtime {
    /// Why no container could run now.
    fn problem(&self) -> Option<String> {
        let probe = self.state_dir.join("writable");
        let written = std::fs::write(&probe, "").and_then(|()| std::fs::remove_file(&probe));
        let written = written.and_then(|()| {
            let probe = self.data_dir.join("containers").join(".writable");
            std::fs::write(&probe, "").and_then(|()| std::fs::remove_file(&probe))
        });
        written.err().map(|e| format!("cannot write state: {e}"))
    }

    fn pod_sandbox(&self, sandbox: &records::Sandbox) -> PodSandbox {
        PodSandbox {
            id: sandbox.id.clone(),
            metadata: sandbox.config.metadata.clone(),
            state: if self.sandbox_ready(sandbox) { SandboxState::Ready } else { SandboxState::NotReady },
            created_at: sandbox.created_at,
            labels: sandbox.config.labels.clone(),
            annotations: sandbox.config.annotations.clone(),
        }
    }
}

fn listed(container: &records::Container) -> Container {
    let config = &container.record.config;
    Container {
        id: container.id.clone(),
        sandbox: container.record.sandbox.clone(),
        metadata: config.metadata.clone(),
        image: config.image.clone(),
        state: container.state(),
        created_at: container.record.created_at,
        labels: config.labels.clone(),
        annotations: config.annotations.clone(),
    }
}

fn status(container: &records::Container) -> ContainerStatus {
    let (live, record) = (container.live(), &container.record);
    let config = &record.config;
    let image =
        if config.user_specified_image.is_empty() { &config.image } else { &config.user_specified_image };
    let user = live.status.user.clone().map(|(uid, gid, groups)| ContainerUser {
        uid: uid.into(),
        gid: gid.into(),
        supplemental_groups: groups.into_iter().map(i64::from).collect(),
    });
    ContainerStatus {
        // One look at what changes: a state from a moment later would belong to another exit code.
        container: Container { state: live.state, ..listed(container) },
        started_at: live.status.started_at,
        finished_at: live.status.finished_at,
        exit_code: live.status.exit_code,
        signal: live.status.signal,
        reason: live.reason().to_string(),
        message: live.failure.clone().unwrap_or_default(),
        image_ref: record.image_ref.clone(),
        image: image.clone(),
        mounts: config.mounts.clone(),
        log_path: record.log.as_ref().map(|p| p.to_string_lossy().into_owned()).unwrap_or_default(),
        resources: live.resources.clone(),
        user,
        pid: if live.state == ContainerState::Running { live.status.pid } else { 0 },
        command: record.command.clone(),
    }
}

/// Bytes and inodes of a directory's tree.
fn disk_usage(dir: &std::path::Path) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    let (mut bytes, mut inodes) = (0, 0);
    let mut todo = vec![dir.to_path_buf()];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            bytes += metadata.blocks() * 512;
            inodes += 1;
            if metadata.is_dir() {
                todo.push(entry.path());
            }
        }
    }
    (bytes, inodes)
}

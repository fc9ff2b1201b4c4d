//! Containers: prepared, started, stopped, removed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use cri::{ContainerConfig, ContainerState, Event, LinuxContainerResources, PodSandboxConfig};

use super::records::{Container, ContainerRecord, START_FAILED};
use super::sandbox::remove_cgroup;
use super::{Runtime, build, new_id, private_dir};
use crate::cgroup;
use crate::files;
use crate::image::layers::{LayerId, Layers};
use crate::shim::proto::{Op, StartContainer, Status};
use crate::spec::{Rootfs, host_id};

impl Runtime {
    pub(super) async fn prepare_container(
        &self,
        sandbox: &str,
        config: &ContainerConfig,
        sandbox_config: &PodSandboxConfig,
    ) -> cri::Result<String> {
        let Some(sandbox) = self.find_sandbox(sandbox) else {
            return Err(cri::Error::NotFound(format!("sandbox {sandbox}")));
        };
        let Some(image) = self.images.find(&config.image) else {
            return Err(cri::Error::NotFound(format!("image {:?}", config.image)));
        };
        let mut layers = image.layers.clone();
        let mut images = BTreeMap::new();
        for volume in config.mounts.iter().filter(|m| !m.image.is_empty()) {
            let Some(image) = self.images.find(&volume.image) else {
                return Err(cri::Error::NotFound(format!("image {:?}", volume.image)));
            };
            images
                .insert(volume.image.clone(), image.layers.iter().rev().map(|l| Layers::lower(*l)).collect());
            layers.extend(image.layers);
        }
        let id = new_id();
        self.images.use_layers(&id, &layers);
        let pod = if sandbox_config.metadata.uid.is_empty() { &sandbox.config } else { sandbox_config };
        let prepared = self.try_prepare(&id, &sandbox, (config, pod), &image, (layers, &images));
        match prepared {
            Ok(container) => {
                self.lock().containers.insert(id.clone(), container);
                self.publish(Event::ContainerCreated {
                    sandbox: sandbox.id.clone(),
                    container: id.clone(),
                    pod_uid: sandbox.pod_uid(),
                });
                Ok(id)
            }
            Err(e) => {
                self.images.release_layers(&id);
                for dir in [self.container_dir(&id), self.rootfs_dir(&id)] {
                    drop(files::remove(&dir));
                }
                Err(cri::Error::Unknown(format!("failed to create container: {e:#}")))
            }
        }
    }

    fn try_prepare(
        &self,
        id: &str,
        sandbox: &super::records::Sandbox,
        (config, pod): (&ContainerConfig, &PodSandboxConfig),
        image: &crate::image::store::ImageRecord,
        (held, images): (Vec<LayerId>, &BTreeMap<String, Vec<String>>),
    ) -> Result<Arc<Container>> {
        let (dir, data) = (self.container_dir(id), self.rootfs_dir(id));
        private_dir(&dir)?;
        let rootfs = self.make_rootfs(&data, &image.layers, config.security_context.readonly_rootfs, pod)?;
        let cgroup = self.cgroup_path(&pod.cgroup_parent, id);
        let pid = match &config.security_context.namespaces.pid {
            cri::NamespaceMode::Target(target) => {
                let target = self.find_container(target).filter(|c| c.state() == ContainerState::Running);
                let target = target.context("the target container is not running")?;
                crate::spec::PidNamespace::Of(target.live().status.pid)
            }
            mode => build::pid_namespace(mode),
        };
        let run = image.config.run();
        let spec = build::init_spec(&build::Parts {
            config,
            pod,
            run: &run,
            sandbox_dir: &sandbox.dir,
            rootfs,
            cgroups: self.hierarchy.group(&cgroup),
            pid,
            layers: self.images.layers.dir(),
            images,
        })?;
        files::write_json(&dir.join("init.json"), &spec.spec)?;
        let stop_signal = [config.stop_signal.as_str(), run.stop_signal.as_deref().unwrap_or(""), "SIGTERM"];
        let stop_signal = stop_signal.into_iter().find(|s| !s.is_empty()).unwrap_or_default().to_string();
        build::signal_number(&stop_signal)?;
        let log = (!config.log_path.is_empty() && !pod.log_directory.is_empty())
            .then(|| Path::new(&pod.log_directory).join(&config.log_path));
        let record = ContainerRecord {
            sandbox: sandbox.id.clone(),
            config: config.clone(),
            created_at: self.now_nanos(),
            image_ref: image.digests.iter().next().unwrap_or(&image.id).clone(),
            layers: held,
            cgroup,
            log,
            stop_signal,
            command: spec.spec.process.args.clone(),
            started_at: 0,
        };
        files::write_json(&dir.join("container.json"), &record)?;
        let container = Container::new(id, dir, record);
        container.live.send_modify(|live| live.status.warnings = spec.warnings);
        Ok(Arc::new(container))
    }

    fn make_rootfs(
        &self,
        data: &Path,
        layers: &[u64],
        readonly: bool,
        pod: &PodSandboxConfig,
    ) -> Result<Rootfs> {
        let rootfs = Rootfs {
            layers: self.images.layers.dir().to_path_buf(),
            lowers: layers.iter().rev().map(|id| Layers::lower(*id)).collect(),
            upper: data.join("upper"),
            work: data.join("work"),
            target: data.join("rootfs"),
            readonly,
        };
        let Some(top) = rootfs.lowers.first() else { bail!("the image has no layers") };
        private_dir(data)?;
        for dir in [&rootfs.upper, &rootfs.work, &rootfs.target] {
            fs::create_dir(dir).with_context(|| format!("create {}", dir.display()))?;
        }
        // The merged root's owner and mode are those of the upper directory.
        let like = fs::metadata(rootfs.layers.join(top)).context("look at the top layer")?;
        fs::set_permissions(&rootfs.upper, fs::Permissions::from_mode(like.mode() & 0o7777))?;
        let userns = pod.namespaces.userns.as_ref();
        let uid = host_id(userns.map(|u| &u.uids[..]), like.uid());
        let gid = host_id(userns.map(|u| &u.gids[..]), like.gid());
        chown(&rootfs.upper, Some(uid), Some(gid))?;
        Ok(rootfs)
    }

    pub(super) async fn run_container(&self, id: &str) -> cri::Result<()> {
        let Some(container) = self.find_container(id) else {
            return Err(cri::Error::NotFound(format!("container {id}")));
        };
        let _one = container.operation.lock().await;
        if container.state() != ContainerState::Created {
            let state = format!("{:?}", container.state()).to_uppercase();
            return Err(cri::Error::InvalidArgument(format!(
                "container {id:?} is in CONTAINER_{state} state"
            )));
        }
        let Err(e) = self.try_run(&container).await else { return Ok(()) };
        let message = format!("failed to start container: {e:#}");
        self.start_failed(&container, &message);
        self.free_container(&container).await.unwrap_or_else(|e| tracing::warn!(container = id, "{e:#}"));
        Err(cri::Error::Unknown(message))
    }

    async fn try_run(&self, container: &Container) -> Result<()> {
        let sandbox = self.find_sandbox(&container.record.sandbox).context("its sandbox is gone")?;
        let link = sandbox.link().context("its sandbox is not ready")?;
        let config = &container.record.config;
        let group = self.hierarchy.create(&container.record.cgroup)?;
        cgroup::set_limits(&group, self.hierarchy.is_unified(), &container.live().resources)?;
        let spec: crate::spec::InitSpec =
            files::read_json(&container.dir.join("init.json"))?.context("its spec is gone")?;
        let devices = build::extra_devices(&spec.devices);
        cgroup::allow_devices(&group, &devices, spec.privileged)?;
        let start = StartContainer {
            id: container.id.clone(),
            dir: container.dir.clone(),
            cgroups: group,
            log: container.record.log.clone(),
            tty: config.tty,
            stdin: config.stdin,
            stdin_once: config.stdin_once,
        };
        link.call(Op::Start(start), &[])
            .await
            .map_err(|e| anyhow!("unable to start container process: {e:#}"))?;
        Ok(())
    }

    fn start_failed(&self, container: &Container, message: &str) {
        let now = self.now_nanos();
        let status = Status {
            id: container.id.clone(),
            started_at: now,
            finished_at: now,
            exit_code: START_FAILED,
            ..Status::default()
        };
        let failure = Some(message.to_string());
        let saved = files::write_json(&container.dir.join("exit.json"), &status)
            .and_then(|()| files::write_json(&container.dir.join("failure.json"), &failure));
        if let Err(e) = saved {
            tracing::warn!(
                container = container.id,
                "the failed start will be forgotten by a restart: {e:#}"
            );
        }
        container.live.send_modify(|live| {
            let warnings = std::mem::take(&mut live.status.warnings);
            live.state = ContainerState::Exited;
            live.status = Status { warnings, ..status };
            live.failure = failure;
        });
        self.publish_ended(container);
    }

    /// What a shim says of a container.
    pub(super) fn container_changed(&self, status: Status) {
        let Some(container) = self.find_container(&status.id) else { return };
        let mut status = status;
        // What was known before its start is kept.
        let before = container.live().status.warnings;
        status
            .warnings
            .extend(before.into_iter().filter(|w| !status.warnings.contains(w)).collect::<Vec<_>>());
        let (started, ended) = container.update(status);
        let (sandbox, id) = (container.record.sandbox.clone(), container.id.clone());
        if started {
            save(&container);
            let pod_uid = self.pod_uid(&sandbox);
            self.publish(Event::ContainerStarted { sandbox, container: id, pod_uid });
        }
        if ended {
            self.publish_ended(&container);
            if let Some(runtime) = self.this.upgrade() {
                // Processes that were killed take a moment to leave the cgroup; nobody needs to wait for it.
                self.tasks.spawn_until_shutdown(async move {
                    let group = runtime.hierarchy.group(&container.record.cgroup);
                    if let Err(e) = remove_cgroup(&runtime, &group).await {
                        tracing::debug!(container = container.id, "{e:#}");
                    }
                });
            }
        }
    }

    fn publish_ended(&self, container: &Container) {
        let (sandbox, container) = (container.record.sandbox.clone(), container.id.clone());
        let pod_uid = self.pod_uid(&sandbox);
        self.publish(Event::ContainerStopped { sandbox, container, pod_uid });
    }

    /// The shim is gone: what it had not written down is unknown.
    pub(super) fn abandon_containers(&self, sandbox: &str) {
        for container in self.containers_of(sandbox) {
            if container.state() == ContainerState::Running {
                cgroup::kill_all(&self.hierarchy.group(&container.record.cgroup));
                self.container_changed(self.last_status(&container));
            }
        }
    }

    /// How a container without a shim ended.
    pub(super) fn last_status(&self, container: &Container) -> Status {
        let live = container.live().status;
        let written = files::read_json::<Status>(&container.dir.join("exit.json"));
        written.ok().flatten().unwrap_or_else(|| Status {
            id: container.id.clone(),
            pid: 0,
            started_at: container.record.started_at.max(live.started_at),
            finished_at: self.now_nanos(),
            exit_code: 128 + libc::SIGKILL,
            signal: libc::SIGKILL,
            user: live.user,
            ..Status::default()
        })
    }

    pub(super) async fn stop(&self, id: &str, timeout: i64) -> cri::Result<()> {
        let Some(container) = self.find_container(id) else { return Ok(()) };
        if container.state() != ContainerState::Running {
            return Ok(());
        }
        // No lock: a second stop with a shorter time-out must take effect.
        if timeout > 0 {
            let signal = build::signal_number(&container.record.stop_signal).unwrap_or(libc::SIGTERM);
            self.signal(&container, signal).await;
            let limit = Duration::from_secs(timeout.unsigned_abs());
            tokio::select! {
                () = exited(&container) => return Ok(()),
                () = self.clock.sleep(limit) => {}
            }
        }
        self.kill_container(&container).await.map_err(|e| cri::Error::Unknown(format!("{e:#}")))
    }

    /// An error means that it just ended.
    async fn signal(&self, container: &Container, signal: i32) {
        if let Some(link) = self.find_sandbox(&container.record.sandbox).and_then(|s| s.link()) {
            drop(link.call(Op::Signal { container: container.id.clone(), signal }, &[]).await);
        }
    }

    /// Kills everything in it and waits for its end.
    pub(super) async fn kill_container(&self, container: &Container) -> Result<()> {
        const LONGEST: Duration = Duration::from_secs(120);
        if container.state() != ContainerState::Running {
            return Ok(());
        }
        if let Some(link) = self.find_sandbox(&container.record.sandbox).and_then(|s| s.link()) {
            drop(link.call(Op::Kill { container: container.id.clone() }, &[]).await);
        }
        tokio::select! {
            () = exited(container) => Ok(()),
            () = self.clock.sleep(LONGEST) => bail!("container {} does not end although it was killed", container.id),
        }
    }

    pub(super) async fn delete_container(&self, id: &str) -> Result<()> {
        let Some(container) = self.find_container(id) else { return Ok(()) };
        self.kill_container(&container).await?;
        let _one = container.operation.lock().await;
        // A start that was under way may have succeeded meanwhile.
        self.kill_container(&container).await?;
        self.free_container(&container).await?;
        if let Some(link) = self.find_sandbox(&container.record.sandbox).and_then(|s| s.link()) {
            drop(link.call(Op::Forget { container: container.id.clone() }, &[]).await);
        }
        files::remove(&self.rootfs_dir(id))?;
        // The record goes last: until then a restart finds the container and removes it again.
        files::remove(&container.dir)?;
        self.images.release_layers(id);
        let sandbox = container.record.sandbox.clone();
        let pod_uid = self.pod_uid(&sandbox);
        self.lock().containers.remove(id);
        self.publish(Event::ContainerDeleted { sandbox, container: id.to_string(), pod_uid });
        Ok(())
    }

    async fn free_container(&self, container: &Container) -> Result<()> {
        let group = self.hierarchy.group(&container.record.cgroup);
        cgroup::kill_all(&group);
        remove_cgroup(self, &group).await
    }

    pub(super) fn change_resources(&self, id: &str, resources: &LinuxContainerResources) -> cri::Result<()> {
        let Some(container) = self.find_container(id) else {
            return Err(cri::Error::NotFound(format!("container {id}")));
        };
        if container.state() == ContainerState::Running {
            let group = self.hierarchy.group(&container.record.cgroup);
            cgroup::set_limits(&group, self.hierarchy.is_unified(), resources)
                .map_err(|e| cri::Error::Unknown(format!("update resources of container {id}: {e:#}")))?;
        }
        container.live.send_modify(|live| live.resources = resources.clone());
        save(&container);
        Ok(())
    }
}

/// Writes down what changed since it was created. A restart that misses it asks the shim.
fn save(container: &Container) {
    let live = container.live();
    let mut record = ContainerRecord { started_at: live.status.started_at, ..container.record.clone() };
    record.config.resources = live.resources;
    if let Err(e) = files::write_json(&container.dir.join("container.json"), &record) {
        tracing::warn!(container = container.id, "{e:#}");
    }
}

/// Completes when the container does not run any more.
pub(super) async fn exited(container: &Container) {
    let mut live = container.live.subscribe();
    // The sender lives in the container itself, which we hold.
    drop(live.wait_for(|live| live.state == ContainerState::Exited).await);
}

//! After a start: which sandboxes and containers are there, what became of them while no server ran.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use cri::ContainerState;

use super::Runtime;
use super::link::Link;
use super::records::{Container, ContainerRecord, Live, Sandbox, SandboxRecord};
use super::sandbox::remove_cgroup;
use crate::files;
use crate::shim::proto::Status;
use crate::spec::{InitSpec, ShimSpec};

impl Runtime {
    pub(super) async fn recover(&self) -> Result<()> {
        for dir in directories(&self.state_dir.join("containers"))? {
            self.recover_container(&dir).await?;
        }
        for dir in directories(&self.state_dir.join("sandboxes"))? {
            self.recover_sandbox(&dir).await?;
        }
        self.settle_containers();
        self.remove_leftovers()?;
        let known: Vec<String> = self.lock().sandboxes.keys().cloned().collect();
        self.network.retain(&known).await.context("clean up the pod network")?;
        // Half-made images and layers of containers that are gone.
        self.images.collect()
    }

    /// A directory without a record was begun and not finished, or removed and not to its end.
    async fn recover_container(&self, dir: &Path) -> Result<()> {
        let id = name(dir);
        let Some(record) = readable::<ContainerRecord>(&dir.join("container.json")) else {
            let spec = readable::<InitSpec>(&dir.join("init.json")).unwrap_or_default();
            crate::cgroup::kill_all(&spec.cgroups);
            remove_cgroup(self, &spec.cgroups).await?;
            files::remove(&self.rootfs_dir(&id))?;
            return files::remove(dir);
        };
        self.images.use_layers(&id, &record.layers);
        let container = Arc::new(Container::new(&id, dir.to_path_buf(), record));
        if let Some(status) = readable::<Status>(&dir.join("exit.json")) {
            let failure: Option<Option<String>> = readable(&dir.join("failure.json"));
            container.live.send_modify(|live| {
                let resources = std::mem::take(&mut live.resources);
                *live = Live { state: ContainerState::Exited, status, failure: failure.flatten(), resources };
            });
        }
        self.lock().containers.insert(id, container);
        Ok(())
    }

    async fn recover_sandbox(&self, dir: &Path) -> Result<()> {
        let id = name(dir);
        let Some(record) = readable::<SandboxRecord>(&dir.join("sandbox.json")) else {
            self.end_stray_shim(dir).await;
            // Without a record its cgroup is known from what the shim was told.
            let spec = readable::<ShimSpec>(&dir.join("shim.json")).unwrap_or_default();
            crate::cgroup::kill_all(&spec.pause_cgroups);
            remove_cgroup(self, &spec.pause_cgroups).await?;
            self.free_sandbox(&id, &Default::default()).await?;
            return files::remove(dir);
        };
        let stopped = record.stopped;
        let sandbox = Arc::new(Sandbox::new(&id, dir.to_path_buf(), record, None));
        self.lock().sandboxes.insert(id.clone(), sandbox.clone());
        if stopped {
            return Ok(());
        }
        let Ok(link) = Link::connect(dir) else {
            tracing::warn!(sandbox = id, "the pod's shim ended while no server ran");
            return Ok(());
        };
        sandbox.set_link(Some(link.clone()));
        self.follow(sandbox.clone(), link.clone());
        match link.greet().await {
            Ok(greeting) => {
                tracing::debug!(sandbox = id, shim = greeting.pid, "found the pod's shim");
                greeting.containers.into_iter().for_each(|status| self.container_changed(status));
            }
            Err(e) => {
                tracing::warn!(sandbox = id, "cannot talk to the pod's shim: {e:#}");
                sandbox.set_link(None);
            }
        }
        Ok(())
    }

    /// Containers that ran and whose shim is gone have ended, how is not known.
    fn settle_containers(&self) {
        let all: Vec<Arc<Container>> = self.lock().containers.values().cloned().collect();
        for container in all {
            let shim = self.find_sandbox(&container.record.sandbox).and_then(|s| s.link());
            let ran = container.record.started_at != 0;
            if shim.is_none() && ran && container.state() != ContainerState::Exited {
                crate::cgroup::kill_all(&self.hierarchy.group(&container.record.cgroup));
                self.container_changed(self.last_status(&container));
            }
        }
    }

    /// Writable layers whose container a reboot took.
    fn remove_leftovers(&self) -> Result<()> {
        for dir in directories(&self.data_dir.join("containers"))? {
            if self.find_container(&name(&dir)).is_none() {
                files::remove(&dir)?;
            }
        }
        Ok(())
    }
}

/// A record that is not there or damaged is none: the runtime starts all the same.
fn readable<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    files::read_json(path).unwrap_or_else(|e| {
        tracing::warn!("a record is lost: {e:#}");
        None
    })
}

pub(super) fn directories(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("read {}", dir.display()))? {
        all.push(entry?.path());
    }
    all.sort();
    Ok(all)
}

pub(super) fn name(dir: &Path) -> String {
    dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

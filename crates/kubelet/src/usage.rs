//! What pods use of this machine: processor, memory, disk. Start at [`of_pod`]. Measured when asked.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use codec::Kind as _;
use cri::ContainerStats;
use k8s_openapi::api::core::v1::Pod;

use crate::amounts;
use crate::cgroups::Usage;
use crate::context::Context;
use crate::server::status_of;
use crate::spec;

/// One pod.
#[derive(Clone, Debug, Default)]
pub struct PodUsage {
    pub cgroup: Usage,
    pub containers: Vec<ContainerUsage>,
    pub volumes: Vec<VolumeUsage>,
}

/// One running container.
#[derive(Clone, Debug, Default)]
pub struct ContainerUsage {
    pub name: String,
    pub id: String,
    pub image: String,
    /// Seconds since 1970.
    pub started_at: f64,
    pub stats: ContainerStats,
    pub logs: Disk,
}

/// A volume that lies on this machine's disk.
#[derive(Clone, Debug, Default)]
pub struct VolumeUsage {
    pub name: String,
    pub disk: Disk,
    /// On a file system of its own: it takes nothing from the disk.
    pub in_memory: bool,
}

/// Bytes and inodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disk {
    pub bytes: u64,
    pub inodes: u64,
}

impl PodUsage {
    /// Of the disk: writable layers, logs and emptyDirs.
    pub fn ephemeral(&self) -> Disk {
        let mut sum = Disk::default();
        let mut add = |bytes, inodes| {
            sum.bytes += bytes;
            sum.inodes += inodes;
        };
        for c in &self.containers {
            add(c.stats.rootfs_used_bytes + c.logs.bytes, c.stats.rootfs_inodes_used + c.logs.inodes);
        }
        for v in self.volumes.iter().filter(|v| !v.in_memory) {
            add(v.disk.bytes, v.disk.inodes);
        }
        sum
    }
}

/// Measures. What cannot be read counts as nothing.
pub async fn of_pod(context: &Context, pod: &Pod) -> PodUsage {
    let uid = pod.uid().to_owned();
    let mut usage =
        PodUsage { cgroup: context.cgroups.usage(amounts::qos(pod), &uid), ..PodUsage::default() };
    let logs = context.paths.pod_logs(pod);
    for spec in spec::all(pod) {
        let status = status_of(pod, spec.name());
        let running = status.and_then(|s| s.state.as_ref()).and_then(|s| s.running.as_ref());
        let id = status.and_then(|s| s.container_id.as_deref()).and_then(|id| id.split_once("://"));
        let (Some(running), Some((_, id))) = (running, id) else { continue };
        let Ok(stats) = context.runtime.container_stats(id).await else { continue };
        usage.containers.push(ContainerUsage {
            name: spec.name().to_owned(),
            id: id.to_owned(),
            image: spec.container.image.clone().unwrap_or_default(),
            started_at: running.started_at.as_ref().map_or(0.0, |t| t.0.as_millisecond() as f64 / 1000.0),
            stats,
            logs: on_disk(logs.join(spec.name())).await,
        });
    }
    for volume in spec::of(pod).volumes.iter().flatten().filter(|v| v.empty_dir.is_some()) {
        let in_memory = volume.empty_dir.as_ref().is_some_and(|e| e.medium.as_deref() == Some("Memory"));
        let Some((path, _)) = context.volumes.host_path(pod, &volume.name) else { continue };
        usage.volumes.push(VolumeUsage { name: volume.name.clone(), disk: on_disk(path).await, in_memory });
    }
    usage
}

/// Of a directory, off the threads that serve everything else.
async fn on_disk(dir: PathBuf) -> Disk {
    tokio::task::spawn_blocking(move || disk(&dir)).await.unwrap_or_default()
}

/// What lies below `dir` on its own file system; a file with several names counts once.
pub fn disk(dir: &Path) -> Disk {
    let Ok(top) = fs::symlink_metadata(dir) else { return Disk::default() };
    let mut sum = Disk { bytes: top.blocks() * 512, inodes: 1 };
    let mut seen = HashSet::new();
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            if meta.dev() != top.dev() || (meta.nlink() > 1 && !meta.is_dir() && !seen.insert(meta.ino())) {
                continue;
            }
            sum.bytes += meta.blocks() * 512;
            sum.inodes += 1;
            if meta.is_dir() {
                left.push(entry.path());
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hard_links_count_once() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("d")).expect("create");
        let one = disk(dir.path());
        fs::write(dir.path().join("a"), vec![1; 100_000]).expect("write");
        let two = disk(dir.path());
        fs::hard_link(dir.path().join("a"), dir.path().join("d/b")).expect("link");
        let three = disk(dir.path());
        assert_eq!((one.inodes, two.inodes, three.inodes), (2, 3, 3));
        assert!(two.bytes >= one.bytes + 100_000, "{one:?} {two:?}");
        assert_eq!(two.bytes, three.bytes);
    }
}

//! `knarr reset`: the machine as it was before the first start.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kubelet::cgroups::Cgroups;
use kubelet::mounts::{Mounter, SystemMounter};
use podnet::PodNetwork;
use runtime::{LoopbackNetwork, Runtime};
use std::sync::Arc;
use stdx::{SystemClock, Tasks};
use storage::{EmbeddedConfig, EmbeddedEngine};

use crate::config::cgroup_prefix;

/// Removes containers, mounts, links, rules, cgroups, objects and files of the cluster in `data_dir`. Refuses while its
/// server runs. What is not there is no error.
pub fn run(data_dir: &Path, run_dir: &Path) -> Result<()> {
    if data_dir.join("db").exists() {
        // Takes the lock: nobody else may have it.
        let engine = EmbeddedEngine::open(EmbeddedConfig::new(data_dir.join("db")));
        if let Err(error @ storage::EmbeddedError::InUse { .. }) = engine {
            return Err(error).context("a server is running; stop it first");
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start")?;
    runtime.block_on(remove(data_dir, run_dir))
}

async fn remove(data_dir: &Path, run_dir: &Path) -> Result<()> {
    let config = runtime::Config {
        state_dir: run_dir.to_owned(),
        data_dir: data_dir.to_owned(),
        cgroup_root: cgroup_prefix(run_dir),
        network: Arc::new(LoopbackNetwork),
        registries: Default::default(),
        program: "/proc/self/exe".into(),
        clock: SystemClock::shared(),
        tasks: Tasks::new(),
    };
    Runtime::reset(&config).await.context("remove the containers")?;
    PodNetwork::reset(&run_dir.join("net")).await.context("remove the pod network")?;
    proxy::remove().await?;
    for dir in [data_dir, run_dir] {
        if dir.exists() {
            SystemMounter
                .unmount_all(dir)
                .with_context(|| format!("unmount what is below {}", dir.display()))?;
        }
    }
    Cgroups::detect(&cgroup_prefix(run_dir)).and_then(|c| c.remove_all()).context("remove the cgroups")?;
    remove_unified(&cgroup_prefix(run_dir)).context("remove the cgroups of version 2")?;
    remove_kubeconfig(data_dir)?;
    for dir in [data_dir, run_dir] {
        match std::fs::remove_dir_all(dir) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                return Err(e).with_context(|| format!("remove {}", dir.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// On hybrid machines the runtime's cgroups are also in the second version's hierarchy, of which the kubelet knows nothing.
fn remove_unified(prefix: &str) -> std::io::Result<()> {
    let mounts = std::fs::read_to_string("/proc/self/mounts")?;
    let unified =
        mounts.lines().map(|l| l.split(' ').collect::<Vec<_>>()).filter(|l| l.get(2) == Some(&"cgroup2"));
    unified
        .filter_map(|l| l.get(1).map(|at| Path::new(at).join(prefix)))
        .try_for_each(|top| remove_groups(&top))
}

/// Removes a cgroup and those below it: only directories can be removed there, and only empty ones.
fn remove_groups(dir: &Path) -> std::io::Result<()> {
    let entries = match std::fs::read_dir(dir) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_groups(&entry.path())?;
        }
    }
    std::fs::remove_dir(dir)
}

/// The administrator's kubeconfig, wherever the server wrote it.
fn remove_kubeconfig(data_dir: &Path) -> Result<()> {
    let Ok(path) = std::fs::read_to_string(data_dir.join("kubeconfig-path")) else { return Ok(()) };
    let path = PathBuf::from(path);
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            Err(e).with_context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

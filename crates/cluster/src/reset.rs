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

use crate::agent;
use crate::config::cgroup_prefix;

/// Removes containers, mounts, links, rules, cgroups, objects and files of the cluster in `data_dir`. Refuses while its
/// server runs. What is not there is no error. With `keep_data`, `data_dir` stays, but for containers and images.
pub fn run(data_dir: &Path, run_dir: &Path, keep_data: bool) -> Result<()> {
    if data_dir.join("db").exists() {
        // Takes the lock: nobody else may have it.
        let engine = EmbeddedEngine::open(EmbeddedConfig::new(data_dir.join("db")));
        if let Err(error @ storage::EmbeddedError::InUse { .. }) = engine {
            return Err(error).context("a server is running; stop it first");
        }
    }
    let _lock = match data_dir.join(agent::LOCK).exists() {
        true => Some(agent::lock(data_dir).context("an agent is running")?),
        false => None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start")?;
    runtime.block_on(remove(data_dir, run_dir, keep_data))
}

async fn remove(data_dir: &Path, run_dir: &Path, keep_data: bool) -> Result<()> {
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
    let gone: &[&Path] = if keep_data { &[run_dir] } else { &[data_dir, run_dir] };
    if !keep_data {
        remove_kubeconfig(data_dir)?;
    }
    for dir in gone {
        match std::fs::remove_dir_all(dir) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                return Err(e).with_context(|| format!("remove {}", dir.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The administrator's kubeconfig, wherever the server wrote it.
fn remove_kubeconfig(data_dir: &Path) -> Result<()> {
    let Ok(path) = std::fs::read_to_string(data_dir.join("kubeconfig-path")) else { return Ok(()) };
    let path = PathBuf::from(path);
    // It may have been written to /dev/null.
    if std::fs::symlink_metadata(&path).is_ok_and(|m| !m.is_file()) {
        return Ok(());
    }
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            Err(e).with_context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

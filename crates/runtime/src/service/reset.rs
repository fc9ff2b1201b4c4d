//! Everything away: containers, mounts, namespaces, cgroups, files.

use anyhow::{Context, Result};

use super::link::Link;
use super::recover::{directories, name};
use super::sandbox::{shim_cgroup, unmount};
use super::{Config, Runtime, cgroup_path};
use crate::cgroup::{self, Hierarchy};
use crate::files;
use crate::spec::{InitSpec, ShimSpec};

impl Runtime {
    /// Removes every container, sandbox, mount, namespace, cgroup and file that a runtime with this configuration made,
    /// images included. Works without a running runtime, on whatever is left. Pods' own cgroups are the kubelet's.
    pub async fn reset(config: &Config) -> Result<()> {
        let hierarchy = Hierarchy::detect()?;
        let path = |parent: &str, name: &str| cgroup_path(&config.cgroup_root, parent, name);
        let mut groups = Vec::new();
        let sandboxes = directories(&config.state_dir.join("sandboxes")).unwrap_or_default();
        for dir in &sandboxes {
            // Written before anything else is made.
            let spec = files::read_json::<ShimSpec>(&dir.join("shim.json")).ok().flatten();
            groups.extend(spec.map(|spec| spec.pause_cgroups).filter(|group| !group.is_empty()));
            if let Ok(link) = Link::connect(dir) {
                link.shut_down_stray(&config.clock).await;
            }
        }
        for dir in directories(&config.state_dir.join("containers")).unwrap_or_default() {
            let spec = files::read_json::<InitSpec>(&dir.join("init.json")).ok().flatten();
            groups.extend(spec.map(|spec| spec.cgroups));
        }
        groups.push(hierarchy.group(&path("", &shim_cgroup(&config.state_dir))));
        for group in groups {
            cgroup::kill_all(&group);
            let mut tries = 0;
            // Killed processes need a moment to leave.
            while let Err(e) = cgroup::remove(&group) {
                tries += 1;
                if tries > 50 {
                    return Err(e).context("remove cgroup");
                }
                config.clock.sleep(std::time::Duration::from_millis(20)).await;
            }
        }
        for dir in &sandboxes {
            config.network.teardown(&name(dir), &dir.join("netns")).await.context("tear down network")?;
            unmount(&dir.join("netns"))?;
            unmount(&dir.join("shm"))?;
        }
        for dir in [
            config.state_dir.join("sandboxes"),
            config.state_dir.join("containers"),
            config.data_dir.join("containers"),
            config.data_dir.join("images"),
        ] {
            files::remove(&dir)?;
        }
        Ok(())
    }
}

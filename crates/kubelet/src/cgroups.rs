//! The cgroups above containers: `kubepods`, one per quality of service, one per pod, with their limits. Start at
//! [`Cgroups`]. A container's own cgroup, below its pod's, is the runtime's business.

mod files;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Pod;
use resources::core::pod::PodExt;

use crate::amounts::{self, Qos, cpu_quota, cpu_shares};
pub use files::Usage;
use files::{Limits, write_limits};

const TOP: &str = "kubepods";

/// How this machine has its cgroups mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hierarchy {
    /// Each controller (or group of them) on its own. Also hybrid, where v2 is mounted besides: a hierarchy without controllers,
    /// in which the runtime has its groups like in every other.
    V1 {
        mounts: Vec<Mount>,
    },
    V2 {
        root: PathBuf,
    },
}

/// One v1 hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    pub controllers: Vec<String>,
    pub path: PathBuf,
}

impl Hierarchy {
    /// From the text of /proc/self/mountinfo. `None` when there are no cgroups.
    pub fn parse(mountinfo: &str) -> Option<Hierarchy> {
        let mut v1 = Vec::new();
        let mut v2 = None;
        for line in mountinfo.lines() {
            let Some((left, right)) = line.split_once(" - ") else { continue };
            // Elsewhere they are somebody's own.
            let Some(path) = left.split(' ').nth(4).filter(|p| p.starts_with("/sys/fs/cgroup")) else {
                continue;
            };
            let mut right = right.split(' ');
            match (right.next(), right.nth(1)) {
                (Some("cgroup2"), _) => v2 = Some(PathBuf::from(path)),
                (Some("cgroup"), Some(options)) => {
                    let controllers = options.split(',').filter(|o| !matches!(*o, "rw" | "ro"));
                    v1.push(Mount {
                        controllers: controllers.map(str::to_owned).collect(),
                        path: path.into(),
                    });
                }
                _ => {}
            }
        }
        if v1.is_empty() {
            return v2.map(|root| Hierarchy::V2 { root });
        }
        v1.extend(v2.map(|path| Mount { controllers: Vec::new(), path }));
        Some(Hierarchy::V1 { mounts: v1 })
    }

    fn roots(&self) -> Vec<&Path> {
        match self {
            Hierarchy::V1 { mounts } => mounts.iter().map(|m| m.path.as_path()).collect(),
            Hierarchy::V2 { root } => vec![root],
        }
    }
}

/// Makes, limits and removes pods' cgroups.
#[derive(Clone, Debug)]
pub struct Cgroups {
    /// `None`: nothing is made or limited (tests, machines without cgroups).
    hierarchy: Option<Hierarchy>,
    /// Prefix of all names, without slashes at its ends; empty for the root.
    prefix: String,
}

impl Cgroups {
    /// Below `prefix` in the machine's own hierarchy.
    pub fn detect(prefix: &str) -> io::Result<Cgroups> {
        let hierarchy = Hierarchy::parse(&fs::read_to_string("/proc/self/mountinfo")?);
        Ok(Cgroups::new(hierarchy, prefix))
    }

    pub fn new(hierarchy: Option<Hierarchy>, prefix: &str) -> Cgroups {
        Cgroups { hierarchy, prefix: prefix.trim_matches('/').to_owned() }
    }

    pub fn is_v2(&self) -> bool {
        matches!(self.hierarchy, Some(Hierarchy::V2 { .. }))
    }

    /// `kubepods/burstable`, with the prefix.
    fn of_qos(&self, qos: Qos) -> String {
        let below = match qos {
            Qos::Guaranteed => String::new(),
            qos => format!("/{}", qos.as_str().to_lowercase()),
        };
        match self.prefix.as_str() {
            "" => format!("{TOP}{below}"),
            prefix => format!("{prefix}/{TOP}{below}"),
        }
    }

    /// The pod's cgroup, relative to the root of each hierarchy: `kubepods/burstable/pod<uid>`.
    pub fn of_pod(&self, qos: Qos, uid: &str) -> String {
        format!("{}/pod{uid}", self.of_qos(qos))
    }

    /// Makes the cgroups of the qualities of service.
    pub fn create_top(&self) -> io::Result<()> {
        for qos in [Qos::Guaranteed, Qos::Burstable, Qos::BestEffort] {
            self.create(&self.of_qos(qos))?;
        }
        let least = Limits { cpu_shares: Some(cpu_shares(0)), ..Limits::default() };
        self.limit(&self.of_qos(Qos::BestEffort), &least)
    }

    /// Burstable pods together weigh what they asked for.
    pub fn set_burstable_cpu(&self, milli: i64) -> io::Result<()> {
        let limits = Limits { cpu_shares: Some(cpu_shares(milli)), ..Limits::default() };
        self.limit(&self.of_qos(Qos::Burstable), &limits)
    }

    /// Makes the pod's cgroup and sets its limits. Again is fine.
    pub fn create_pod(&self, pod: &Pod, uid: &str) -> io::Result<()> {
        let name = self.of_pod(amounts::qos(pod), uid);
        self.create(&name)?;
        let (requests, limits) = (pod.requests(), amounts::pod_limits(pod));
        let limits = Limits {
            cpu_shares: Some(cpu_shares(requests.milli_cpu())),
            cpu_quota: Some(cpu_quota(limits.milli_cpu())),
            memory: Some(limits.memory()),
        };
        self.limit(&name, &limits)
    }

    /// Lifts the limits of the pod as a whole; [`Cgroups::create_pod`] sets them again.
    pub fn lift_pod(&self, qos: Qos, uid: &str) -> io::Result<()> {
        let limits = Limits { cpu_shares: None, cpu_quota: Some(0), memory: Some(0) };
        self.limit(&self.of_pod(qos, uid), &limits)
    }

    fn create(&self, name: &str) -> io::Result<()> {
        match &self.hierarchy {
            None => Ok(()),
            Some(Hierarchy::V2 { root }) => files::create_v2(root, name),
            Some(Hierarchy::V1 { mounts }) => mounts.iter().try_for_each(|m| files::create_v1(m, name)),
        }
    }

    fn limit(&self, name: &str, limits: &Limits) -> io::Result<()> {
        match &self.hierarchy {
            Some(hierarchy) => write_limits(hierarchy, name, limits),
            None => Ok(()),
        }
    }

    /// Removes a pod's cgroup, whatever its quality of service was. An error while processes are left in it: they have
    /// been killed, and another try will find them gone.
    pub fn remove_pod(&self, uid: &str) -> io::Result<()> {
        let Some(hierarchy) = &self.hierarchy else { return Ok(()) };
        for qos in [Qos::Guaranteed, Qos::Burstable, Qos::BestEffort] {
            for root in hierarchy.roots() {
                files::remove(&root.join(self.of_pod(qos, uid)))?;
            }
        }
        Ok(())
    }

    /// Removes every cgroup of ours, the prefix' own included: for a reset, when nothing runs any more.
    pub fn remove_all(&self) -> io::Result<()> {
        let Some(hierarchy) = &self.hierarchy else { return Ok(()) };
        let top = if self.prefix.is_empty() { TOP } else { &self.prefix };
        hierarchy.roots().iter().try_for_each(|root| files::remove(&root.join(top)))
    }

    /// Uids of pods that have a cgroup.
    pub fn pods(&self) -> Vec<String> {
        let Some(hierarchy) = &self.hierarchy else { return Vec::new() };
        let mut uids = Vec::new();
        for qos in [Qos::Guaranteed, Qos::Burstable, Qos::BestEffort] {
            for root in hierarchy.roots() {
                let entries = fs::read_dir(root.join(self.of_qos(qos))).into_iter().flatten().flatten();
                let names = entries.map(|e| e.file_name().to_string_lossy().into_owned());
                uids.extend(names.filter_map(|n| n.strip_prefix("pod").map(str::to_owned)));
            }
        }
        uids.sort();
        uids.dedup();
        uids
    }

    /// Bytes a pod's cgroup uses and nanoseconds of CPU it has used, where they can be read.
    pub fn usage(&self, qos: Qos, uid: &str) -> Usage {
        let name = self.of_pod(qos, uid);
        self.hierarchy.as_ref().map(|h| files::usage(h, &name)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;

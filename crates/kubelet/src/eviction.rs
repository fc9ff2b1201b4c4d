//! Pods that take more of the disk than they may, and a node that runs short, end pods. Start at [`watch`]; who goes is decided
//! by [`over_limit`] and [`rank`], which are pure.
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/>

use std::cmp::Reverse;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use apimachinery::quantity::Quantity as Amount;
use k8s_openapi::api::core::v1::Pod;
use resources::core::pod::{ContainerExt, PodExt};
use resources::quantity::Amounts;
use serde_json::{Value, json};

use crate::amounts;
use crate::context::Context;
use crate::gc;
use crate::node::machine::{Filesystem, filesystem, meminfo_bytes};
use crate::plan::Verdict;
use crate::spec;
use crate::usage::{self, PodUsage};
use crate::workers::Workers;

/// How often is looked, as upstream does: nothing tells of disk space or memory that runs out.
const PERIOD: Duration = Duration::from_secs(10);

/// Priority from which on pods are critical to the system, and stay.
const SYSTEM_CRITICAL: i32 = 2_000_000_000;

/// `evictionHard`: with less than this left, pods have to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    pub memory_available: Least,
    pub nodefs_available: Least,
    pub nodefs_inodes_free: Least,
}

/// Bytes (or files), or a part of all there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Least {
    Amount(u64),
    Percent(u64),
}

impl Least {
    /// Of so many.
    pub fn of(self, all: u64) -> u64 {
        match self {
            Least::Amount(amount) => amount,
            Least::Percent(percent) => all / 100 * percent,
        }
    }

    fn parse(text: &str) -> Option<Least> {
        if let Some(percent) = text.strip_suffix('%') {
            return percent.parse().ok().filter(|p| *p <= 100).map(Least::Percent);
        }
        let amount = Amount::parse(text).ok()?.value();
        u64::try_from(amount).ok().map(Least::Amount)
    }
}

impl std::fmt::Display for Least {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Least::Amount(amount) => write!(f, "{}Mi", amount >> 20),
            Least::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl Default for Thresholds {
    /// Upstream's.
    fn default() -> Self {
        Thresholds {
            memory_available: Least::Amount(100 << 20),
            nodefs_available: Least::Percent(10),
            nodefs_inodes_free: Least::Percent(5),
        }
    }
}

impl Thresholds {
    /// As `--eviction-hard` has it: `memory.available<100Mi,nodefs.available<5%`. What is not named is never short.
    pub fn parse(text: &str) -> Result<Thresholds, String> {
        let nothing = Least::Amount(0);
        let mut all =
            Thresholds { memory_available: nothing, nodefs_available: nothing, nodefs_inodes_free: nothing };
        for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let (signal, least) = part.split_once('<').ok_or_else(|| format!("{part:?} has no '<'"))?;
            let least = Least::parse(least)
                .ok_or_else(|| format!("{part:?}: take an amount such as 100Mi, or a percentage"))?;
            match signal {
                "memory.available" => all.memory_available = least,
                "nodefs.available" => all.nodefs_available = least,
                "nodefs.inodesFree" => all.nodefs_inodes_free = least,
                other => {
                    return Err(format!(
                        "{other:?} is no signal here; there are memory.available, nodefs.available and nodefs.inodesFree"
                    ));
                }
            }
        }
        Ok(all)
    }

    /// As a KubeletConfiguration has it.
    pub fn as_config(&self) -> Value {
        json!({
            "memory.available": self.memory_available.to_string(),
            "nodefs.available": self.nodefs_available.to_string(),
            "nodefs.inodesFree": self.nodefs_inodes_free.to_string(),
        })
    }

    pub fn short_of_disk(&self, disk: Filesystem) -> bool {
        disk.size > 0
            && (disk.available < self.nodefs_available.of(disk.size)
                || disk.inodes_free < self.nodefs_inodes_free.of(disk.inodes))
    }
}

/// What the node has left.
#[derive(Clone, Copy, Debug, Default)]
struct Signals {
    memory_available: u64,
    memory: u64,
    disk: Filesystem,
}

/// What runs short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resource {
    Memory,
    Disk,
}

impl Resource {
    fn name(self) -> &'static str {
        match self {
            Resource::Memory => "memory",
            Resource::Disk => "ephemeral-storage",
        }
    }
}

/// Looks now and then, and ends whom it must. Runs until shutdown.
pub async fn watch(context: Arc<Context>, workers: Arc<Workers>) {
    loop {
        context.clock.sleep(PERIOD).await;
        let pods: Vec<_> = workers.pods().into_iter().filter(|p| is_active(p)).collect();
        let mut gone = false;
        for pod in pods.iter().filter(|p| has_disk_limit(p)) {
            let used = usage::of_pod(&context, pod).await;
            if let Some(message) = over_limit(pod, &used) {
                gone |= evict(&workers, pod, message);
            }
        }
        if !gone {
            relieve(&context, &workers, &pods).await;
        }
    }
}

fn evict(workers: &Workers, pod: &Pod, message: String) -> bool {
    tracing::info!(pod = spec::full_name(pod), message, "evicting a pod");
    workers.evict(pod, Verdict { reason: "Evicted", message })
}

fn is_active(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref());
    pod.metadata.deletion_timestamp.is_none() && !matches!(phase, Some("Failed" | "Succeeded"))
}

fn size_limits(pod: &Pod) -> impl Iterator<Item = (&str, i64, &str)> {
    spec::of(pod).volumes.iter().flatten().filter_map(|v| {
        let limit = v.empty_dir.as_ref()?.size_limit.as_ref()?;
        let bytes = amounts::parse_one(limit)?.value();
        (bytes > 0).then_some((v.name.as_str(), bytes, limit.0.as_str()))
    })
}

fn disk_limit(resources: &Amounts) -> Option<Amount> {
    Some(resources.get("ephemeral-storage")).filter(|a| a.value() > 0)
}

fn has_disk_limit(pod: &Pod) -> bool {
    size_limits(pod).next().is_some()
        || spec::all(pod).any(|s| disk_limit(&s.container.limits()).is_some())
        || disk_limit(&amounts::pod_limits(pod)).is_some()
}

/// Which of its limits on the disk the pod has passed, in upstream's words.
fn over_limit(pod: &Pod, used: &PodUsage) -> Option<String> {
    let more = |bytes: u64, limit: i64| i64::try_from(bytes).unwrap_or(i64::MAX) > limit;
    for (name, limit, text) in size_limits(pod) {
        let volume = used.volumes.iter().find(|v| v.name == name);
        if volume.is_some_and(|v| more(v.disk.bytes, limit)) {
            return Some(format!("Usage of EmptyDir volume {name:?} exceeds the limit {text:?}. "));
        }
    }
    if let Some(limit) = disk_limit(&amounts::pod_limits(pod))
        && more(used.ephemeral().bytes, limit.value())
    {
        return Some(format!(
            "Pod ephemeral local storage usage exceeds the total limit of containers {limit}. "
        ));
    }
    spec::all(pod).find_map(|s| {
        let limit = disk_limit(&s.container.limits())?;
        let own = used.containers.iter().find(|c| c.name == s.name())?;
        more(own.stats.rootfs_used_bytes + own.logs.bytes, limit.value()).then(|| {
            format!(
                "Container {} exceeded its local ephemeral storage limit {:?}. ",
                s.name(),
                limit.to_string()
            )
        })
    })
}

/// When the node runs short: unused images first, then one pod; the next look tells whether that was enough.
async fn relieve(context: &Arc<Context>, workers: &Arc<Workers>, pods: &[Arc<Pod>]) {
    let signals = read(&context.paths.root);
    let Some(resource) = shortage(&signals, &context.eviction) else { return };
    if resource == Resource::Disk {
        if let Err(e) = gc::remove_unused_images(context).await {
            tracing::warn!("cannot remove images to free disk space: {e}");
        }
        if shortage(&read(&context.paths.root), &context.eviction) != Some(Resource::Disk) {
            return;
        }
    }
    let mut candidates = Vec::new();
    for pod in pods.iter().filter(|p| !is_critical(p)) {
        candidates.push((pod.clone(), usage::of_pod(context, pod).await));
    }
    candidates.sort_by_key(|(pod, used)| rank(pod, used, resource));
    let Some((pod, used)) = candidates.first() else {
        return tracing::warn!(resource = resource.name(), "the node is short and no pod may be evicted");
    };
    let message = low_message(pod, used, resource, &signals, &context.eviction);
    evict(workers, pod, message);
}

fn read(root: &Path) -> Signals {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    Signals {
        memory_available: meminfo_bytes(&meminfo, "MemAvailable").unwrap_or(u64::MAX),
        memory: meminfo_bytes(&meminfo, "MemTotal").unwrap_or(0),
        disk: filesystem(root).unwrap_or_default(),
    }
}

fn shortage(signals: &Signals, thresholds: &Thresholds) -> Option<Resource> {
    if signals.memory_available < thresholds.memory_available.of(signals.memory) {
        return Some(Resource::Memory);
    }
    thresholds.short_of_disk(signals.disk).then_some(Resource::Disk)
}

fn is_critical(pod: &Pod) -> bool {
    spec::of(pod).priority.is_some_and(|p| p >= SYSTEM_CRITICAL) || crate::statics::is_static(pod)
}

fn used_and_requested(pod: &Pod, used: &PodUsage, resource: Resource) -> (i64, i64) {
    let requests = pod.requests();
    let (used, requested) = match resource {
        Resource::Memory => (used.cgroup.memory_working_set, requests.memory()),
        Resource::Disk => (used.ephemeral().bytes, requests.get("ephemeral-storage").value()),
    };
    (i64::try_from(used).unwrap_or(i64::MAX), requested)
}

/// Who goes first: those above their requests, of those the less important, of those the one furthest above.
fn rank(pod: &Pod, used: &PodUsage, resource: Resource) -> (bool, i32, Reverse<i64>) {
    let (used, requested) = used_and_requested(pod, used, resource);
    (used <= requested, spec::of(pod).priority.unwrap_or(0), Reverse(used - requested))
}

fn low_message(
    pod: &Pod,
    used: &PodUsage,
    resource: Resource,
    signals: &Signals,
    thresholds: &Thresholds,
) -> String {
    let (threshold, available) = match resource {
        Resource::Memory => (thresholds.memory_available.of(signals.memory), signals.memory_available),
        Resource::Disk => (thresholds.nodefs_available.of(signals.disk.size), signals.disk.available),
    };
    let kib = |bytes: u64| format!("{}Ki", bytes / 1024);
    let name = resource.name();
    let mut message = format!(
        "The node was low on resource: {name}. Threshold quantity: {}, available: {}. ",
        kib(threshold),
        kib(available)
    );
    for spec in spec::main(pod) {
        let Some(own) = used.containers.iter().find(|c| c.name == spec.name()) else { continue };
        let requests = spec.container.requests();
        let (used, requested) = match resource {
            Resource::Memory => (own.stats.memory_working_set_bytes, requests.get("memory")),
            Resource::Disk => {
                (own.stats.rootfs_used_bytes + own.logs.bytes, requests.get("ephemeral-storage"))
            }
        };
        let asked = u64::try_from(requested.value()).unwrap_or(0);
        if used > asked {
            message += &format!(
                "Container {} was using {}, request is {requested}, has larger consumption of {name}. ",
                spec.name(),
                kib(used)
            );
        }
    }
    message
}

#[cfg(test)]
mod tests;

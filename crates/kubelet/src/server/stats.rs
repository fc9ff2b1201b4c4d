//! `/stats/summary`: CPU and memory of node, pods and containers, and the disk.

use std::sync::Arc;

use http::{Response, StatusCode};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::{Body, with_type};
use crate::context::Context;
use crate::node::machine::{Filesystem, filesystem, meminfo_bytes};
use crate::usage::{self, ContainerUsage, Disk};

pub async fn summary(context: &Arc<Context>, pods: &[Arc<Pod>], only_cpu_and_memory: bool) -> Response<Body> {
    let now = context.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let disk = filesystem(&context.paths.root).unwrap_or_default();
    let shown = Shown { now: &now, disk, files: !only_cpu_and_memory };
    let mut all = Vec::with_capacity(pods.len());
    for pod in pods {
        all.push(shown.pod(pod, &usage::of_pod(context, pod).await));
    }
    let node = Node::read();
    let mut about_node = json!({
        "nodeName": context.node_name,
        "startTime": node.boot_time,
        "cpu": {"time": now, "usageCoreNanoSeconds": node.cpu_nanoseconds},
        "memory": {
            "time": now,
            "availableBytes": node.available,
            "usageBytes": node.used(),
            "workingSetBytes": node.used(),
        },
    });
    if shown.files {
        let used = Disk {
            bytes: disk.size - disk.available.min(disk.size),
            inodes: disk.inodes - disk.inodes_free.min(disk.inodes),
        };
        about_node["fs"] = shown.files(used);
        about_node["runtime"] = json!({"imageFs": shown.files(used), "containerFs": shown.files(used)});
    }
    let body = json!({"node": about_node, "pods": all});
    with_type(StatusCode::OK, "application/json", body.to_string())
}

/// How it is shown.
struct Shown<'a> {
    now: &'a str,
    disk: Filesystem,
    /// False: only CPU and memory are asked for.
    files: bool,
}

impl Shown<'_> {
    fn pod(&self, pod: &Pod, usage: &usage::PodUsage) -> Value {
        let now = self.now;
        let cgroup = usage.cgroup;
        let mut shown = json!({
            "podRef": {"name": pod.metadata.name, "namespace": pod.metadata.namespace, "uid": pod.metadata.uid},
            "startTime": pod.status.as_ref().and_then(|s| s.start_time.as_ref()).map(|t| t.0.to_string()),
            "containers": usage.containers.iter().map(|c| self.container(c)).collect::<Vec<_>>(),
            "cpu": {"time": now, "usageCoreNanoSeconds": cgroup.cpu_nanoseconds},
            "memory": {
                "time": now,
                "usageBytes": cgroup.memory_bytes,
                "workingSetBytes": cgroup.memory_working_set,
            },
        });
        if self.files {
            let volumes = usage.volumes.iter().map(|v| {
                let mut volume = self.files(v.disk);
                volume["name"] = json!(v.name);
                volume
            });
            shown["volume"] = volumes.collect();
            shown["ephemeral-storage"] = self.files(usage.ephemeral());
        }
        shown
    }

    fn container(&self, c: &ContainerUsage) -> Value {
        let now = self.now;
        let mut shown = json!({
            "name": c.name,
            "startTime": jiff::Timestamp::from_second(c.started_at as i64).ok().map(|t| t.to_string()),
            "cpu": {"time": now, "usageCoreNanoSeconds": c.stats.cpu_usage_core_nano_seconds},
            "memory": {
                "time": now,
                "usageBytes": c.stats.memory_usage_bytes,
                "workingSetBytes": c.stats.memory_working_set_bytes,
                "rssBytes": c.stats.memory_rss_bytes,
            },
        });
        if self.files {
            let layer = Disk { bytes: c.stats.rootfs_used_bytes, inodes: c.stats.rootfs_inodes_used };
            shown["rootfs"] = self.files(layer);
            shown["logs"] = self.files(c.logs);
        }
        shown
    }

    fn files(&self, used: Disk) -> Value {
        json!({
            "time": self.now,
            "capacityBytes": self.disk.size,
            "availableBytes": self.disk.available,
            "usedBytes": used.bytes,
            "inodes": self.disk.inodes,
            "inodesFree": self.disk.inodes_free,
            "inodesUsed": used.inodes,
        })
    }
}

/// The machine as a whole.
#[derive(Clone, Debug, Default)]
pub struct Node {
    pub cpu_nanoseconds: u64,
    pub available: u64,
    total: u64,
    boot_time: Option<String>,
}

impl Node {
    pub fn read() -> Node {
        let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        let boot = stat.lines().find_map(|l| l.strip_prefix("btime ")?.trim().parse::<i64>().ok());
        Node {
            cpu_nanoseconds: cpu_nanoseconds(&stat),
            available: meminfo_bytes(&meminfo, "MemAvailable").unwrap_or(0),
            total: meminfo_bytes(&meminfo, "MemTotal").unwrap_or(0),
            boot_time: boot.and_then(|s| jiff::Timestamp::from_second(s).ok()).map(|t| t.to_string()),
        }
    }

    /// Bytes of memory.
    pub fn used(&self) -> u64 {
        self.total.saturating_sub(self.available)
    }
}

/// All but idle and waiting.
fn cpu_nanoseconds(stat: &str) -> u64 {
    /// The kernel's USER_HZ, fixed for every architecture we run on.
    const NANOSECONDS_PER_TICK: u64 = 10_000_000;
    let first = stat.lines().next().unwrap_or_default();
    let ticks: Vec<u64> = first.split_whitespace().skip(1).filter_map(|t| t.parse().ok()).collect();
    let busy = ticks.iter().take(8).enumerate().filter(|(i, _)| !matches!(i, 3 | 4)).map(|(_, t)| t);
    busy.sum::<u64>() * NANOSECONDS_PER_TICK
}

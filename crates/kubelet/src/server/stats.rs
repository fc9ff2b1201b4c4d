//! `/stats/summary`, as far as it is known here: CPU and memory of node, pods and containers, and the filesystem.

use std::sync::Arc;

use http::{Response, StatusCode};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::{Body, with_type};
use crate::amounts;
use crate::context::Context;
use crate::node::machine::{filesystem, meminfo_bytes};
use crate::server::logs::status_of;
use crate::spec;

pub async fn summary(context: &Arc<Context>, pods: &[Arc<Pod>]) -> Response<Body> {
    let now = context.clock.now().to_string();
    let mut all = Vec::with_capacity(pods.len());
    for pod in pods {
        all.push(pod_stats(context, pod, &now).await);
    }
    let disk = filesystem(&context.paths.root).unwrap_or_default();
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available = meminfo_bytes(&meminfo, "MemAvailable").unwrap_or(0);
    let total = meminfo_bytes(&meminfo, "MemTotal").unwrap_or(0);
    let body = json!({
        "node": {
            "nodeName": context.node_name,
            "cpu": {"time": now, "usageCoreNanoSeconds": node_cpu_nanoseconds()},
            "memory": {
                "time": now,
                "availableBytes": available,
                "usageBytes": total.saturating_sub(available),
                "workingSetBytes": total.saturating_sub(available),
            },
            "fs": {
                "time": now,
                "capacityBytes": disk.size,
                "availableBytes": disk.available,
                "usedBytes": disk.size - disk.available.min(disk.size),
                "inodes": disk.inodes,
                "inodesFree": disk.inodes_free,
            },
        },
        "pods": all,
    });
    with_type(StatusCode::OK, "application/json", body.to_string())
}

async fn pod_stats(context: &Context, pod: &Pod, now: &str) -> Value {
    let uid = pod.metadata.uid.clone().unwrap_or_default();
    let usage = context.cgroups.usage(amounts::qos(pod), &uid);
    let mut containers = Vec::new();
    for spec in spec::all(pod) {
        let id = status_of(pod, spec.name()).and_then(|s| s.container_id.clone());
        let Some(id) = id.and_then(|id| id.split_once("://").map(|(_, id)| id.to_owned())) else { continue };
        let Ok(stats) = context.runtime.container_stats(&id).await else { continue };
        containers.push(json!({
            "name": spec.name(),
            "cpu": {"time": now, "usageCoreNanoSeconds": stats.cpu_usage_core_nano_seconds},
            "memory": {
                "time": now,
                "usageBytes": stats.memory_usage_bytes,
                "workingSetBytes": stats.memory_working_set_bytes,
                "rssBytes": stats.memory_rss_bytes,
            },
            "rootfs": {"time": now, "usedBytes": stats.rootfs_used_bytes, "inodesUsed": stats.rootfs_inodes_used},
        }));
    }
    json!({
        "podRef": {"name": pod.metadata.name, "namespace": pod.metadata.namespace, "uid": uid},
        "startTime": pod.status.as_ref().and_then(|s| s.start_time.as_ref()).map(|t| t.0.to_string()),
        "containers": containers,
        "cpu": {"time": now, "usageCoreNanoSeconds": usage.cpu_nanoseconds},
        "memory": {"time": now, "usageBytes": usage.memory_bytes, "workingSetBytes": usage.memory_working_set},
    })
}

/// All but idle and waiting, from /proc/stat.
fn node_cpu_nanoseconds() -> u64 {
    /// The kernel's USER_HZ, fixed for every architecture we run on.
    const NANOSECONDS_PER_TICK: u64 = 10_000_000;
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks: Vec<u64> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .filter_map(|t| t.parse().ok())
        .collect();
    let busy = ticks.iter().take(8).enumerate().filter(|(i, _)| !matches!(i, 3 | 4)).map(|(_, t)| t);
    busy.sum::<u64>() * NANOSECONDS_PER_TICK
}

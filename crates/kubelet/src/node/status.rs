//! The node's status: computed whole, written as the difference.

use std::collections::BTreeMap;

use codec::Kind as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerImage, DaemonEndpoint, Node, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeFeatures,
    NodeStatus, NodeSystemInfo,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Map, Value, json};

use super::NodeKeeper;
use super::machine::{Filesystem, filesystem, meminfo_bytes};

pub const KUBELET_VERSION: &str = "v1.37.0+knarr";
/// As upstream's `nodeStatusMaxImages`.
const IMAGES_MAX: usize = 50;
/// Kept free of pods: upstream's eviction-hard defaults.
const MEMORY_RESERVE: u64 = 100 * 1024 * 1024;

/// Type, whether it is true, reason, message.
struct Finding(&'static str, bool, &'static str, String);

impl NodeKeeper {
    /// As it is now; what others own is as in `node`.
    pub(super) async fn status(&self, node: &Node, now: Timestamp) -> NodeStatus {
        let old = node.status.clone().unwrap_or_default();
        let disk = filesystem(&self.context.paths.root).unwrap_or_default();
        let (ready, runtime_version) = self.readiness().await;
        let findings = [
            memory_pressure(self.context.eviction.memory_available.of(self.machine.memory)),
            disk_pressure(self.context.eviction.short_of_disk(disk)),
            pid_pressure(),
            ready,
        ];
        let known = old.conditions.clone().unwrap_or_default();
        let mut conditions: Vec<_> = findings.into_iter().map(|f| condition(f, &known, now)).collect();
        let others = known.iter().filter(|k| !conditions.iter().any(|c| c.type_ == k.type_)).cloned();
        conditions.extend(others.collect::<Vec<_>>());
        let capacity = self.capacity(disk);
        NodeStatus {
            addresses: Some(self.addresses()),
            allocatable: Some(allocatable(&capacity, disk, self.machine.memory)),
            capacity: Some(capacity),
            conditions: Some(conditions),
            daemon_endpoints: (self.port > 0).then(|| NodeDaemonEndpoints {
                kubelet_endpoint: Some(DaemonEndpoint { port: i32::from(self.port) }),
            }),
            features: Some(NodeFeatures { supplemental_groups_policy: Some(true) }),
            images: Some(self.images().await.unwrap_or_else(|| old.images.clone().unwrap_or_default())),
            node_info: Some(self.node_info(runtime_version)),
            ..old
        }
    }

    /// Ready, with every reason against it, and the runtime's version.
    async fn readiness(&self) -> (Finding, String) {
        let runtime = &self.context.runtime;
        let version = runtime.version().await;
        let shown = version.as_ref().map_or_else(
            |_| format!("{}://Unknown", self.context.facts.runtime_name),
            |v| format!("{}://{}", v.runtime_name, v.runtime_version),
        );
        let mut against = Vec::new();
        if let Err(e) = &version {
            against.push(format!("container runtime is down: {e}"));
        }
        match runtime.status().await {
            Err(e) => against.push(format!("container runtime status check may not have completed yet: {e}")),
            Ok(status) => {
                for (kind, what) in [
                    ("RuntimeReady", "container runtime not ready"),
                    ("NetworkReady", "container runtime network not ready"),
                ] {
                    match status.conditions.iter().find(|c| c.kind == kind) {
                        Some(c) if c.status => {}
                        Some(c) => against
                            .push(format!("{what}: {kind}=false reason:{} message:{}", c.reason, c.message)),
                        None => against.push(format!("{what}: {kind} is not set")),
                    }
                }
            }
        }
        let finding = match against.is_empty() {
            true => Finding("Ready", true, "KubeletReady", "kubelet is posting ready status".into()),
            false => {
                let text =
                    if against.len() == 1 { against.remove(0) } else { format!("[{}]", against.join(", ")) };
                Finding("Ready", false, "KubeletNotReady", text)
            }
        };
        (finding, shown)
    }

    fn addresses(&self) -> Vec<NodeAddress> {
        let of = |type_: &str, address: String| NodeAddress { type_: type_.into(), address };
        let ips = self.context.node_ips.iter().map(|ip| of("InternalIP", ip.to_string()));
        ips.chain([of("Hostname", self.context.node_name.clone())]).collect()
    }

    fn capacity(&self, disk: Filesystem) -> BTreeMap<String, Quantity> {
        [
            ("cpu", self.machine.cpus.to_string()),
            ("ephemeral-storage", kib(disk.size)),
            ("memory", kib(self.machine.memory)),
            ("pods", self.context.max_pods.to_string()),
        ]
        .into_iter()
        .map(|(name, amount)| (name.to_owned(), Quantity(amount)))
        .collect()
    }

    fn node_info(&self, container_runtime_version: String) -> NodeSystemInfo {
        let machine = self.machine.clone();
        NodeSystemInfo {
            architecture: machine.architecture,
            boot_id: machine.boot_id,
            container_runtime_version,
            kernel_version: machine.kernel_version,
            kube_proxy_version: String::new(),
            kubelet_version: KUBELET_VERSION.into(),
            machine_id: machine.machine_id,
            operating_system: "linux".into(),
            os_image: machine.os_image,
            system_uuid: machine.system_uuid,
            ..NodeSystemInfo::default()
        }
    }

    /// The largest first. `None` when they cannot be listed now.
    async fn images(&self) -> Option<Vec<ContainerImage>> {
        let mut images = self.context.images.service().list_images().await.ok()?;
        images.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.id.cmp(&b.id)));
        let shown = images.into_iter().take(IMAGES_MAX).map(|image| ContainerImage {
            names: Some([image.repo_digests, image.repo_tags].concat()).filter(|n| !n.is_empty()),
            size_bytes: i64::try_from(image.size).ok(),
        });
        Some(shown.collect())
    }
}

fn kib(bytes: u64) -> String {
    format!("{}Ki", bytes / 1024)
}

fn allocatable(
    capacity: &BTreeMap<String, Quantity>,
    disk: Filesystem,
    memory: u64,
) -> BTreeMap<String, Quantity> {
    let mut left = capacity.clone();
    left.insert("memory".into(), Quantity(kib(memory.saturating_sub(MEMORY_RESERVE))));
    left.insert("ephemeral-storage".into(), Quantity((disk.size / 10 * 9).to_string()));
    left
}

/// What pods may use of this machine, for the downward API.
pub fn allocatable_resources(memory: u64, cpus: u64) -> resources::quantity::Amounts {
    use apimachinery::quantity::{Format, Quantity as Amount};
    let amount = |n: u64, format| Amount::new(i64::try_from(n).unwrap_or(i64::MAX), format);
    resources::quantity::Amounts(
        [
            ("cpu".to_owned(), amount(cpus, Format::DecimalSi)),
            ("memory".to_owned(), amount(memory.saturating_sub(MEMORY_RESERVE), Format::BinarySi)),
        ]
        .into(),
    )
}

fn memory_pressure(least: u64) -> Finding {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    match meminfo_bytes(&text, "MemAvailable") {
        Some(available) if available < least => Finding(
            "MemoryPressure",
            true,
            "KubeletHasInsufficientMemory",
            "kubelet has insufficient memory available".into(),
        ),
        _ => Finding(
            "MemoryPressure",
            false,
            "KubeletHasSufficientMemory",
            "kubelet has sufficient memory available".into(),
        ),
    }
}

/// Upstream's thresholds: a tenth of the bytes, a twentieth of the inodes.
fn disk_pressure(short: bool) -> Finding {
    match short {
        true => Finding("DiskPressure", true, "KubeletHasDiskPressure", "kubelet has disk pressure".into()),
        false => {
            Finding("DiskPressure", false, "KubeletHasNoDiskPressure", "kubelet has no disk pressure".into())
        }
    }
}

fn pid_pressure() -> Finding {
    let number = |path: &str| std::fs::read_to_string(path).ok().and_then(|t| t.trim().parse::<u64>().ok());
    // The last field but one of loadavg: running/all tasks.
    let loadavg = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let tasks = loadavg
        .split(' ')
        .nth(3)
        .and_then(|t| t.split_once('/'))
        .and_then(|(_, all)| all.parse::<u64>().ok());
    let short =
        matches!((tasks, number("/proc/sys/kernel/pid_max")), (Some(tasks), Some(max)) if tasks + 100 > max);
    match short {
        true => Finding(
            "PIDPressure",
            true,
            "KubeletHasInsufficientPID",
            "kubelet has insufficient PID available".into(),
        ),
        false => Finding(
            "PIDPressure",
            false,
            "KubeletHasSufficientPID",
            "kubelet has sufficient PID available".into(),
        ),
    }
}

fn condition(finding: Finding, known: &[NodeCondition], now: Timestamp) -> NodeCondition {
    let Finding(kind, yes, reason, message) = finding;
    let status = if yes { "True" } else { "False" };
    let before = known.iter().find(|c| c.type_ == kind && c.status == status);
    NodeCondition {
        type_: kind.into(),
        status: status.into(),
        reason: Some(reason.into()),
        message: Some(message),
        last_heartbeat_time: Some(Time(now)),
        last_transition_time: before.and_then(|c| c.last_transition_time.clone()).or(Some(Time(now))),
    }
}

pub fn is_ready(status: &NodeStatus) -> bool {
    status.conditions.iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True")
}

/// The strategic merge patch; `None` when only heartbeats would change and none is due.
pub fn patch(old: &NodeStatus, new: &NodeStatus, due: bool) -> Option<Value> {
    let (old_map, new_map) = (object(&without_heartbeats(old)), object(&without_heartbeats(new)));
    if old_map == new_map && !due {
        return None;
    }
    let full = object(new);
    let mut changes = Map::new();
    for (field, value) in &full {
        if field != "conditions" && old_map.get(field) == new_map.get(field) {
            continue;
        }
        let value = match (field.as_str(), value) {
            // Merged by type, of which there may be several.
            ("addresses", Value::Array(list)) => {
                let mut list = list.clone();
                list.insert(0, json!({"$patch": "replace"}));
                Value::Array(list)
            }
            (_, value) => value.clone(),
        };
        changes.insert(field.clone(), value);
    }
    Some(json!({"status": changes}))
}

fn without_heartbeats(status: &NodeStatus) -> NodeStatus {
    let mut status = status.clone();
    for condition in status.conditions.iter_mut().flatten() {
        condition.last_heartbeat_time = None;
    }
    status
}

fn object(status: &NodeStatus) -> Map<String, Value> {
    // Through the kind's own serialiser: another instantiation of it would cost every build.
    let json = Node { status: Some(status.clone()), ..Node::default() }.to_json();
    match serde_json::from_slice::<Value>(&json) {
        Ok(mut node) => match node["status"].take() {
            Value::Object(status) => status,
            _ => Map::new(),
        },
        Err(_) => Map::new(),
    }
}

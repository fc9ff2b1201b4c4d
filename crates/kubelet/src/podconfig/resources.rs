//! Requests and limits as cgroup values.

use cri::LinuxContainerResources;
use k8s_openapi::api::core::v1::{Container, Pod};
use resources::core::pod::ContainerExt;

use crate::amounts::{self, Qos, cpu_quota, cpu_shares};
use crate::spec;

/// What the machine is, as far as limits depend on it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine {
    pub memory: i64,
    pub cgroup_v2: bool,
}

/// A container's own limits.
pub fn container_resources(pod: &Pod, container: &Container, machine: Machine) -> LinuxContainerResources {
    let requests = container.requests();
    let limits = container.limits();
    let mut resources = LinuxContainerResources {
        cpu_period: amounts::CPU_PERIOD,
        cpu_quota: cpu_quota(limits.milli_cpu()),
        cpu_shares: cpu_shares(requests.milli_cpu()),
        memory_limit_in_bytes: limits.memory(),
        oom_score_adj: oom_score_adj(pod, container, machine.memory),
        ..LinuxContainerResources::default()
    };
    if machine.cgroup_v2 {
        // One process killed for memory ends the whole container.
        resources.unified.insert("memory.oom.group".into(), "1".into());
    }
    resources
}

/// Who is killed first when the machine runs out of memory.
fn oom_score_adj(pod: &Pod, container: &Container, machine_memory: i64) -> i64 {
    const GUARANTEED: i64 = -997;
    const BEST_EFFORT: i64 = 1000;
    /// Priority from which on pods are critical to the system.
    const SYSTEM_CRITICAL: i32 = 2_000_000_000;
    if spec::of(pod).priority.is_some_and(|p| p >= SYSTEM_CRITICAL) {
        return GUARANTEED;
    }
    match amounts::qos(pod) {
        Qos::Guaranteed => GUARANTEED,
        Qos::BestEffort => BEST_EFFORT,
        Qos::Burstable => {
            let memory = container.requests().memory();
            let share = if machine_memory > 0 { memory.saturating_mul(1000) / machine_memory } else { 0 };
            // Above every guaranteed pod, below every best-effort one.
            (BEST_EFFORT - share).clamp(1000 + GUARANTEED, BEST_EFFORT - 1)
        }
    }
}

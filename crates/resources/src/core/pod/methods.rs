//! Questions to pods, and changes of their conditions.

use std::sync::LazyLock;

use codec::Kind;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{
    Container, ContainerPort, ContainerStatus, Pod, PodCondition, PodSpec, PodStatus, Taint, Toleration,
};

use super::requests;
use crate::conditions;
use crate::owner::ObjectMetaExt;
use crate::quantity::Amounts;

/// What pods are asked everywhere.
pub trait PodExt {
    /// The spec; an empty one when it is missing, which validation never lets into the store.
    fn pod_spec(&self) -> &PodSpec;
    fn pod_status(&self) -> &PodStatus;
    /// `Pending`, `Running`, …; empty before the first status.
    fn phase(&self) -> &str;
    /// Succeeded or Failed: nothing of it will ever run again.
    fn is_terminal(&self) -> bool;
    /// Neither terminal nor being deleted.
    fn is_active(&self) -> bool;
    /// The Ready condition is true.
    fn is_ready(&self) -> bool;
    /// Ready for at least `min_ready_seconds`.
    fn is_available(&self, min_ready_seconds: i32, now: Timestamp) -> bool;
    fn condition(&self, kind: &str) -> Option<&PodCondition>;
    /// The node it is bound to.
    fn node_name(&self) -> Option<&str>;
    /// Made by a kubelet to show a pod of its own files.
    fn is_mirror(&self) -> bool;
    fn priority(&self) -> i32;
    /// Runs in the node's network namespace.
    fn uses_host_network(&self) -> bool;
    /// Every address, the first one first.
    fn ips(&self) -> Vec<&str>;
    /// Init, ordinary containers, in this order; ephemeral ones have a type of their own.
    fn all_containers(&self) -> Box<dyn Iterator<Item = &Container> + '_>;
    /// The status of a container of any sort.
    fn container_status(&self, name: &str) -> Option<&ContainerStatus>;
    /// Ports taken on the node.
    fn host_ports(&self) -> Vec<&ContainerPort>;
    /// Has a toleration for `taint`.
    fn tolerates(&self, taint: &Taint) -> bool;
    /// What the pod needs, overhead included: see [`requests`].
    fn requests(&self) -> Amounts;
    /// What the pod may use at most, for resources that have a limit.
    fn limits(&self) -> Amounts;
    /// `Guaranteed`, `Burstable` or `BestEffort`.
    fn qos_class(&self) -> &'static str;
    /// Seconds between the request to delete it and the kill.
    fn grace_period_seconds(&self) -> i64;
}

static NO_SPEC: LazyLock<PodSpec> = LazyLock::new(PodSpec::default);
static NO_STATUS: LazyLock<PodStatus> = LazyLock::new(PodStatus::default);

/// The annotation that marks a mirror pod.
pub const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";
/// How dearly a controller parts with a pod when scaling down.
pub const DELETION_COST_ANNOTATION: &str = "controller.kubernetes.io/pod-deletion-cost";

impl PodExt for Pod {
    fn pod_spec(&self) -> &PodSpec {
        self.spec.as_ref().unwrap_or(&NO_SPEC)
    }

    fn pod_status(&self) -> &PodStatus {
        self.status.as_ref().unwrap_or(&NO_STATUS)
    }

    fn phase(&self) -> &str {
        self.pod_status().phase.as_deref().unwrap_or_default()
    }

    fn is_terminal(&self) -> bool {
        matches!(self.phase(), "Succeeded" | "Failed")
    }

    fn is_active(&self) -> bool {
        !self.is_terminal() && !self.metadata.is_deleting()
    }

    fn is_ready(&self) -> bool {
        self.condition("Ready").is_some_and(|c| c.status == "True")
    }

    fn is_available(&self, min_ready_seconds: i32, now: Timestamp) -> bool {
        let Some(ready) = self.condition("Ready").filter(|c| c.status == "True") else { return false };
        if min_ready_seconds == 0 {
            return true;
        }
        let wait = SignedDuration::from_secs(min_ready_seconds.into());
        ready.last_transition_time.as_ref().is_some_and(|since| now.duration_since(since.0) >= wait)
    }

    fn condition(&self, kind: &str) -> Option<&PodCondition> {
        self.pod_status().conditions.iter().flatten().find(|c| c.type_ == kind)
    }

    fn node_name(&self) -> Option<&str> {
        self.pod_spec().node_name.as_deref().filter(|n| !n.is_empty())
    }

    fn is_mirror(&self) -> bool {
        self.metadata.annotation(MIRROR_ANNOTATION).is_some()
    }

    fn priority(&self) -> i32 {
        self.pod_spec().priority.unwrap_or(0)
    }

    fn uses_host_network(&self) -> bool {
        self.pod_spec().host_network == Some(true)
    }

    fn ips(&self) -> Vec<&str> {
        let status = self.pod_status();
        match status.pod_ips.as_deref() {
            Some(ips) if !ips.is_empty() => ips.iter().map(|ip| ip.ip.as_str()).collect(),
            _ => status.pod_ip.as_deref().filter(|ip| !ip.is_empty()).into_iter().collect(),
        }
    }

    fn all_containers(&self) -> Box<dyn Iterator<Item = &Container> + '_> {
        let spec = self.pod_spec();
        Box::new(spec.init_containers.iter().flatten().chain(&spec.containers))
    }

    fn container_status(&self, name: &str) -> Option<&ContainerStatus> {
        let status = self.pod_status();
        let lists = [
            &status.container_statuses,
            &status.init_container_statuses,
            &status.ephemeral_container_statuses,
        ];
        lists.into_iter().flatten().flatten().find(|s| s.name == name)
    }

    fn host_ports(&self) -> Vec<&ContainerPort> {
        let spec = self.pod_spec();
        // Init containers that end do not hold their ports.
        let sidecars = spec.init_containers.iter().flatten().filter(|c| c.is_restartable_init());
        let ports = spec.containers.iter().chain(sidecars).flat_map(|c| c.ports.iter().flatten());
        ports.filter(|p| p.host_port.unwrap_or(0) > 0).collect()
    }

    fn tolerates(&self, taint: &Taint) -> bool {
        self.pod_spec().tolerations.iter().flatten().any(|t| t.tolerates(taint))
    }

    fn requests(&self) -> Amounts {
        requests::pod_requests(self.pod_spec())
    }

    fn limits(&self) -> Amounts {
        requests::pod_limits(self.pod_spec())
    }

    fn qos_class(&self) -> &'static str {
        requests::qos_class(self.pod_spec())
    }

    fn grace_period_seconds(&self) -> i64 {
        self.pod_spec().termination_grace_period_seconds.unwrap_or(super::defaults::GRACE_SECONDS)
    }
}

/// Questions to containers.
pub trait ContainerExt {
    /// An init container that runs as long as the pod: a sidecar.
    fn is_restartable_init(&self) -> bool;
    fn requests(&self) -> Amounts;
    fn limits(&self) -> Amounts;
}

impl ContainerExt for Container {
    fn is_restartable_init(&self) -> bool {
        self.restart_policy.as_deref() == Some("Always")
    }

    fn requests(&self) -> Amounts {
        Amounts::of(self.resources.as_ref().and_then(|r| r.requests.as_ref()))
    }

    fn limits(&self) -> Amounts {
        Amounts::of(self.resources.as_ref().and_then(|r| r.limits.as_ref()))
    }
}

/// Questions to tolerations.
pub trait TolerationExt {
    fn tolerates(&self, taint: &Taint) -> bool;
}

impl TolerationExt for Toleration {
    fn tolerates(&self, taint: &Taint) -> bool {
        let (key, value) =
            (self.key.as_deref().unwrap_or_default(), self.value.as_deref().unwrap_or_default());
        let effect = self.effect.as_deref().unwrap_or_default();
        if !effect.is_empty() && effect != taint.effect || !key.is_empty() && key != taint.key {
            return false;
        }
        match self.operator.as_deref().unwrap_or_default() {
            "" | "Equal" => value == taint.value.as_deref().unwrap_or_default(),
            "Exists" => true,
            _ => false,
        }
    }
}

/// Sets a condition. The transition time moves only when the status does. True when anything changed.
pub fn set_condition(status: &mut PodStatus, condition: PodCondition, now: Timestamp) -> bool {
    conditions::set(&mut status.conditions, condition, now)
}

/// The text that names one incarnation of a pod in logs and events: `name_namespace(uid)`.
pub fn describe(pod: &Pod) -> String {
    format!("{}_{}({})", pod.name(), pod.namespace(), pod.uid())
}

#[cfg(test)]
mod tests;

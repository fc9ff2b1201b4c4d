//! A pod as one row. STATUS tells what the containers do, not just the phase.

use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};
use serde_json::{Value, json};

use super::{ContainerExt, PodExt};
use crate::columns::{AGE, NAME, or_none, text, wide};
use crate::owner::ObjectMetaExt;
use crate::strategy::{Column, age, human_duration};

pub const COLUMNS: &[Column] = &[
    NAME,
    text("Ready", "The aggregate readiness state of this pod for accepting traffic."),
    text("Status", "The aggregate status of the containers in this pod."),
    text(
        "Restarts",
        "The number of times the containers in this pod have been restarted and when the last container in this pod has restarted.",
    ),
    AGE,
    wide("IP", "The primary address of the pod."),
    wide("Node", "The node the pod is bound to."),
    wide("Nominated Node", "The node that is being freed for the pod."),
    wide("Readiness Gates", "How many of the pod's additional readiness conditions are true."),
];

pub fn row(pod: &Pod, now: Timestamp) -> Vec<Value> {
    let seen = Summary::of(pod);
    let restarts = match seen.last_restart {
        Some(at) if seen.restarts != 0 => {
            format!("{} ({} ago)", seen.restarts, human_duration(now.duration_since(at).as_secs()))
        }
        _ => seen.restarts.to_string(),
    };
    vec![
        json!(pod.name()),
        json!(format!("{}/{}", seen.ready, seen.total)),
        json!(seen.reason),
        json!(restarts),
        json!(age(&pod.metadata, now)),
        json!(or_none(pod.ips().first().copied())),
        json!(or_none(pod.node_name())),
        json!(or_none(pod.pod_status().nominated_node_name.as_deref())),
        json!(readiness_gates(pod)),
    ]
}

/// The row's `conditions`: whether the pod has ended, for `kubectl get` to tell finished rows apart.
pub fn row_conditions(pod: &Pod) -> Vec<Value> {
    let completed = |reason, message| json!({"type": "Completed", "status": "True", "reason": reason, "message": message});
    match pod.phase() {
        "Succeeded" => vec![completed("Succeeded", "The pod has completed successfully.")],
        "Failed" => vec![completed("Failed", "The pod failed.")],
        _ => Vec::new(),
    }
}

/// The STATUS column.
pub fn status_text(pod: &Pod) -> String {
    Summary::of(pod).reason
}

struct Summary {
    reason: String,
    ready: usize,
    total: usize,
    restarts: i32,
    last_restart: Option<Timestamp>,
}

impl Summary {
    fn of(pod: &Pod) -> Self {
        let status = pod.pod_status();
        let own = status.reason.as_deref().filter(|r| !r.is_empty()).unwrap_or(pod.phase());
        let gated =
            pod.condition("PodScheduled").is_some_and(|c| c.reason.as_deref() == Some("SchedulingGated"));
        let mut summary = Summary {
            reason: if gated { "SchedulingGated" } else { own }.into(),
            ready: 0,
            total: pod.pod_spec().containers.len(),
            restarts: 0,
            last_restart: None,
        };
        let (initializing, sidecar_restarts) = summary.count_init(pod);
        if !initializing || pod.condition("Initialized").is_some_and(|c| c.status == "True") {
            (summary.restarts, summary.last_restart) = sidecar_restarts;
            summary.count_main(pod);
        }
        if pod.metadata.is_deleting() {
            if status.reason.as_deref() == Some("NodeLost") {
                summary.reason = "Unknown".into();
            } else if !pod.is_terminal() {
                summary.reason = "Terminating".into();
            }
        }
        summary
    }

    /// Counts init containers up to the first that is not through. Tells whether there is such a one, and the
    /// restarts of sidecars alone.
    fn count_init(&mut self, pod: &Pod) -> (bool, (i32, Option<Timestamp>)) {
        let init = pod.pod_spec().init_containers.as_deref().unwrap_or_default();
        let sidecar = |name: &str| init.iter().any(|c| c.name == name && c.is_restartable_init());
        self.total += init.iter().filter(|c| c.is_restartable_init()).count();
        let mut of_sidecars = (0, None);
        let statuses = pod.pod_status().init_container_statuses.iter().flatten();
        for (i, container) in statuses.enumerate() {
            self.count_restarts(container);
            let is_sidecar = sidecar(&container.name);
            if is_sidecar {
                of_sidecars.0 = i32::saturating_add(of_sidecars.0, container.restart_count);
                of_sidecars.1 = of_sidecars.1.max(last_finish(container));
            }
            let state = container.state.as_ref();
            if state.and_then(|s| s.terminated.as_ref()).is_some_and(|t| t.exit_code == 0) {
                continue;
            }
            if is_sidecar && container.started == Some(true) {
                self.ready += usize::from(container.ready);
                continue;
            }
            self.reason = match state.and_then(init_reason) {
                Some(reason) => format!("Init:{reason}"),
                None => format!("Init:{i}/{}", init.len()),
            };
            return (true, of_sidecars);
        }
        (false, of_sidecars)
    }

    /// The first container that has something to say gives the reason.
    fn count_main(&mut self, pod: &Pod) {
        let mut running = false;
        for container in pod.pod_status().container_statuses.iter().flatten().rev() {
            self.count_restarts(container);
            let state = container.state.as_ref();
            if let Some(reason) = state.and_then(stopped_reason) {
                self.reason = reason;
            } else if container.ready && state.is_some_and(|s| s.running.is_some()) {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" && running {
            self.reason = if pod.is_ready() { "Running" } else { "NotReady" }.into();
        }
    }

    fn count_restarts(&mut self, container: &ContainerStatus) {
        self.restarts = self.restarts.saturating_add(container.restart_count);
        self.last_restart = self.last_restart.max(last_finish(container));
    }
}

fn last_finish(container: &ContainerStatus) -> Option<Timestamp> {
    container.last_state.as_ref()?.terminated.as_ref()?.finished_at.as_ref().map(|t| t.0)
}

/// Why an ordinary container does not run.
fn stopped_reason(state: &ContainerState) -> Option<String> {
    let waiting = state.waiting.as_ref().and_then(|w| w.reason.clone()).filter(|r| !r.is_empty());
    waiting.or_else(|| terminated_reason(state))
}

/// Why an init container does not run, when there is more to say than how many are through.
fn init_reason(state: &ContainerState) -> Option<String> {
    let waiting = || state.waiting.as_ref()?.reason.clone();
    terminated_reason(state).or_else(|| waiting().filter(|r| !r.is_empty() && r != "PodInitializing"))
}

fn terminated_reason(state: &ContainerState) -> Option<String> {
    let ended = state.terminated.as_ref()?;
    Some(match (ended.reason.as_deref(), ended.signal) {
        (Some(reason), _) if !reason.is_empty() => reason.into(),
        (_, Some(signal)) if signal != 0 => format!("Signal:{signal}"),
        _ => format!("ExitCode:{}", ended.exit_code),
    })
}

fn readiness_gates(pod: &Pod) -> String {
    match pod.pod_spec().readiness_gates.as_deref() {
        Some(gates) if !gates.is_empty() => {
            let holds = |kind: &str| pod.condition(kind).is_some_and(|c| c.status == "True");
            format!("{}/{}", gates.iter().filter(|g| holds(&g.condition_type)).count(), gates.len())
        }
        _ => "<none>".into(),
    }
}

#[cfg(test)]
mod tests;

//! A pod's status as the API should show it, computed from what is observed. Start at [`pod_status`].

mod conditions;
mod containers;
pub mod patch;
mod phase;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{HostIP, Pod, PodIP, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::observed::Observed;
use crate::plan::{self, Actions, Verdict};
use crate::spec;

/// What the status needs to know about this node.
#[derive(Clone, Debug, Default)]
pub struct NodeFacts {
    pub ips: Vec<String>,
    /// Prefix of container ids: `knarr`.
    pub runtime_name: String,
}

/// Everything of the status that a kubelet owns. Fields of others are as they are in `pod`.
pub fn pod_status(
    pod: &Pod,
    observed: &Observed,
    actions: &Actions,
    messages: &dyn Fn(&cri::ContainerStatus) -> String,
    node: &NodeFacts,
    now: Timestamp,
) -> PodStatus {
    let old = pod.status.clone().unwrap_or_default();
    let parts = containers::Parts { pod, old: &old, observed, actions, messages, node };
    let init = parts.init();
    let main = parts.main();
    let ephemeral = parts.ephemeral();
    let terminal = matches!(old.phase.as_deref(), Some("Failed" | "Succeeded"));
    let verdict = actions.verdict.clone().or_else(|| kept_verdict(&old));
    let phase = match (&verdict, terminal) {
        (_, true) => old.phase.clone().unwrap_or_default(),
        (Some(_), _) => "Failed".to_owned(),
        _ => phase::phase(pod, observed, &init, &main).to_owned(),
    };
    let (reason, message) = match verdict {
        Some(v) => (Some(v.reason.to_owned()), Some(v.message)),
        None if terminal => (old.reason.clone(), old.message.clone()),
        None => (None, None),
    };
    let mut status = PodStatus {
        phase: Some(phase),
        reason,
        message,
        start_time: old.start_time.clone().or(Some(Time(now))),
        host_ip: node.ips.first().cloned(),
        host_ips: Some(node.ips.iter().map(|ip| HostIP { ip: ip.clone() }).collect()),
        init_container_statuses: some(init),
        container_statuses: some(main),
        ephemeral_container_statuses: some(ephemeral),
        observed_generation: pod.metadata.generation,
        ..old.clone()
    };
    set_pod_ips(pod, observed, node, &mut status);
    status.conditions = Some(conditions::conditions(pod, observed, &status, &old, now));
    status
}

/// Whether what was given is not yet what runs.
pub fn resizing(pod: &Pod, observed: &Observed) -> bool {
    let resize = &observed.resize;
    let differs = |s: crate::spec::Spec<'_>| {
        let alive = observed.latest(s.name()).is_some_and(crate::observed::is_alive);
        alive
            && plan::resize::change(&s.container, resize.actuated.get(s.name())) != plan::resize::Change::None
    };
    resize.stale
        || resize.failure.is_some()
        || !resize.restarting.is_empty()
        || spec::main(pod).any(differs)
        || spec::init(pod).filter(|s| s.role == spec::Role::Sidecar).any(differs)
}

/// An earlier decision of ours holds until the pod is gone, although its containers have not all ended yet.
fn kept_verdict(old: &PodStatus) -> Option<Verdict> {
    let reason = ["DeadlineExceeded", "Evicted"].into_iter().find(|r| old.reason.as_deref() == Some(*r))?;
    Some(Verdict { reason, message: old.message.clone().unwrap_or_default() })
}

fn set_pod_ips(pod: &Pod, observed: &Observed, node: &NodeFacts, status: &mut PodStatus) {
    let ips: Vec<String> = match observed.sandbox() {
        Some(_) if spec::host_network(pod) => node.ips.clone(),
        Some(sandbox) => sandbox.ips.iter().map(ToString::to_string).collect(),
        // As upstream: a terminated pod keeps showing the address it had.
        None => return,
    };
    if ips.is_empty() {
        return;
    }
    status.pod_ip = ips.first().cloned();
    status.pod_ips = Some(ips.into_iter().map(|ip| PodIP { ip }).collect());
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

#[cfg(test)]
mod tests;

//! How a pod ends: why, in which order its containers stop, and what is cleaned up then.

use cri::{ContainerState, SandboxState};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::{Action, Actions, Verdict, after, kill};
use crate::observed::{Observed, is_alive};
use crate::spec::{self, Role};

/// The least that a sidecar gets after the others took the whole grace period.
const SIDECAR_GRACE: i64 = 2;

/// That the pod ends, and how.
pub struct Ending {
    /// Seconds for the containers.
    grace: i64,
    /// When that is over, if the API says so.
    deadline: Option<Timestamp>,
    /// It leaves the API (or already has).
    deleted: bool,
}

/// Whether the pod ends now.
pub fn ending(pod: &Pod, observed: &Observed, now: Timestamp, actions: &mut Actions) -> Option<Ending> {
    let deletion = pod.metadata.deletion_timestamp.as_ref().map(|t| t.0);
    if observed.gone || deletion.is_some() {
        let grace = match (deletion, pod.metadata.deletion_grace_period_seconds) {
            (Some(_), Some(seconds)) => seconds,
            _ => spec::grace(pod),
        };
        return Some(Ending { grace: grace.max(1), deadline: deletion, deleted: true });
    }
    let own = || Ending { grace: spec::grace(pod).max(1), deadline: None, deleted: false };
    if let Some(verdict) = &observed.rejected {
        actions.verdict = Some(verdict.clone());
        return Some(own());
    }
    if let Some(verdict) = &observed.evicted {
        actions.verdict = Some(verdict.clone());
        // The node is short now: nobody is waited for.
        return Some(Ending { grace: 1, deadline: None, deleted: false });
    }
    let status = pod.status.as_ref();
    let phase = status.and_then(|s| s.phase.as_deref());
    if matches!(phase, Some("Failed" | "Succeeded")) || finished(pod, observed) {
        return Some(own());
    }
    let deadline = spec::of(pod).active_deadline_seconds?;
    let start = status.and_then(|s| s.start_time.as_ref())?.0;
    let until = after(start, deadline);
    if until > now {
        actions.wake(until);
        return None;
    }
    let message = "Pod was active on the node longer than the specified deadline".to_owned();
    actions.verdict = Some(Verdict { reason: "DeadlineExceeded", message });
    Some(own())
}

/// All containers ran to an end that is not followed by another start, or an init container failed for good.
pub fn finished(pod: &Pod, observed: &Observed) -> bool {
    if observed.work.starting.is_some() {
        return false;
    }
    let ended = |spec: &spec::Spec<'_>| {
        let last = observed.latest(spec.name()).filter(|c| c.container.state == ContainerState::Exited);
        last.filter(|c| !spec::restarts(pod, spec, c.exit_code)).map(|c| c.exit_code)
    };
    let init_failed = spec::init(pod)
        .filter(|s| s.role == Role::Init)
        .any(|s| ended(&s).is_some_and(|exit_code| exit_code != 0));
    // With a new sandbox init containers run again, unless everything is done.
    init_failed || (spec::main(pod).next().is_some() && spec::main(pod).all(|s| ended(&s).is_some()))
}

/// Containers, then sandbox, volumes and cgroup, then the last status.
pub fn plan(pod: &Pod, observed: &Observed, now: Timestamp, ending: &Ending, actions: &mut Actions) {
    let work = &observed.work;
    kill_all(pod, observed, now, ending, actions);
    if observed.alive().next().is_some()
        || !work.killing.is_empty()
        || work.starting.is_some()
        || work.pod_job
    {
        return;
    }
    let sandbox_left = observed.sandboxes.iter().any(|s| s.sandbox.state == SandboxState::Ready);
    if !work.torn_down || sandbox_left {
        if let Some(at) = observed.retry_pod_at.filter(|at| *at > now) {
            return actions.wake(at);
        }
        return actions.push(Action::TearDown);
    }
    if observed.gone {
        return actions.push(Action::Purge);
    }
    if ending.deleted && !work.reported {
        actions.push(Action::Finish);
    }
}

/// Main containers at once; then the sidecars, last started first, each when the one after it has ended.
fn kill_all(pod: &Pod, observed: &Observed, now: Timestamp, ending: &Ending, actions: &mut Actions) {
    let is_sidecar = |name: &str| spec::init(pod).any(|s| s.role == Role::Sidecar && s.name() == name);
    let (sidecars, others): (Vec<_>, Vec<_>) =
        observed.alive().partition(|c| is_sidecar(&c.container.metadata.name));
    let remaining = ending.deadline.map(|d| d.duration_since(now).as_secs().max(SIDECAR_GRACE));
    let (next, grace) = if others.is_empty() {
        let order: Vec<String> = spec::init(pod).map(|s| s.name().to_owned()).collect();
        let position = |name: &str| order.iter().position(|n| n == name);
        let last = sidecars.iter().max_by_key(|c| position(&c.container.metadata.name));
        let last = last.filter(|c| is_alive(c)).map(|c| vec![*c]).unwrap_or_default();
        (last, remaining.map_or(ending.grace, |r| r.min(ending.grace)))
    } else {
        (others, ending.grace)
    };
    for container in next {
        let id = &container.container.id;
        // A kill already under way counts, unless the API has shortened the grace period since.
        if observed.work.killing.get(id).is_some_and(|given| *given <= ending.grace) {
            continue;
        }
        let name = &container.container.metadata.name;
        let message = format!("Stopping container {name}");
        actions.push(Action::Kill(kill(container, grace, message)));
    }
}

//! From the containers' states to one word.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use crate::observed::Observed;
use crate::spec::{self, Role};

/// `Pending`, `Running`, `Succeeded` or `Failed`.
pub fn phase(
    pod: &Pod,
    observed: &Observed,
    init: &[ContainerStatus],
    main: &[ContainerStatus],
) -> &'static str {
    match init_phase(pod, init, main) {
        Some(phase) => phase,
        None => main_phase(pod, observed, main),
    }
}

fn exit_code(status: &ContainerStatus) -> Option<i32> {
    let terminated = status.state.as_ref().and_then(|s| s.terminated.as_ref());
    let last = || status.last_state.as_ref().and_then(|s| s.terminated.as_ref());
    let waiting = status.state.as_ref().is_some_and(|s| s.waiting.is_some());
    terminated.or_else(|| if waiting { last() } else { None }).map(|t| t.exit_code)
}

/// Decided by the init containers: they are not through, or one failed for good.
fn init_phase(pod: &Pod, init: &[ContainerStatus], main: &[ContainerStatus]) -> Option<&'static str> {
    let begun = main.iter().any(|s| s.container_id.is_some());
    let mut pending = false;
    for spec in spec::init(pod) {
        let Some(status) = init.iter().find(|s| s.name == spec.name()) else {
            pending |= !begun;
            continue;
        };
        let waiting_first = exit_code(status).is_none();
        match spec.role {
            Role::Sidecar => pending |= !begun && waiting_first && status.started != Some(true),
            _ => match exit_code(status) {
                Some(0) => {}
                Some(code) if !spec::restarts(pod, &spec, code) => return Some("Failed"),
                // It runs or will run again.
                _ => pending |= !begun,
            },
        }
    }
    pending.then_some("Pending")
}

fn main_phase(pod: &Pod, observed: &Observed, main: &[ContainerStatus]) -> &'static str {
    let (mut unknown, mut running, mut waiting, mut stopped, mut failed, mut again) = (0, 0, 0, 0, 0, 0);
    for spec in spec::main(pod) {
        let Some(status) = main.iter().find(|s| s.name == spec.name()) else {
            unknown += 1;
            continue;
        };
        if status.state.as_ref().is_some_and(|s| s.running.is_some()) {
            running += 1;
            continue;
        }
        match exit_code(status) {
            Some(code) => {
                stopped += 1;
                failed += i32::from(code != 0);
                again += i32::from(spec::restarts(pod, &spec, code));
            }
            None => waiting += 1,
        }
    }
    let ending = pod.metadata.deletion_timestamp.is_some() && observed.alive().next().is_none();
    match () {
        () if waiting > 0 => "Pending",
        () if running > 0 && unknown == 0 => "Running",
        () if stopped > 0 && unknown == 0 => match (ending, again) {
            (false, 1..) => "Running",
            _ if failed > 0 => "Failed",
            _ => "Succeeded",
        },
        () => "Pending",
    }
}

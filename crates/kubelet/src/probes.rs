//! Startup, liveness and readiness of running containers. Start at [`Probes::of`].
//!
//! Each probed container has one task that runs its probes; what they find is in a [`ProbeState`] that the pod's worker reads.

mod grpc;
pub mod http;
mod prober;
pub mod target;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use cri::ContainerStatus;
use k8s_openapi::api::core::v1::Pod;
use stdx::Tasks;
use tokio::sync::Notify;

use crate::context::Context;
use crate::observed::ProbeState;
use crate::spec::Spec;

/// The probes of one pod's containers.
pub struct Probes {
    context: Arc<Context>,
    running: BTreeMap<String, Running>,
    changed: Arc<Notify>,
}

struct Running {
    state: Arc<Mutex<ProbeState>>,
    tasks: Tasks,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tasks.signal();
    }
}

impl Probes {
    pub fn new(context: Arc<Context>) -> Self {
        Probes { context, running: BTreeMap::new(), changed: Arc::new(Notify::new()) }
    }

    /// Completes when a state has changed.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Ends the probes of containers that are not in `ids`.
    pub fn keep(&mut self, ids: &[&str]) {
        self.running.retain(|id, _| ids.contains(&id.as_str()));
    }

    /// A running container's state; its probes begin if they do not run yet. Of a pod that ends only readiness matters.
    pub fn of(
        &mut self,
        pod: &Arc<Pod>,
        spec: &Spec<'_>,
        container: &ContainerStatus,
        ips: &[String],
        ending: bool,
    ) -> ProbeState {
        let own = &spec.container;
        if own.startup_probe.is_none() && own.liveness_probe.is_none() && own.readiness_probe.is_none() {
            return ProbeState { started: true, ready: true, unhealthy: None };
        }
        let id = &container.container.id;
        if !self.running.contains_key(id) {
            let running = self.begin(pod, spec, container, ips);
            self.running.insert(id.clone(), running);
        }
        let state =
            self.running.get(id).map(|r| r.state.lock().unwrap_or_else(PoisonError::into_inner).clone());
        let mut state = state.unwrap_or_default();
        if ending {
            state.unhealthy = None;
        }
        state
    }

    fn begin(&self, pod: &Arc<Pod>, spec: &Spec<'_>, container: &ContainerStatus, ips: &[String]) -> Running {
        let state = Arc::new(Mutex::new(initial(pod, spec, container)));
        let tasks = self.context.tasks.child();
        let prober = prober::Prober {
            context: self.context.clone(),
            pod: pod.clone(),
            role: spec.role,
            container: spec.container.clone().into_owned(),
            id: container.container.id.clone(),
            started_at: container.started_at,
            ips: ips.to_vec(),
            state: state.clone(),
            changed: self.changed.clone(),
        };
        tasks.spawn_until_shutdown(prober.run());
        Running { state, tasks }
    }
}

/// What is known before the first probe: of a container that ran before we did, what its status says.
fn initial(pod: &Pod, spec: &Spec<'_>, container: &ContainerStatus) -> ProbeState {
    let status = pod.status.as_ref();
    let lists = status.map(|s| [&s.init_container_statuses, &s.container_statuses]);
    let known = lists.into_iter().flatten().flatten().flatten().find(|s| {
        let id = s.container_id.as_deref().and_then(|id| id.split_once("://"));
        id.is_some_and(|(_, id)| id == container.container.id)
    });
    let adopted = known.is_some_and(|s| s.started == Some(true));
    ProbeState {
        started: spec.container.startup_probe.is_none() || adopted,
        ready: spec.container.readiness_probe.is_none() || (adopted && known.is_some_and(|s| s.ready)),
        unhealthy: None,
    }
}

#[cfg(test)]
mod tests;

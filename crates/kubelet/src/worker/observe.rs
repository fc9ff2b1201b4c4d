//! Reading what the runtime has of the pod.

use cri::{ContainerState, Error};

use super::Worker;
use crate::observed::ProbeState;
use crate::spec;

impl Worker {
    /// Fills `observed` anew. Ended containers do not change and are not asked for again.
    pub(super) async fn observe(&mut self) -> cri::Result<()> {
        let ids = self.mailbox.ids();
        let mut sandboxes = Vec::with_capacity(ids.sandboxes.len());
        for id in &ids.sandboxes {
            match self.context.runtime.pod_sandbox_status(id).await {
                Ok(status) => sandboxes.push(status),
                Err(Error::NotFound(_)) => self.forget(|ids| ids.sandboxes.remove(id)),
                Err(e) => return Err(e),
            }
        }
        let mut containers = Vec::with_capacity(ids.containers.len());
        for id in &ids.containers {
            let known = self.observed.containers.iter().find(|c| c.container.id == *id).cloned();
            let ended = known.filter(|c| c.container.state == ContainerState::Exited);
            let status = match ended {
                Some(ended) => Ok(ended),
                None => self.context.runtime.container_status(id).await,
            };
            match status {
                Ok(status) => containers.push(status),
                Err(Error::NotFound(_)) => {
                    self.forget(|ids| ids.containers.remove(id));
                    self.context.forget_messages(id);
                }
                Err(e) => return Err(e),
            }
        }
        sandboxes.sort_by_key(|s| std::cmp::Reverse((s.sandbox.created_at, s.sandbox.metadata.attempt)));
        containers.sort_by_key(|c| std::cmp::Reverse((c.container.created_at, c.container.metadata.attempt)));
        // A kill is over when the container is: the job's own end may come later.
        self.observed
            .work
            .killing
            .retain(|id, _| containers.iter().any(|c| c.container.id == *id && crate::observed::is_alive(c)));
        self.observed.sandboxes = sandboxes;
        self.observed.containers = containers;
        self.watch_probes();
        Ok(())
    }

    fn forget(&self, what: impl FnOnce(&mut crate::workers::Ids) -> bool) {
        let mut ids = self.mailbox.ids.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        what(&mut ids);
    }

    /// Probes follow the running containers; their findings go into `observed`.
    fn watch_probes(&mut self) {
        let running: Vec<_> = self
            .observed
            .containers
            .iter()
            .filter(|c| c.container.state == ContainerState::Running)
            // It has not started while its postStart hook runs.
            .filter(|c| self.observed.work.starting.as_deref() != Some(&c.container.metadata.name))
            .collect();
        let ips = self.pod_ips();
        self.probes.keep(&running.iter().map(|c| c.container.id.as_str()).collect::<Vec<_>>());
        let ending = self.observed.gone || self.pod.metadata.deletion_timestamp.is_some();
        let mut states = std::collections::BTreeMap::new();
        for container in running {
            let id = &container.container.id;
            let state = match spec::find(&self.pod, &container.container.metadata.name) {
                Some(spec) => self.probes.of(&self.pod, &spec, container, &ips, ending),
                None => ProbeState { started: true, ready: false, unhealthy: None },
            };
            states.insert(id.clone(), state);
        }
        self.observed.probes = states;
    }

    /// The addresses of the sandbox, or the node's in its own network.
    pub(super) fn pod_ips(&self) -> Vec<String> {
        if spec::host_network(&self.pod) {
            return self.context.facts.ips.clone();
        }
        let sandbox = self.observed.sandbox();
        sandbox.map(|s| s.ips.iter().map(ToString::to_string).collect()).unwrap_or_default()
    }
}

//! Resizing in place: from what is wanted to what is given ([`crate::allocation`]), and from there into cgroups.

use std::sync::Arc;
use std::time::Duration;

use client::EventType;
use codec::Kind as _;
use futures::FutureExt as _;
use k8s_openapi::api::core::v1::Pod;
use resources::core::pod::ContainerExt;
use serde_json::json;

use super::Worker;
use super::jobs::Done;
use crate::admit::NodeCapacity;
use crate::amounts;
use crate::context::Context;
use crate::observed::is_alive;
use crate::podconfig::resources::container_resources;
use crate::spec;

/// What could not be set is tried again.
const RETRY: Duration = Duration::from_secs(5);

impl Worker {
    /// Gives the pod what its spec asks for, if the node has it; notes why not.
    pub(super) fn allocate(&mut self) {
        let node = NodeCapacity { allocatable: &self.context.allocatable, max_pods: self.context.max_pods };
        let begun = self.observed.work.prepared && self.observed.rejected.is_none();
        let pending = match self.context.allocations.resize(&self.wanted, &node) {
            Ok(false) => None,
            Ok(true) => {
                if let Err(e) = self.context.allocations.save(&self.uid) {
                    tracing::warn!(pod = self.pod.name(), "cannot write down what a pod was given: {e}");
                }
                self.pod = self.context.allocations.effective(self.wanted.clone());
                if begun {
                    self.observed.resize.stale = true;
                    self.observed.resize.failure = None;
                    self.resize_event(EventType::Normal, "ResizeStarted", "Pod resize started");
                }
                None
            }
            Err(pending) => Some(pending),
        };
        if let Some(pending) = pending.as_ref().filter(|p| Some(*p) != self.observed.resize.pending.as_ref())
        {
            let message = format!("Pod resize {}: {}", pending.reason, pending.message);
            let reason = format!("Resize{}", pending.reason);
            self.context.pod_event(&self.pod, EventType::Warning, &reason, message);
        }
        self.observed.resize.pending = pending;
    }

    fn resize_event(&self, kind: EventType, reason: &str, text: &str) {
        let containers: Vec<_> = spec::init(&self.pod)
            .chain(spec::main(&self.pod))
            .filter_map(|s| {
                let resources = s.container.resources.as_ref()?;
                let list = |map: &Option<amounts::QuantityMap>| {
                    let all = map.iter().flatten();
                    all.map(|(name, q)| (name.clone(), json!(q.0))).collect::<serde_json::Map<_, _>>()
                };
                let (limits, requests) = (list(&resources.limits), list(&resources.requests));
                Some(json!({"name": s.name(), "resources": {"limits": limits, "requests": requests}}))
            })
            .collect();
        let told = json!({"containers": containers, "generation": self.pod.metadata.generation});
        self.context.pod_event(&self.pod, kind, reason, format!("{text}: {told}"));
    }

    /// Into the cgroups of the pod and of these containers.
    pub(super) fn resize(&mut self, names: Vec<String>) {
        self.observed.work.resizing = true;
        let (context, pod) = (self.context.clone(), self.pod.clone());
        let ids: Vec<(String, String)> = names
            .iter()
            .filter_map(|name| {
                let container = self.observed.latest(name).filter(|c| is_alive(c))?;
                Some((name.clone(), container.container.id.clone()))
            })
            .collect();
        self.jobs.push(async move { Done::Resized(write(&context, &pod, &ids).await, pod, names) }.boxed());
    }

    pub(super) fn resized(&mut self, result: Result<(), String>, pod: &Arc<Pod>, names: &[String]) {
        self.observed.work.resizing = false;
        if let Err(e) = result {
            tracing::warn!(pod = self.pod.name(), "cannot resize a pod: {e}");
            self.observed.resize.retry_at = Some(self.later(RETRY));
            self.observed.resize.failure = Some(e);
            return;
        }
        for name in names {
            self.note_actuated(pod, name);
        }
        self.observed.resize.failure = None;
        self.observed.resize.retry_at = None;
        // Changed again meanwhile: then once more.
        self.observed.resize.stale = spec::of(pod) != spec::of(&self.pod);
    }

    /// A container runs with what `pod` gives it.
    pub(super) fn note_actuated(&mut self, pod: &Pod, name: &str) {
        let Some(spec) = spec::find(pod, name) else { return };
        let resources = spec.container.resources.clone().unwrap_or_default();
        self.observed.resize.actuated.insert(name.to_owned(), resources);
        if let Err(e) = self.context.allocations.save_actuated(&self.uid, &self.observed.resize.actuated) {
            tracing::warn!(pod = pod.name(), "cannot write down what a container runs with: {e}");
        }
    }

    /// One event when nothing is left to do.
    pub(super) fn tell_resized(&mut self) {
        let under_way = crate::status::resizing(&self.pod, &self.observed);
        if std::mem::replace(&mut self.resizing, under_way) && !under_way {
            self.resize_event(EventType::Normal, "ResizeCompleted", "Pod resize completed");
        }
    }
}

/// The pod's own limits are lifted while its containers' change, so that neither is ever above the other; each container's
/// hold meanwhile.
async fn write(context: &Context, pod: &Pod, containers: &[(String, String)]) -> Result<(), String> {
    for (name, id) in containers {
        check_memory(context, pod, name, id).await?;
    }
    context.cgroups.lift_pod(amounts::qos(pod), pod.uid()).map_err(|e| e.to_string())?;
    for (name, id) in containers {
        let Some(spec) = spec::find(pod, name) else { continue };
        let mut resources = container_resources(pod, &spec.container, context.machine);
        if resources.cpu_quota == 0 {
            // 0 would leave it as it is.
            resources.cpu_quota = -1;
        }
        let done = context.runtime.update_container_resources(id, &resources).await;
        done.map_err(|e| format!("failed to resize container {name:?}: {e}"))?;
    }
    context.cgroups.create_pod(pod, pod.uid()).map_err(|e| e.to_string())
}

/// With a limit below what it uses a container would be killed.
async fn check_memory(context: &Context, pod: &Pod, name: &str, id: &str) -> Result<(), String> {
    let Some(spec) = spec::find(pod, name) else { return Ok(()) };
    let limit = u64::try_from(spec.container.limits().memory()).unwrap_or(0);
    if limit == 0 {
        return Ok(());
    }
    let stats = context.runtime.container_stats(id).await.map_err(|e| e.to_string())?;
    if stats.memory_working_set_bytes > limit {
        let used = stats.memory_working_set_bytes;
        return Err(format!(
            "attempting to set memory limit ({limit}) below current usage ({used}) of {name}"
        ));
    }
    Ok(())
}

//! Horizontal pod autoscalers: as many pods as what is measured of them asks for. Start at [`plan::decide`] (pure), then
//! [`Controller`] (who measures and scales, when).
//!
//! Everything goes over the API: sizes over the scale subresource, measurements over metrics.k8s.io, custom.metrics.k8s.io
//! and external.metrics.k8s.io, whoever serves them. What was recommended and done lately is remembered here only; a
//! restart forgets it, as upstream does.

mod memory;
mod metrics;
mod plan;
mod proposal;
mod ratio;
mod status;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::anyhow;
use apimachinery::{Gvr, ObjectKey, Selector};
use client::api::raw;
use client::transport::{Change, Request, Transport, Verb};
use client::{Api, EventRecorder, Informer, Requeue};
use codec::Kind;
use k8s_openapi::api::autoscaling::v1::Scale;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Pod;
use resources::owner::ObjectMetaExt;
use stdx::clock::SharedClock;

use crate::context::{Component, Served, object, synced};
use memory::Memory;
use metrics::Meter;
use plan::{Decision, Size};
use status::Draft;

const WORKERS: usize = 5;
/// Measurements are looked at this often: nothing says when they change.
const PERIOD: Duration = Duration::from_secs(15);

struct Controller {
    scalers: Informer<HorizontalPodAutoscaler>,
    pods: Informer<Pod>,
    api: Api<HorizontalPodAutoscaler>,
    transport: Arc<dyn Transport>,
    meter: Meter,
    events: EventRecorder,
    clock: SharedClock,
    served: Vec<Served>,
    known: Mutex<BTreeMap<ObjectKey, Known>>,
}

/// What is remembered of an autoscaler.
#[derive(Default)]
struct Known {
    memory: Memory,
    /// Which pods it scales, once that was seen.
    selector: Option<Selector>,
}

pub fn start(component: Component) {
    let controller = Arc::new(Controller {
        scalers: component.informer(),
        pods: component.informer(),
        api: component.api(),
        transport: component.transport.clone(),
        meter: Meter::new(component.transport.clone(), component.config.resources.clone()),
        events: component.recorder("horizontal-pod-autoscaler"),
        clock: component.clock.clone(),
        served: component.config.resources.clone(),
        known: Mutex::default(),
    });
    let queue = component.queue::<ObjectKey>();
    let wakes = queue.clone();
    component.on(&controller.scalers, move |change| {
        if let Some(scaler) = object(change).filter(|_| matters(change)) {
            wakes.add(scaler.key.clone());
        }
    });
    let wait = vec![synced(&controller.scalers), synced(&controller.pods)];
    component.run(wait, &queue, WORKERS, move |key| {
        let controller = controller.clone();
        async move { controller.reconcile(&key).await }
    });
}

/// Not what this controller writes itself: its own status would wake it for ever.
fn matters(change: &Change) -> bool {
    let spec = |object: &Option<Arc<cache::Object>>| object.as_ref().map(|o| o.meta.generation);
    spec(&change.old) != spec(&change.new)
}

/// Something that can be scaled, and its size now.
struct Target {
    gvr: Gvr,
    scale: Scale,
}

impl Target {
    fn size(&self) -> Size {
        Size {
            wanted: self.scale.spec.as_ref().and_then(|s| s.replicas).unwrap_or(0),
            present: self.scale.status.as_ref().map_or(0, |s| s.replicas),
        }
    }
}

impl Controller {
    fn known(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, Known>> {
        // No code under the lock can leave the map half-changed.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn reconcile(&self, key: &ObjectKey) -> anyhow::Result<Requeue> {
        let Some(scaler) = self.scalers.get(key).filter(|s| !s.metadata.is_deleting()) else {
            self.known().remove(key);
            return Ok(Requeue::Never);
        };
        let mut draft = Draft::new(&scaler, self.clock.now());
        let outcome = self.look(key, &scaler, &mut draft).await;
        for event in &draft.events {
            match event.normal {
                true => self.events.normal(&scaler, event.reason, event.message.clone()),
                false => self.events.warning(&scaler, event.reason, event.message.clone()),
            }
        }
        crate::status::write(&self.api, &scaler, |s| s.status = Some(draft.status.clone())).await?;
        if let Err(error) = outcome {
            // Told in conditions and events already; it is looked at again in a while whatever it was.
            tracing::debug!(autoscaler = %key, "{error:#}");
        }
        Ok(Requeue::After(PERIOD))
    }

    async fn look(
        &self,
        key: &ObjectKey,
        scaler: &HorizontalPodAutoscaler,
        draft: &mut Draft,
    ) -> anyhow::Result<()> {
        let target = match self.target(scaler).await {
            Ok(target) => target,
            Err(error) => {
                draft.unreachable(&error);
                return Err(anyhow!(error));
            }
        };
        draft.reachable();
        let size = target.size();
        let mut memory = self.known().get(key).map(|known| known.memory.clone()).unwrap_or_default();
        memory.begin(size.wanted, draft.now);
        let decision = match plan::bounds(scaler, size.wanted) {
            Some(decision) => plan::without_metrics(decision, draft),
            None => self.measure(key, scaler, &target, &mut memory, draft).await,
        };
        let decision = decision.inspect_err(|_| draft.counted(size.wanted));
        let done = match decision {
            Ok(decision) => self.act(scaler, target, decision, &mut memory, draft).await,
            Err(error) => Err(anyhow!(error)),
        };
        self.known().entry(key.clone()).or_default().memory = memory;
        done
    }

    /// What the autoscaler scales. The error is upstream's text.
    async fn target(&self, scaler: &HorizontalPodAutoscaler) -> Result<Target, String> {
        let reference = &scaler.spec.scale_target_ref;
        let group = metrics::group(reference.api_version.as_deref().unwrap_or_default())?;
        let served = self.served.iter().find(|s| s.kind == reference.kind && *s.gvr.group == *group);
        let Some(served) = served else {
            return Err(metrics::no_kind(&reference.kind, group));
        };
        let request = Request {
            subresource: "scale".into(),
            ..raw::request(Verb::Get, &served.gvr, scaler.namespace(), &reference.name)
        };
        let json = self.transport.send(request).await.map_err(|status| status.message)?;
        let scale = client::api::decode(&json).map_err(|status| status.message)?;
        Ok(Target { gvr: served.gvr.clone(), scale })
    }

    /// Measures, and decides by what was measured.
    async fn measure(
        &self,
        key: &ObjectKey,
        scaler: &HorizontalPodAutoscaler,
        target: &Target,
        memory: &mut Memory,
        draft: &mut Draft,
    ) -> Result<Decision, String> {
        let text = target.scale.status.as_ref().and_then(|s| s.selector.as_deref()).unwrap_or_default();
        let selector = draft.selector(text)?;
        self.known().entry(key.clone()).or_default().selector = Some(selector.clone());
        let pods = self.pods.list_where(&key.namespace, |meta| selector.matches(meta));
        draft.unambiguous(text, &self.selecting(&key.namespace, &pods))?;
        let metrics = scaler.spec.metrics.as_deref().unwrap_or_default();
        let mut readings = Vec::with_capacity(metrics.len());
        for metric in metrics {
            readings.push(self.meter.read(metric, &key.namespace, text).await);
        }
        let seen = plan::Seen { size: target.size(), pods: &pods, readings: &readings };
        plan::decide(scaler, &seen, memory, draft)
    }

    /// The autoscalers that scale any of `pods`, sorted.
    fn selecting(&self, namespace: &str, pods: &[Pod]) -> Vec<ObjectKey> {
        let known = self.known();
        let here = known.iter().filter(|(key, _)| &*key.namespace == namespace);
        let selects = |known: &Known| {
            known.selector.as_ref().is_some_and(|s| pods.iter().any(|pod| s.matches(&labels(pod))))
        };
        here.filter(|(_, known)| selects(known)).map(|(key, _)| key.clone()).collect()
    }

    async fn act(
        &self,
        scaler: &HorizontalPodAutoscaler,
        target: Target,
        decision: Decision,
        memory: &mut Memory,
        draft: &mut Draft,
    ) -> anyhow::Result<()> {
        let now = target.size().wanted;
        let Some(to) = decision.scale_to else {
            draft.settled(now, now, decision.statuses);
            return decision.partly.map_or(Ok(()), |error| Err(anyhow!(error)));
        };
        if let Err(error) = self.scale(scaler.namespace(), target, to).await {
            draft.not_scaled(now, to, &decision.reason, &error);
            return Err(anyhow!("failed to rescale: {error}"));
        }
        memory.scaled(scaler.spec.behavior.as_ref(), now, to, draft.now);
        draft.scaled(now, to, &decision.reason, decision.statuses);
        decision.partly.map_or(Ok(()), |error| Err(anyhow!(error)))
    }

    async fn scale(&self, namespace: &str, target: Target, to: i32) -> Result<(), String> {
        let Target { gvr, mut scale } = target;
        scale.spec.get_or_insert_default().replicas = Some(to);
        let request = Request {
            subresource: "scale".into(),
            body: scale.to_json().into(),
            ..raw::request(Verb::Update, &gvr, namespace, scale.name())
        };
        self.transport.send(request).await.map(drop).map_err(|status| status.message)
    }
}

fn labels(pod: &Pod) -> BTreeMap<String, String> {
    pod.metadata.labels.clone().unwrap_or_default()
}

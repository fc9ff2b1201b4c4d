//! The deletion of namespaces: all content first, then the namespace lets go. Start at [`Deleter::reconcile`].

pub mod bootstrap;
mod content;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use apimachinery::{ObjectKey, Status};
use client::queue::Backoff;
use client::transport::Transport;
use client::{Api, Informer, Requeue, WorkQueue};
use codec::Kind;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use resources::core::namespace::{FINALIZER, set_condition};
use resources::owner::ObjectMetaExt;
use stdx::clock::SharedClock;

use crate::context::{Component, Config, object, synced};
use content::Content;

const WORKERS: usize = 10;
/// Between looks at content that goes away by itself.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(50),
    max: Duration::from_secs(10),
    per_second: 50.0,
    burst: 200.0,
};

struct Deleter {
    namespaces: Informer<Namespace>,
    api: Api<Namespace>,
    transport: Arc<dyn Transport>,
    config: Arc<Config>,
    clock: SharedClock,
}

pub fn start(component: Component) {
    let deleter = Arc::new(Deleter {
        namespaces: component.informer(),
        api: component.api(),
        transport: component.transport.clone(),
        config: component.config.clone(),
        clock: component.clock.clone(),
    });
    let queue = WorkQueue::with_backoff(component.clock.clone(), BACKOFF);
    let woken = queue.clone();
    component.on(&deleter.namespaces, move |change| {
        if let Some(namespace) = object(change).filter(|n| n.meta.deleting) {
            woken.add(namespace.key.clone());
        }
    });
    // Pods take longest to go; the last one's end is worth waking up for.
    let pods = component.informer::<Pod>();
    let woken = queue.clone();
    component.on(&pods, move |change| {
        if let (Some(pod), None) = (&change.old, &change.new) {
            woken.add(ObjectKey::cluster(&pod.key.namespace));
        }
    });
    component.run(vec![synced(&deleter.namespaces)], &queue, WORKERS, move |key| {
        let deleter = deleter.clone();
        async move { deleter.reconcile(&key).await }
    });
}

impl Deleter {
    async fn reconcile(&self, key: &ObjectKey) -> anyhow::Result<Requeue> {
        if self.namespaces.object(key).is_none_or(|n| !n.meta.deleting) {
            return Ok(Requeue::Never);
        }
        let Some(namespace) = self.api.find(key).await? else { return Ok(Requeue::Never) };
        if !namespace.metadata.is_deleting() || !waits_for_content(&namespace) {
            return Ok(Requeue::Never);
        }
        let content = content::delete_all(&*self.transport, &self.config.resources, namespace.name()).await;
        let namespace = self.write_status(namespace, &content).await.context("update namespace status")?;
        if let Some(error) = content.failures.first() {
            anyhow::bail!("delete content: {error}");
        }
        if !content.is_empty() {
            return Ok(Requeue::RateLimited);
        }
        match self.api.update_part(&finalized(namespace), "finalize").await {
            Err(e) if e.is_not_found() => Ok(Requeue::Never),
            result => result.map(|_| Requeue::Never).context("finalize namespace"),
        }
    }

    async fn write_status(&self, namespace: Namespace, content: &Content) -> Result<Namespace, Status> {
        let mut new = namespace.clone();
        let status = new.status.get_or_insert_default();
        status.phase = Some("Terminating".into());
        let now = self.clock.now();
        for condition in content.conditions() {
            set_condition(status, condition, now);
        }
        if new.status == namespace.status {
            return Ok(namespace);
        }
        self.api.update_status(&new).await
    }
}

fn waits_for_content(namespace: &Namespace) -> bool {
    namespace.spec.iter().flat_map(|s| s.finalizers.iter().flatten()).any(|f| f == FINALIZER)
}

fn finalized(mut namespace: Namespace) -> Namespace {
    let spec = namespace.spec.get_or_insert_default();
    spec.finalizers.get_or_insert_default().retain(|f| f != FINALIZER);
    namespace
}

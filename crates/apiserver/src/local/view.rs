//! The server's own cache as a component sees it: no copy, and only while the component may list and watch.

use std::sync::{Arc, Mutex, PoisonError};

use apimachinery::{Gvr, ObjectKey};
use async_trait::async_trait;
use auth::{Attributes, Authorizer, Decision};
use cache::{Cache, Filter, Object, Snapshot};
use client::transport::{Change, View, ViewScope};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use registry::Registry;
use tokio::sync::watch;

/// A part of one resource's cache.
pub struct CacheView {
    /// `None`: the resource is not served; such a view is never complete.
    source: Option<(Arc<Cache>, Filter)>,
    gate: Arc<Gate>,
}

/// Whether the component may still see the view.
#[derive(Clone)]
enum Pass {
    /// Not asked yet, or never allowed.
    Never,
    Open,
    /// No longer allowed: what it knew then is all it knows, as with a remote informer.
    Closed(Snapshot),
}

/// Asked again when roles change.
pub struct Gate {
    questions: Vec<Attributes>,
    cache: Option<Arc<Cache>>,
    pass: watch::Sender<Pass>,
    /// The reason last logged, so that it is logged once.
    refused: Mutex<Option<String>>,
}

impl Gate {
    /// Open only after [`Gate::check`]; without questions at once.
    fn new(questions: Vec<Attributes>, cache: Option<Arc<Cache>>) -> Arc<Self> {
        let pass = if questions.is_empty() { Pass::Open } else { Pass::Never };
        Arc::new(Gate { questions, cache, pass: watch::Sender::new(pass), refused: Mutex::new(None) })
    }

    /// Asks whether the component may still list and watch.
    pub async fn check(&self, authorizer: &dyn Authorizer) {
        let mut refusal = None;
        for question in &self.questions {
            if let Decision::Deny(_) | Decision::NoOpinion(_) = authorizer.authorize(question).await {
                refusal = Some(auth::authz::denial(question));
                break;
            }
        }
        self.log(&refusal);
        self.pass.send_if_modified(|pass| match (&*pass, refusal.is_none()) {
            (Pass::Open, false) => {
                *pass = self.cache.as_ref().map_or(Pass::Never, |cache| Pass::Closed(cache.snapshot()));
                true
            }
            (Pass::Never | Pass::Closed(_), true) => {
                *pass = Pass::Open;
                true
            }
            (Pass::Open, true) | (Pass::Never | Pass::Closed(_), false) => false,
        });
    }

    fn log(&self, refusal: &Option<String>) {
        let mut last = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        match refusal {
            Some(why) if last.as_ref() != Some(why) => tracing::error!("cannot list and watch: {why}"),
            None if last.is_some() => tracing::info!("may list and watch again"),
            _ => {}
        }
        last.clone_from(refusal);
    }

    async fn opened(&self) {
        // The sender is ours: it cannot be gone.
        let _ = self.pass.subscribe().wait_for(|pass| matches!(pass, Pass::Open)).await;
    }

    async fn closed(&self) {
        let _ = self.pass.subscribe().wait_for(|pass| !matches!(pass, Pass::Open)).await;
    }
}

impl CacheView {
    /// `questions` must all be allowed for the view to be seen.
    pub fn new(registry: &Registry, gvr: &Gvr, scope: &ViewScope, questions: Vec<Attributes>) -> Self {
        let source = match registry.view(gvr, &scope.namespace, &scope.label_selector, &scope.field_selector)
        {
            Ok(source) => Some(source),
            Err(status) => {
                tracing::error!(resource = %gvr.group_resource(), %status, "cannot be viewed");
                None
            }
        };
        let gate = Gate::new(questions, source.as_ref().map(|(cache, _)| cache.clone()));
        CacheView { source, gate }
    }

    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// What may be seen now.
    fn snapshot(&self) -> Option<Snapshot> {
        let (cache, _) = self.source.as_ref()?;
        match &*self.gate.pass.borrow() {
            Pass::Never => None,
            Pass::Open => Some(cache.snapshot()),
            Pass::Closed(snapshot) => Some(snapshot.clone()),
        }
    }

    fn wanted(&self, object: &Object) -> bool {
        self.source.as_ref().is_some_and(|(_, filter)| filter.matches(object))
    }
}

#[async_trait]
impl View for CacheView {
    async fn synced(&self) {
        if self.source.is_none() {
            return std::future::pending().await;
        }
        self.gate.opened().await;
    }

    fn is_synced(&self) -> bool {
        self.source.is_some() && !matches!(*self.gate.pass.borrow(), Pass::Never)
    }

    fn get(&self, key: &ObjectKey) -> Option<Arc<Object>> {
        self.snapshot()?.get(key).filter(|o| self.wanted(o)).cloned()
    }

    fn list(&self, namespace: &str) -> Vec<Arc<Object>> {
        let Some(snapshot) = self.snapshot() else { return Vec::new() };
        let namespace = (!namespace.is_empty()).then_some(namespace);
        snapshot.iter(namespace, None).filter(|o| self.wanted(o)).cloned().collect()
    }

    fn by_index(&self, index: &str, value: &str) -> Vec<Arc<Object>> {
        let Some(snapshot) = self.snapshot() else { return Vec::new() };
        snapshot.by_index(index, value).into_iter().filter(|o| self.wanted(o)).collect()
    }

    fn subscribe(&self) -> BoxStream<'static, Change> {
        let Some((cache, filter)) = self.source.clone() else {
            return futures::stream::pending().boxed();
        };
        let reader = (cache.subscribe(filter), self.gate.clone());
        futures::stream::unfold(reader, |(mut subscription, gate)| async move {
            loop {
                gate.opened().await;
                tokio::select! {
                    biased;
                    () = gate.closed() => {}
                    change = subscription.next() => {
                        let change = Change { old: change.old, new: change.new };
                        return Some((change, (subscription, gate)));
                    }
                }
            }
        })
        .boxed()
    }
}

//! The garbage collector: what all owners of an object have left behind goes too. Start at [`graph::Graph`] (who belongs to whom),
//! then [`Collector::reconcile`].
//!
//! Knows objects by metadata alone, and of those only such as have owners. A change of any resource may hand uids to the queue:
//! a dependent to judge, or an owner that waits for its dependents.

pub mod graph;
mod judge;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use apimachinery::meta::Owner;
use apimachinery::{ObjectKey, Status};
use client::api::raw;
use client::transport::{Transport, View, ViewScope};
use client::{DeleteOptions, PatchType, Propagation, Requeue, WorkQueue};
use futures::StreamExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::context::{Component, Served};
use graph::{Graph, Place};
use judge::{Owners, Verdict};

const WORKERS: usize = 20;

pub(crate) const FOREGROUND: &str = "foregroundDeletion";
pub(crate) const ORPHAN: &str = "orphan";

/// A uid, and why to look at it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    /// It has owners: are they still there?
    Judge(Arc<str>),
    /// It is being deleted and waits for the dependents that block it.
    Foreground(Arc<str>),
    /// It is being deleted and lets its dependents go free.
    Orphan(Arc<str>),
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Work::Judge(uid) => write!(f, "dependent {uid}"),
            Work::Foreground(uid) => write!(f, "foreground {uid}"),
            Work::Orphan(uid) => write!(f, "orphan {uid}"),
        }
    }
}

struct Collector {
    transport: Arc<dyn Transport>,
    /// One for each resource that takes part, in the order of `served`.
    views: Vec<Arc<dyn View>>,
    served: Vec<Served>,
    by_kind: HashMap<(String, String), usize>,
    graph: Mutex<Graph>,
    queue: WorkQueue<Work>,
}

pub fn start(component: Component) {
    // Events are many, short-lived and nobody's property.
    let takes_part = |r: &&Served| {
        ["delete", "list", "watch", "patch", "get"].iter().all(|verb| r.can(verb))
            && *r.gvr.resource != *"events"
    };
    let served: Vec<_> = component.config.resources.iter().filter(takes_part).cloned().collect();
    let views = served.iter().map(|r| component.views.reflect(&r.gvr, &ViewScope::default())).collect();
    let kind = |r: &Served| {
        let group = if r.gvr.group.is_empty() { String::new() } else { format!("{}/", r.gvr.group) };
        (format!("{group}{}", r.gvr.version), r.kind.clone())
    };
    let collector = Arc::new(Collector {
        transport: component.transport.clone(),
        views,
        by_kind: served.iter().enumerate().map(|(i, r)| (kind(r), i)).collect(),
        served,
        graph: Mutex::default(),
        queue: component.queue(),
    });
    for (resource, view) in collector.views.iter().enumerate() {
        let (collector, mut changes) = (collector.clone(), view.subscribe());
        component.tasks.spawn_until_shutdown(async move {
            while let Some(change) = changes.next().await {
                let work = collector.graph().observe(resource, &change);
                work.into_iter().for_each(|work| collector.queue.add(work));
            }
        });
    }
    let wait = collector.views.iter().map(|view| synced(view.clone())).collect();
    let queue = collector.queue.clone();
    component.run(wait, &queue, WORKERS, move |work| {
        let collector = collector.clone();
        async move { collector.reconcile(work).await }
    });
}

fn synced(view: Arc<dyn View>) -> BoxFuture<'static, ()> {
    Box::pin(async move { view.synced().await })
}

impl Collector {
    fn graph(&self) -> MutexGuard<'_, Graph> {
        self.graph.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn reconcile(&self, work: Work) -> anyhow::Result<Requeue> {
        match work {
            Work::Judge(uid) => self.judge(&uid).await.context("judge a dependent"),
            Work::Foreground(uid) => self.foreground(&uid).await.context("delete in the foreground"),
            Work::Orphan(uid) => self.orphan(&uid).await.context("orphan dependents"),
        }
    }

    /// Deletes a dependent that no owner keeps, or takes away the references that keep nothing.
    async fn judge(&self, uid: &str) -> anyhow::Result<Requeue> {
        let Some(place) = self.graph().place(uid) else { return Ok(Requeue::Never) };
        // Most are judged at start, when all is well, and from views alone.
        if place.owners.iter().all(|owner| self.in_view(&place, owner) == Some(Standing::Keeps)) {
            return Ok(Requeue::Never);
        }
        let Some(meta) = self.live(&place, uid).await? else { return Ok(Requeue::Never) };
        if !meta["deletionTimestamp"].is_null() {
            if has_finalizer(&meta, FOREGROUND) {
                self.queue.add(Work::Foreground(uid.into()));
            }
            return Ok(Requeue::Never);
        }
        let owners = self.owners(&place, &meta).await?;
        let has_dependents = self.graph().has_dependents(uid);
        match judge::judge(&owners, has_dependents, &meta) {
            Verdict::Keep => {}
            Verdict::Forget(owners) => {
                let gone: Vec<_> = owners.iter().map(|uid| json!({"$patch": "delete", "uid": uid})).collect();
                let patch = json!({"metadata": {"uid": uid, "ownerReferences": gone}});
                self.patch(&place, PatchType::Strategic, &patch).await?;
            }
            Verdict::Delete(propagation) => {
                if propagation == Propagation::Foreground {
                    self.unblock(uid, &place, &meta).await?;
                }
                self.delete(uid, &place, &meta, propagation).await?;
            }
        }
        Ok(Requeue::Never)
    }

    async fn delete(
        &self,
        uid: &str,
        place: &Place,
        meta: &Value,
        propagation: Propagation,
    ) -> Result<(), Status> {
        let options = DeleteOptions {
            uid: Some(uid.to_owned()),
            // Whoever gives it an owner meanwhile wins.
            resource_version: meta["resourceVersion"].as_str().map(str::to_owned),
            propagation: Some(propagation),
            ..DeleteOptions::default()
        };
        let gvr = &self.served[place.resource].gvr;
        match raw::delete(&*self.transport, gvr, &place.key.namespace, &place.key.name, &options).await {
            Err(e) if !e.is_not_found() => Err(e),
            _ => Ok(()),
        }
    }

    /// An object that waits for one of its own owners' other dependents could wait for ever in a circle: when a dependent of it is
    /// itself waiting, it stops blocking.
    async fn unblock(&self, uid: &str, place: &Place, meta: &Value) -> Result<(), Status> {
        let circle = {
            let graph = self.graph();
            graph.dependents(uid).iter().any(|(dependent, _)| graph.is_foreground(dependent))
        };
        let references = meta["ownerReferences"].as_array().cloned().unwrap_or_default();
        let blocking: Vec<_> = references.iter().filter(|r| r["blockOwnerDeletion"] == json!(true)).collect();
        if !circle || blocking.is_empty() {
            return Ok(());
        }
        let freed: Vec<_> =
            blocking.iter().map(|r| json!({"uid": r["uid"], "blockOwnerDeletion": false})).collect();
        let patch = json!({"metadata": {"uid": uid, "ownerReferences": freed}});
        self.patch(place, PatchType::Strategic, &patch).await
    }

    /// Sends the blocking dependents away; when none is left, the owner may go.
    async fn foreground(&self, uid: &str) -> anyhow::Result<Requeue> {
        let Some(place) = self.graph().waiting(uid) else { return Ok(Requeue::Never) };
        let mut blocked = false;
        for (_, dependent) in self.dependents(uid) {
            let blocks = |o: &Owner| *o.uid == *uid && o.block_owner_deletion;
            if dependent.meta.owners.iter().any(blocks) {
                blocked = true;
                self.queue.add(Work::Judge(dependent.meta.uid.clone()));
            }
        }
        if !blocked {
            self.let_go(&place, uid, FOREGROUND).await?;
        }
        Ok(Requeue::Never)
    }

    /// Takes the owner out of its dependents' references; then the owner may go.
    async fn orphan(&self, uid: &str) -> anyhow::Result<Requeue> {
        let Some(place) = self.graph().waiting(uid) else { return Ok(Requeue::Never) };
        for (resource, dependent) in self.dependents(uid) {
            let gone = [json!({"$patch": "delete", "uid": uid})];
            let patch = json!({"metadata": {"uid": &*dependent.meta.uid, "ownerReferences": gone}});
            let place = Place { resource, key: dependent.key.clone(), owners: Vec::new() };
            self.patch(&place, PatchType::Strategic, &patch).await?;
        }
        self.let_go(&place, uid, ORPHAN).await?;
        Ok(Requeue::Never)
    }

    /// By the views' own indexes: the graph may not have heard of all yet, and one that is overlooked would be deleted later.
    fn dependents(&self, uid: &str) -> Vec<(usize, Arc<cache::Object>)> {
        let of = |(resource, view): (usize, &Arc<dyn View>)| {
            view.by_index("owner", uid).into_iter().map(move |object| (resource, object)).collect::<Vec<_>>()
        };
        self.views.iter().enumerate().flat_map(of).collect()
    }

    /// Removes our finalizer.
    async fn let_go(&self, place: &Place, uid: &str, finalizer: &str) -> Result<(), Status> {
        let Some(meta) = self.live(place, uid).await? else { return Ok(()) };
        if !has_finalizer(&meta, finalizer) {
            return Ok(());
        }
        let finalizers = meta["finalizers"].as_array().into_iter().flatten();
        let kept: Vec<_> = finalizers.filter(|f| **f != *finalizer).collect();
        let patch = json!({"metadata": {"resourceVersion": meta["resourceVersion"], "finalizers": kept}});
        self.patch(place, PatchType::Merge, &patch).await
    }

    /// Patches; gone already is as good.
    async fn patch(&self, place: &Place, kind: PatchType, patch: &Value) -> Result<(), Status> {
        let gvr = &self.served[place.resource].gvr;
        match raw::patch(&*self.transport, gvr, &place.key, kind, patch).await {
            Err(e) if !e.is_not_found() => Err(e),
            _ => Ok(()),
        }
    }

    /// The object's metadata as the API has it now; `None` when it is gone or another has its name.
    async fn live(&self, place: &Place, uid: &str) -> Result<Option<Value>, Status> {
        let meta = self.live_at(place.resource, &place.key).await?;
        Ok(meta.filter(|meta| meta["uid"] == *uid))
    }

    async fn live_at(&self, resource: usize, key: &ObjectKey) -> Result<Option<Value>, Status> {
        let gvr = &self.served[resource].gvr;
        match raw::get(&*self.transport, gvr, &key.namespace, &key.name).await {
            Ok(json) => {
                let mut object: Value = serde_json::from_slice(&json)
                    .map_err(|e| Status::internal(format!("decode {}: {e}", gvr.resource)))?;
                Ok(Some(object["metadata"].take()))
            }
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The state of every owner that the live object names.
    async fn owners(&self, place: &Place, meta: &Value) -> anyhow::Result<Owners> {
        let mut owners = Owners::default();
        for reference in meta["ownerReferences"].as_array().into_iter().flatten() {
            let text = |field: &str| reference[field].as_str().unwrap_or_default().to_owned();
            let owner = graph::OwnerAt {
                api_version: text("apiVersion").into(),
                kind: text("kind").into(),
                name: text("name").into(),
                uid: text("uid").into(),
            };
            let state = match self.in_view(place, &owner) {
                Some(state) => state,
                None => self.ask(place, &owner).await?,
            };
            let uid = owner.uid.to_string();
            match state {
                Standing::Keeps => owners.keep.push(uid),
                Standing::Waits => owners.wait.push(uid),
                Standing::Gone => owners.gone.push(uid),
            }
        }
        Ok(owners)
    }

    /// Where the owner of an object at `place` would be.
    fn locate(&self, place: &Place, owner: &graph::OwnerAt) -> Option<(usize, ObjectKey)> {
        let resource = *self.by_kind.get(&(owner.api_version.to_string(), owner.kind.to_string()))?;
        let namespace = match self.served[resource].namespaced {
            true => place.key.namespace.clone(),
            false => "".into(),
        };
        Some((resource, ObjectKey { namespace, name: owner.name.clone() }))
    }

    /// What the views know of an owner. They never know that one is gone: it may be newer than they are.
    fn in_view(&self, place: &Place, owner: &graph::OwnerAt) -> Option<Standing> {
        let (resource, key) = self.locate(place, owner)?;
        let object = self.views[resource].get(&key).filter(|o| o.meta.uid == owner.uid)?;
        let waits = object.meta.deleting && object.meta.finalizers.iter().any(|f| **f == *FOREGROUND);
        Some(if waits { Standing::Waits } else { Standing::Keeps })
    }

    async fn ask(&self, place: &Place, owner: &graph::OwnerAt) -> anyhow::Result<Standing> {
        let Some((resource, key)) = self.locate(place, owner) else {
            // Perhaps a kind that is not served yet. Nothing is deleted on a guess.
            let (kind, version) = (&owner.kind, &owner.api_version);
            anyhow::bail!("{}: the owner's kind {kind} in {version} is not served", place.key);
        };
        if self.served[resource].namespaced && place.key.namespace.is_empty() {
            anyhow::bail!("{}: a cluster-scoped object cannot belong to one in a namespace", place.key);
        }
        let meta = self.live_at(resource, &key).await?.filter(|meta| meta["uid"] == *owner.uid);
        Ok(match meta {
            None => Standing::Gone,
            Some(meta) if !meta["deletionTimestamp"].is_null() && has_finalizer(&meta, FOREGROUND) => {
                Standing::Waits
            }
            Some(_) => Standing::Keeps,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Keeps,
    /// Deleted in the foreground: waits for its dependents.
    Waits,
    Gone,
}

fn has_finalizer(meta: &Value, name: &str) -> bool {
    meta["finalizers"].as_array().into_iter().flatten().any(|f| *f == *name)
}

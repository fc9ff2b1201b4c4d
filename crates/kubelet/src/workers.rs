//! One worker per pod: who gets one, what reaches it. Start at [`Workers::run`].
//!
//! Two streams come together here: the API's view of this node's pods, and the runtime's events. What the runtime has
//! and the API does not know (any more) gets a worker too, which ends it; but only once both have been seen in full.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use apimachinery::ObjectKey;
use client::View;
use client::transport::Change;
use codec::Kind as _;
use cri::Event;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use resources::core::pod::PodExt;
use tokio::sync::{Notify, watch};

use crate::admit;
use crate::amounts::{self, Qos};
use crate::context::Context;
use crate::observed::label;
use crate::plan::Verdict;
use crate::spec;
use crate::statics;
use crate::worker::Worker;

/// Between two tries to delete a mirror.
const MIRROR_RETRY: std::time::Duration = std::time::Duration::from_secs(5);

/// What a worker is to make true.
#[derive(Clone, Debug)]
pub struct Desired {
    pub pod: Arc<Pod>,
    /// It is no longer in the API.
    pub gone: bool,
    /// Why it may not stay on this node.
    pub evicted: Option<Verdict>,
    /// Of a static pod: what the API shows of it.
    pub mirror: Option<Arc<Pod>>,
    /// The uid of the last mirror that went.
    pub lost_mirror: String,
}

impl Desired {
    fn new(pod: Pod, gone: bool) -> Self {
        Desired { pod: Arc::new(pod), gone, evicted: None, mirror: None, lost_mirror: String::new() }
    }
}

/// What of a pod the runtime has.
#[derive(Clone, Debug, Default)]
pub struct Ids {
    pub sandboxes: BTreeSet<String>,
    pub containers: BTreeSet<String>,
}

/// Shared by a pod's worker and the streams.
#[derive(Default)]
pub struct Mailbox {
    pub ids: Mutex<Ids>,
    pub wake: Notify,
}

impl Mailbox {
    pub fn add(&self, sandbox: Option<&str>, container: Option<&str>) {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.sandboxes.extend(sandbox.map(str::to_owned));
        ids.containers.extend(container.map(str::to_owned));
    }

    pub fn remove_container(&self, id: &str) {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).containers.remove(id);
    }

    pub fn ids(&self) -> Ids {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// All workers.
pub struct Workers {
    context: Arc<Context>,
    view: Arc<dyn View>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By pod uid; also of pods without a worker yet.
    mailboxes: HashMap<String, Arc<Mailbox>>,
    running: HashMap<String, watch::Sender<Desired>>,
    /// The API's pods have been seen in full: what it does not know is an orphan.
    complete: bool,
    /// Static pods whose predecessor of the same name has not ended yet.
    waiting: Vec<Pod>,
}

impl Workers {
    /// `view` shows this node's pods.
    pub fn new(context: Arc<Context>, view: Arc<dyn View>) -> Arc<Self> {
        Arc::new(Workers { context, view, state: Mutex::default() })
    }

    /// Runs until shutdown.
    pub async fn run(self: Arc<Self>) {
        let mut events = self.context.runtime.events();
        // After the subscription: what happens in between comes as an event.
        self.list_until_it_works().await;
        let mut changes = self.view.subscribe();
        let synced = self.view.synced();
        tokio::pin!(synced);
        let mut complete = false;
        loop {
            tokio::select! {
                // Pods first: an event's pod may be among them.
                biased;
                change = changes.next() => match change {
                    Some(change) => self.change(change),
                    None => return,
                },
                () = &mut synced, if !complete => {
                    complete = true;
                    self.adopt_orphans();
                }
                event = events.next() => match event {
                    Some(Event::Resync) => self.list_until_it_works().await,
                    Some(event) => self.event(&event),
                    None => {
                        // A runtime that has ended has no events any more: without a pause this would never give way,
                        // not even to the shutdown.
                        self.context.clock.sleep(std::time::Duration::from_secs(1)).await;
                        events = self.context.runtime.events();
                        self.list_until_it_works().await;
                    }
                },
            }
        }
    }

    /// This node's pods as their workers see them.
    pub fn pods(&self) -> Vec<Arc<Pod>> {
        let state = self.lock();
        state.running.values().map(|w| seen(&w.borrow())).collect()
    }

    /// What static pods there are now; the others end.
    pub fn set_statics(self: &Arc<Self>, pods: Vec<Pod>) {
        let mut left = Vec::new();
        for pod in pods {
            match left.iter().any(|p: &Pod| statics_alike(p, &pod)) {
                true => tracing::error!(pod = spec::full_name(&pod), "another static pod has this name"),
                false => left.push(pod),
            }
        }
        {
            let mut state = self.lock();
            state.waiting.clear();
            for worker in state.running.values() {
                let ends =
                    |d: &Desired| statics::is_static(&d.pod) && !left.iter().any(|p| p.uid() == d.pod.uid());
                worker.send_if_modified(|desired| {
                    let ends = ends(desired) && !desired.gone;
                    desired.gone |= ends;
                    ends
                });
            }
            left.retain(|p| !state.running.contains_key(p.uid()));
        }
        for pod in left {
            self.start_static(pod);
        }
    }

    /// Now, or when the one before it has ended.
    fn start_static(self: &Arc<Self>, pod: Pod) {
        {
            let mut state = self.lock();
            if state.running.values().any(|w| statics_alike(&w.borrow().pod, &pod)) {
                return state.waiting.push(pod);
            }
        }
        let mirror = self.view.get(&ObjectKey::new(pod.namespace(), pod.name()));
        let mirror = mirror.and_then(|o| Pod::from_json(o.json()).ok());
        let uid = pod.uid().to_owned();
        self.spawn(uid, Desired::new(pod, false));
        if let Some(mirror) = mirror.filter(statics::is_mirror) {
            self.mirror_changed(mirror);
        }
    }

    /// The API's pod shows one of ours, or what is no longer there.
    fn mirror_changed(&self, mirror: Pod) {
        let state = self.lock();
        let shown = |w: &&watch::Sender<Desired>| {
            let desired = w.borrow();
            !desired.gone && statics_alike(&desired.pod, &mirror) && statics::shows(&mirror, &desired.pod)
        };
        match state.running.values().find(shown) {
            Some(worker) => worker.send_modify(|desired| desired.mirror = Some(Arc::new(mirror))),
            None => self.delete_mirror(mirror),
        }
    }

    fn mirror_gone(&self, uid: &str) {
        for worker in self.lock().running.values() {
            worker.send_if_modified(|desired| {
                if !statics::is_static(&desired.pod) {
                    return false;
                }
                desired.mirror = desired.mirror.take().filter(|m| m.uid() != uid);
                desired.lost_mirror = uid.to_owned();
                true
            });
        }
    }

    fn delete_mirror(&self, mirror: Pod) {
        let context = self.context.clone();
        self.context.tasks.spawn_until_shutdown(async move {
            let options =
                client::DeleteOptions { grace_seconds: Some(0), ..client::DeleteOptions::uid(mirror.uid()) };
            while let Err(e) = context.pods.delete(mirror.namespace(), mirror.name(), &options).await {
                if e.is_not_found() || e.is_conflict() {
                    return;
                }
                tracing::warn!(pod = mirror.name(), "cannot delete a mirror pod: {e}");
                context.clock.sleep(MIRROR_RETRY).await;
            }
        });
    }

    /// Ends the pod with this verdict. Whether it is here.
    pub fn evict(&self, pod: &Pod, verdict: Verdict) -> bool {
        let state = self.lock();
        let worker = state.running.get(pod.uid());
        worker.inspect(|w| w.send_modify(|desired| desired.evicted = Some(verdict))).is_some()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn list_until_it_works(self: &Arc<Self>) {
        while let Err(e) = self.list().await {
            tracing::error!("cannot list what the runtime has: {e}");
            self.context.clock.sleep(std::time::Duration::from_secs(1)).await;
        }
    }

    /// Everything the runtime has.
    async fn list(self: &Arc<Self>) -> cri::Result<()> {
        let sandboxes = self.context.runtime.list_pod_sandboxes().await?;
        let containers = self.context.runtime.list_containers().await?;
        for sandbox in &sandboxes {
            self.found(&sandbox.metadata.uid, Some(&sandbox.id), None);
        }
        for container in &containers {
            if let Some(uid) = container.labels.get(label::POD_UID) {
                self.found(uid, None, Some(&container.id));
            }
        }
        let mailboxes: Vec<_> = self.lock().mailboxes.values().cloned().collect();
        mailboxes.iter().for_each(|m| m.wake.notify_one());
        if self.lock().complete {
            self.adopt_orphans();
        }
        Ok(())
    }

    fn found(&self, uid: &str, sandbox: Option<&str>, container: Option<&str>) -> Arc<Mailbox> {
        let mailbox = self.lock().mailboxes.entry(uid.to_owned()).or_default().clone();
        mailbox.add(sandbox, container);
        mailbox
    }

    fn event(self: &Arc<Self>, event: &Event) {
        let (uid, sandbox, container) = match event {
            Event::ContainerCreated { sandbox, container, pod_uid }
            | Event::ContainerStarted { sandbox, container, pod_uid }
            | Event::ContainerStopped { sandbox, container, pod_uid }
            | Event::ContainerDeleted { sandbox, container, pod_uid } => {
                (pod_uid, Some(sandbox.as_str()), Some(container.as_str()))
            }
            Event::SandboxChanged { sandbox, pod_uid } => (pod_uid, Some(sandbox.as_str()), None),
            Event::Resync => return,
        };
        let (known, complete) = {
            let state = self.lock();
            (state.running.contains_key(uid), state.complete)
        };
        let begins = matches!(event, Event::ContainerCreated { .. } | Event::ContainerStarted { .. });
        // The last words of a pod that has just been removed.
        if complete && !known && !begins {
            return;
        }
        let mailbox = self.found(uid, sandbox, container);
        if let Event::ContainerDeleted { container, .. } = event {
            mailbox.remove_container(container);
        }
        mailbox.wake.notify_one();
        if complete && !known {
            self.adopt_orphans();
        }
    }

    fn change(self: &Arc<Self>, change: Change) {
        let decode = |object: &Arc<cache::Object>| match Pod::from_json(object.json()) {
            Ok(pod) => Some(pod),
            Err(e) => {
                tracing::error!(pod = %object.key, "cannot read a pod: {e}");
                None
            }
        };
        let new_uid = change.new.as_ref().map(|o| o.meta.uid.clone());
        if let Some(old) = change.old.filter(|o| Some(&o.meta.uid) != new_uid.as_ref()) {
            self.gone(&old.meta.uid);
            self.mirror_gone(&old.meta.uid);
        }
        match change.new.as_ref().and_then(decode) {
            Some(mirror) if statics::is_mirror(&mirror) => self.mirror_changed(mirror),
            Some(pod) => self.upsert(pod),
            None => {}
        }
        self.weigh_burstable();
    }

    fn gone(self: &Arc<Self>, uid: &str) {
        if let Some(worker) = self.lock().running.get(uid) {
            worker.send_modify(|desired| desired.gone = true);
        }
    }

    fn upsert(self: &Arc<Self>, pod: Pod) {
        let desired = Desired::new(pod, false);
        let uid = desired.pod.uid().to_owned();
        if let Some(worker) = self.lock().running.get(&uid) {
            // Once gone it stays gone: a uid is never used again.
            worker.send_modify(|old| old.pod = desired.pod);
            return;
        }
        self.spawn(uid, desired);
    }

    fn spawn(self: &Arc<Self>, uid: String, desired: Desired) {
        let mailbox = self.found(&uid, None, None);
        let rejected = match desired.gone {
            true => None,
            false => admit::rejection(&desired.pod, &self.pods(), &self.node()),
        };
        let (sender, inbox) = watch::channel(desired);
        self.lock().running.insert(uid.clone(), sender);
        let worker = Worker::new(self.context.clone(), uid.clone(), mailbox, inbox, rejected);
        let workers = self.clone();
        self.context.tasks.spawn_until_shutdown(async move {
            worker.run().await;
            let next = {
                let mut state = workers.lock();
                let last = state.running.remove(&uid);
                state.mailboxes.remove(&uid);
                let last = last.map(|w| w.borrow().clone());
                if let Some(mirror) = last.as_ref().and_then(|d| d.mirror.clone()) {
                    workers.delete_mirror(Pod::clone(&mirror));
                }
                let next = last.and_then(|l| state.waiting.iter().position(|p| statics_alike(&l.pod, p)));
                next.map(|at| state.waiting.remove(at))
            };
            if let Some(pod) = next {
                workers.start_static(pod);
            }
        });
    }

    /// Pods that the runtime, the disk or the cgroups know and the API does not.
    fn adopt_orphans(self: &Arc<Self>) {
        let mut uids: HashSet<String> = {
            let mut state = self.lock();
            state.complete = true;
            state.mailboxes.keys().cloned().collect()
        };
        uids.extend(self.context.cgroups.pods());
        uids.extend(names_in(&self.context.paths.pods()));
        let logs = names_in(&self.context.paths.logs);
        uids.extend(logs.iter().filter_map(|n| n.rsplit_once('_')).map(|(_, uid)| uid.to_owned()));
        for uid in uids {
            if self.lock().running.contains_key(&uid) {
                continue;
            }
            let (workers, context) = (self.clone(), self.context.clone());
            self.context.tasks.spawn_until_shutdown(async move {
                let pod = orphan(&context, &workers.found(&uid, None, None), &uid).await;
                tracing::info!(
                    pod = pod.name(),
                    namespace = pod.namespace(),
                    uid,
                    "ending a pod that the API does not know"
                );
                // It may have come meanwhile; then it is no orphan.
                if !workers.lock().running.contains_key(&uid) {
                    workers.spawn(uid, Desired::new(pod, true));
                }
            });
        }
    }

    fn node(&self) -> admit::NodeCapacity<'_> {
        let context = &self.context;
        admit::NodeCapacity { allocatable: &context.allocatable, max_pods: context.max_pods }
    }

    fn weigh_burstable(&self) {
        let pods = self.pods();
        let burstable = pods.iter().filter(|p| amounts::qos(p) == Qos::Burstable);
        let milli = burstable.map(|p| p.requests().milli_cpu()).sum();
        if let Err(e) = self.context.cgroups.set_burstable_cpu(milli) {
            tracing::warn!("cannot weigh burstable pods: {e}");
        }
    }
}

/// As the API's readers see it: a static pod's status is its mirror's.
fn seen(desired: &Desired) -> Arc<Pod> {
    match &desired.mirror {
        Some(mirror) => Arc::new(Pod { status: mirror.status.clone(), ..Pod::clone(&desired.pod) }),
        None => desired.pod.clone(),
    }
}

/// Of one name.
fn statics_alike(a: &Pod, b: &Pod) -> bool {
    statics::is_static(a) && a.name() == b.name() && a.namespace() == b.namespace()
}

/// What can be told of a pod by what the runtime has of it.
async fn orphan(context: &Context, mailbox: &Mailbox, uid: &str) -> Pod {
    let ids = mailbox.ids();
    let mut meta = ObjectMeta { uid: Some(uid.to_owned()), ..ObjectMeta::default() };
    let mut spec = PodSpec::default();
    for id in &ids.sandboxes {
        let Ok(status) = context.runtime.pod_sandbox_status(id).await else { continue };
        let sandbox = status.sandbox;
        meta.name = Some(sandbox.metadata.name);
        meta.namespace = Some(sandbox.metadata.namespace);
        spec.termination_grace_period_seconds =
            sandbox.annotations.get(label::POD_GRACE).and_then(|g| g.parse().ok());
    }
    for id in &ids.containers {
        let Ok(status) = context.runtime.container_status(id).await else { continue };
        let labels = status.container.labels;
        meta.name = meta.name.or_else(|| labels.get(label::POD_NAME).cloned());
        meta.namespace = meta.namespace.or_else(|| labels.get(label::POD_NAMESPACE).cloned());
        let name = status.container.metadata.name;
        if !spec.containers.iter().any(|c| c.name == name) {
            spec.containers.push(Container { name, ..Container::default() });
        }
    }
    let logs = names_in(&context.paths.logs).into_iter().find(|n| n.ends_with(&format!("_{uid}")));
    let mut parts = logs.iter().flat_map(|n| n.splitn(3, '_')).map(str::to_owned);
    let (namespace, name) = (parts.next(), parts.next());
    meta.namespace = meta.namespace.or(namespace);
    meta.name = meta.name.or(name);
    Pod { metadata: meta, spec: Some(spec), status: None }
}

fn names_in(dir: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
}

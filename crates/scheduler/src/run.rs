//! The scheduler's task: events in, bindings out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use apimachinery::{ObjectKey, Status};
use client::api::{Api, DeleteOptions};
use client::events::EventRecorder;
use client::informer::{Informer, decode};
use client::transport::{Change, PatchType, Transport};
use futures::StreamExt;
use k8s_openapi::api::core::v1::{Binding, Namespace, Node, ObjectReference, PersistentVolume, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};
use stdx::clock::SharedClock;
use stdx::{Random, Tasks};
use tokio::sync::mpsc;

use crate::Config;
use crate::cycle::{self, FitError};
use crate::plugin::ClusterEvent;
use crate::pod::PodInfo;
use crate::preempt::{self, Budget, Declined, Plan};
use crate::queue::Queue;
use crate::state::Cluster;
use crate::storage::Provision;
use crate::volumes::{Provisioner, Waits};

/// Bindings under way at once; with more the cycle waits.
const BINDINGS_MAX: usize = 256;

/// Steps that can fail, as events name them.
const VOLUMES: &str = "running PreBind plugin \"VolumeBinding\": binding volumes";
const BINDING: &str = "binding rejected";

/// Everything one scheduler owns.
pub struct Scheduler {
    pods: Informer<Pod>,
    nodes: Informer<Node>,
    namespaces: Informer<Namespace>,
    /// May never be there: then nothing is protected.
    budgets: Informer<PodDisruptionBudget>,
    volumes: Informer<PersistentVolume>,
    classes: Informer<StorageClass>,
    provisioner: Provisioner,
    waits: Waits,
    api: Api<Pod>,
    /// For each profile: events are in its name.
    events: HashMap<String, EventRecorder>,
    clock: SharedClock,
    random: Random,
    tasks: Tasks,
    cluster: Cluster,
    queue: Queue,
    /// Pods whose binding is under way: uid → node.
    binding: HashMap<Arc<str>, String>,
}

/// A pod that was to make room was told, or not.
struct Told {
    victim: Arc<str>,
    ok: bool,
}

/// How a binding ended.
struct Bound {
    pod: Arc<PodInfo>,
    result: Result<(), Status>,
    /// Volumes that were given away for it.
    provision: Provision,
    /// What failed, if it did.
    step: &'static str,
}

impl Scheduler {
    pub fn new(
        config: Config,
        transport: Arc<dyn Transport>,
        clock: SharedClock,
        random: Random,
        tasks: &Tasks,
    ) -> Self {
        let recorder = |name: &str| {
            let (transport, clock, random) = (transport.clone(), clock.clone(), random.clone());
            (name.to_owned(), EventRecorder::new(transport, tasks, clock, random, name, ""))
        };
        let events = config.profiles.names().map(recorder).collect();
        Scheduler {
            pods: Informer::all(&*transport),
            nodes: Informer::all(&*transport),
            namespaces: Informer::all(&*transport),
            budgets: Informer::all(&*transport),
            volumes: Informer::all(&*transport),
            classes: Informer::all(&*transport),
            provisioner: Provisioner::new(&transport, clock.clone()),
            waits: Waits::default(),
            api: Api::new(transport),
            events,
            clock,
            random,
            tasks: tasks.clone(),
            cluster: Cluster::new(config.profiles),
            queue: Queue::default(),
            binding: HashMap::new(),
        }
    }

    /// Never ends by itself.
    pub async fn run(mut self) {
        // Deciding before everything is known would put pods where others are already.
        self.nodes.synced().await;
        self.pods.synced().await;
        self.namespaces.synced().await;
        self.provisioner.claims.synced().await;
        self.volumes.synced().await;
        self.classes.synced().await;
        let mut pods = self.pods.subscribe();
        let mut claims = self.provisioner.claims.subscribe();
        let mut volumes = self.volumes.subscribe();
        let mut classes = self.classes.subscribe();
        let mut nodes = self.nodes.subscribe();
        let mut namespaces = self.namespaces.subscribe();
        let (bound_tx, mut bound_rx) = mpsc::channel::<Bound>(BINDINGS_MAX);
        let (told_tx, mut told_rx) = mpsc::channel::<Told>(BINDINGS_MAX);
        loop {
            let timer = self.sleep_until_timer();
            let may_schedule = self.queue.has_active() && self.binding.len() < BINDINGS_MAX;
            tokio::select! {
                // News first: a decision is only as good as what it knows.
                biased;
                Some(change) = nodes.next() => self.on_node(&change),
                Some(change) = namespaces.next() => self.on_namespace(&change),
                Some(change) = classes.next() => self.on_class(&change),
                Some(change) = volumes.next() => self.on_volume(&change),
                Some(change) = claims.next() => self.on_claim(&change),
                Some(change) = pods.next() => self.on_pod(&change),
                Some(bound) = bound_rx.recv() => self.on_bound(bound),
                Some(told) = told_rx.recv() => self.on_told(&told),
                () = timer => self.queue.tick(self.clock.monotonic()),
                () = std::future::ready(()), if may_schedule => self.schedule_one(&bound_tx, &told_tx),
                else => return,
            }
        }
    }

    fn sleep_until_timer(&self) -> futures::future::BoxFuture<'static, ()> {
        match self.queue.next_timer() {
            Some(until) => self.clock.sleep(until.saturating_sub(self.clock.monotonic())),
            None => Box::pin(futures::future::pending()),
        }
    }

    fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    fn on_node(&mut self, change: &Change) {
        let changed = match (&change.new, &change.old) {
            (Some(new), _) => {
                decode::<Node>(new).is_some_and(|node| self.cluster.set_node(&new.key.name, &node))
            }
            (None, Some(old)) => {
                self.cluster.remove_node(&old.key.name);
                false
            }
            (None, None) => false,
        };
        if changed {
            self.queue.wake(ClusterEvent::Node, self.now());
        }
    }

    fn on_namespace(&mut self, change: &Change) {
        match (&change.new, &change.old) {
            (Some(new), _) => {
                let labels = new.meta.labels.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
                if self.cluster.namespaces.insert(new.key.name.to_string(), labels).is_some() {
                    self.queue.wake(ClusterEvent::Namespace, self.now());
                }
            }
            (None, Some(old)) => {
                self.cluster.namespaces.remove(&*old.key.name);
            }
            (None, None) => {}
        }
    }

    fn on_class(&mut self, change: &Change) {
        let Some(key) = key_of(change) else { return };
        self.cluster.storage.set_class(&key.name, change.new.as_ref().and_then(|o| decode(o)));
        self.queue.wake(ClusterEvent::Storage, self.now());
    }

    fn on_volume(&mut self, change: &Change) {
        let Some(key) = key_of(change) else { return };
        self.cluster.storage.set_volume(&key.name, change.new.as_ref().and_then(|o| decode(o)));
        self.queue.wake(ClusterEvent::Storage, self.now());
    }

    fn on_claim(&mut self, change: &Change) {
        let Some(key) = key_of(change) else { return };
        self.cluster.storage.set_claim(key, change.new.as_ref().and_then(|o| decode(o)));
        self.waits.tell(key);
        self.queue.wake(ClusterEvent::Storage, self.now());
    }

    fn on_pod(&mut self, change: &Change) {
        let uid_of = |o: &Arc<cache::Object>| o.meta.uid.clone();
        // A name may have gone to another pod between two events.
        if let Some(old) = &change.old
            && change.new.as_ref().is_none_or(|new| uid_of(new) != uid_of(old))
        {
            self.forget(&uid_of(old));
        }
        let Some(new) = &change.new else { return };
        if self.is_noise(change) {
            return;
        }
        let Some(pod) = decode::<Pod>(new) else { return };
        let ended =
            matches!(pod.status.as_ref().and_then(|s| s.phase.as_deref()), Some("Succeeded" | "Failed"));
        let spec = pod.spec.as_ref();
        let gated = spec.and_then(|s| s.scheduling_gates.as_ref()).is_some_and(|g| !g.is_empty());
        let ours = spec
            .and_then(|s| s.scheduler_name.as_deref())
            .is_some_and(|name| self.cluster.profiles.find(name).is_some());
        let info = Arc::new(PodInfo::new(pod));
        if ended {
            self.forget(&info.uid);
        } else if !info.node.is_empty() {
            self.queue.remove(&info.uid);
            self.binding.remove(&info.uid);
            self.cluster.end_nomination(&info.uid);
            let node = info.node.clone();
            self.cluster.place(&info, &node);
            self.queue.wake(ClusterEvent::PodPlaced, self.now());
        } else if info.deleting || gated || !ours {
            self.queue.remove(&info.uid);
            self.end_nomination(&info.uid);
        } else if !self.cluster.is_placed(&info.uid) {
            // A placed pod is being bound, or is bound and this is old news.
            if let Some(node) =
                info.nominated.clone().filter(|_| self.cluster.nominated_node(&info.uid).is_none())
                && !self.queue.knows(&info.uid)
            {
                // From before our time.
                self.cluster.nominate(&info, &node);
            }
            self.queue.add(info);
        }
    }

    /// A running pod's status changes often and concerns nobody here.
    fn is_noise(&self, change: &Change) -> bool {
        let (Some(old), Some(new)) = (&change.old, &change.new) else { return false };
        let same = |name: &str| old.field(name).is_some() && old.field(name) == new.field(name);
        self.cluster.placed(&new.meta.uid).is_some_and(|p| !p.resizing)
            && !self.binding.contains_key(&new.meta.uid)
            && old.meta.uid == new.meta.uid
            && old.meta.labels == new.meta.labels
            && old.meta.deleting == new.meta.deleting
            && old.meta.generation == new.meta.generation
            && same("spec.nodeName")
            && same("status.phase")
    }

    fn forget(&mut self, uid: &str) {
        self.queue.remove(uid);
        self.binding.remove(uid);
        self.cluster.unmark_preempted(uid);
        self.end_nomination(uid);
        if self.cluster.displace(uid) {
            self.queue.wake(ClusterEvent::PodGone, self.now());
        }
    }

    /// The room that was kept for the pod is free for others.
    fn end_nomination(&mut self, uid: &str) {
        if self.cluster.end_nomination(uid) {
            self.queue.wake(ClusterEvent::PodGone, self.now());
        }
    }

    /// In the name of the pod's profile.
    fn events(&self, pod: &PodInfo) -> EventRecorder {
        self.events[&self.cluster.profiles.of(pod).scheduler_name].clone()
    }

    fn schedule_one(&mut self, bound: &mpsc::Sender<Bound>, told: &mpsc::Sender<Told>) {
        let Some(pod) = self.queue.pop() else { return };
        match cycle::schedule(&pod, &self.cluster, &self.random) {
            Ok(node) => {
                let provision = cycle::provision(&pod, &self.cluster, &node);
                self.cluster.place(&pod, &node);
                self.cluster.storage.assume(&provision);
                self.binding.insert(pod.uid.clone(), node.clone());
                self.bind(pod, node, provision, bound.clone());
            }
            Err(mut error) => {
                self.queue.park(&pod.uid, error.plugins.clone(), self.now());
                let nominated = self.make_room(&pod, &mut error, told);
                self.report_unschedulable(&pod, &error, nominated);
            }
        }
    }

    /// Preemption, if it helps. What the pod's `nominatedNodeName` becomes; `None`: it stays.
    fn make_room(
        &mut self,
        pod: &Arc<PodInfo>,
        error: &mut FitError,
        told: &mpsc::Sender<Told>,
    ) -> Option<Value> {
        if error.nodes == 0 || !self.cluster.profiles.of(pod).preempts {
            return None;
        }
        let budgets: Vec<Budget> = self.budgets.list("").iter().filter_map(Budget::new).collect();
        match preempt::plan(pod, &mut self.cluster, error, &budgets, &self.random) {
            Ok(plan) => {
                self.preempt(pod, &plan, told);
                Some(plan.node.into())
            }
            Err(declined) => {
                error.preemption = declined.reason().to_owned();
                let stale = matches!(declined, Declined::NoCandidates(_)) && pod.nominated.is_some();
                self.cluster.end_nomination(&pod.uid);
                stale.then_some(Value::Null)
            }
        }
    }

    fn preempt(&mut self, pod: &Arc<PodInfo>, plan: &Plan, told: &mpsc::Sender<Told>) {
        self.cluster.nominate(pod, &plan.node);
        let scheduler = self.cluster.profiles.of(pod).scheduler_name.clone();
        for victim in plan.victims.iter().filter(|v| !v.deleting) {
            self.cluster.mark_preempted(&victim.uid);
            let message = format!("Preempted by pod {} on node {}", pod.uid, plan.node);
            self.events(pod).normal(&*victim.pod, "Preempted", message);
            let (api, victim, told) = (self.api.clone(), victim.clone(), told.clone());
            let condition = self.condition(
                &victim.pod,
                "DisruptionTarget",
                "True",
                "PreemptionByScheduler",
                &format!("{scheduler}: preempting to accommodate a higher priority pod"),
            );
            let patch = json!({ "status": { "conditions": [condition] } });
            self.tasks.spawn_until_shutdown(async move {
                let ok = evict(&api, &victim, &patch).await;
                // Closed only when the scheduler has ended.
                drop(told.send(Told { victim: victim.uid.clone(), ok }).await);
            });
        }
        for other in &plan.outranked {
            self.cluster.end_nomination(&other.uid);
            self.patch_status(&other.key, json!({ "status": { "nominatedNodeName": null } }));
        }
    }

    fn on_told(&mut self, told: &Told) {
        if !told.ok {
            // The pod that wanted the room looks again.
            self.cluster.unmark_preempted(&told.victim);
            self.queue.wake(ClusterEvent::PodGone, self.now());
        }
    }

    fn bind(&mut self, pod: Arc<PodInfo>, node: String, provision: Provision, bound: mpsc::Sender<Bound>) {
        let (api, events) = (self.api.clone(), self.events(&pod));
        let shutdown = self.tasks.shutdown();
        let volumes = (!provision.is_empty()).then(|| (self.provisioner.clone(), self.waits.on(&provision)));
        self.tasks.spawn(async move {
            let mut result = Ok(());
            if let Some((provisioner, changed)) = volumes {
                result = tokio::select! {
                    () = shutdown.cancelled() => return,
                    done = provisioner.run(&provision, &node, &changed) => done,
                };
            }
            let mut step = VOLUMES;
            if result.is_ok() {
                step = BINDING;
                result = api.bind(&binding(&pod, &node)).await;
            }
            if result.is_ok() {
                let message = format!("Successfully assigned {} to {node}", pod.key);
                events.normal(&*pod.pod, "Scheduled", message);
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                _ = bound.send(Bound { pod, result, provision, step }) => {}
            }
        });
    }

    fn on_bound(&mut self, bound: Bound) {
        let Bound { pod, result, provision, step } = bound;
        let Err(error) = result else {
            // Placed for good; its own event will say the same.
            self.queue.remove(&pod.uid);
            self.binding.remove(&pod.uid);
            return;
        };
        if self.binding.remove(&pod.uid).is_none() {
            return;
        }
        self.cluster.displace(&pod.uid);
        self.cluster.storage.forget(&provision);
        self.queue.wake(ClusterEvent::PodGone, self.now());
        tracing::warn!(pod = %pod.key, %error, "cannot bind");
        if error.is_not_found() || error.is_conflict() {
            // Gone, or bound by somebody else: the watch will tell.
            self.queue.back_off(&pod.uid, self.now());
            return;
        }
        self.events(&pod).warning(&*pod.pod, "FailedScheduling", format!("{step}: {error}"));
        self.queue.back_off(&pod.uid, self.now());
    }

    fn report_unschedulable(&self, pod: &Arc<PodInfo>, error: &FitError, nominated: Option<Value>) {
        let message = error.to_string();
        self.events(pod).warning(&*pod.pod, "FailedScheduling", message.clone());
        let news = nominated.filter(|n| n.as_str() != pod.nominated.as_deref());
        if condition_says(&pod.pod, &message) && news.is_none() {
            return;
        }
        let condition = self.condition(&pod.pod, "PodScheduled", "False", "Unschedulable", &message);
        let mut patch = json!({ "status": { "conditions": [condition] } });
        if let Some(node) = news {
            patch["status"]["nominatedNodeName"] = node;
        }
        self.patch_status(&pod.key, patch);
    }

    fn condition(&self, pod: &Pod, kind: &str, status: &str, reason: &str, message: &str) -> Value {
        json!({
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message,
            "lastProbeTime": null,
            "lastTransitionTime": self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "observedGeneration": pod.metadata.generation,
        })
    }

    fn patch_status(&self, key: &ObjectKey, patch: Value) {
        let (api, key) = (self.api.clone(), key.clone());
        self.tasks.spawn(async move {
            let ObjectKey { namespace, name } = &key;
            let patched = api.patch_status(namespace, name, PatchType::Strategic, &patch).await;
            if let Err(error) = patched
                && !error.is_not_found()
            {
                tracing::warn!(pod = %key, %error, "cannot write what scheduling came to");
            }
        });
    }
}

/// Says why on the pod, then deletes it with its own grace period. Whether it is (or was) on its way.
async fn evict(api: &Api<Pod>, victim: &PodInfo, condition: &Value) -> bool {
    let ObjectKey { namespace, name } = &victim.key;
    let told = api.patch_status(namespace, name, PatchType::Strategic, condition).await;
    let done = match told {
        Ok(_) => api.delete(namespace, name, &DeleteOptions::uid(&victim.uid)).await,
        Err(error) => Err(error),
    };
    match done {
        Err(error) if !error.is_not_found() && !error.is_conflict() => {
            tracing::warn!(pod = %victim.key, %error, "cannot preempt");
            false
        }
        _ => true,
    }
}

fn key_of(change: &Change) -> Option<&ObjectKey> {
    change.new.as_ref().or(change.old.as_ref()).map(|object| &object.key)
}

fn binding(pod: &PodInfo, node: &str) -> Binding {
    Binding {
        metadata: ObjectMeta {
            namespace: Some(pod.key.namespace.to_string()),
            name: Some(pod.key.name.to_string()),
            uid: Some(pod.uid.to_string()),
            ..ObjectMeta::default()
        },
        target: ObjectReference {
            kind: Some("Node".into()),
            name: Some(node.to_owned()),
            ..ObjectReference::default()
        },
    }
}

fn condition_says(pod: &Pod, message: &str) -> bool {
    let conditions = pod.status.as_ref().and_then(|s| s.conditions.as_ref());
    conditions
        .into_iter()
        .flatten()
        .any(|c| c.type_ == "PodScheduled" && c.status == "False" && c.message.as_deref() == Some(message))
}

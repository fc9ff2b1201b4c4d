//! One pod's worker: observe, plan, do, report, wait; again after everything that happens. Start at [`Worker::run`].
//!
//! What takes long (pulls, hooks, grace periods) runs as a job inside the worker, so that a deletion is noticed at
//! once. Dropping the worker leaves containers as they are.

mod cleanup;
mod config;
mod jobs;
mod kill;
mod observe;
mod report;
mod resize;
mod start;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use client::EventType;
use codec::Kind as _;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::objects::PodObjects;
use crate::observed::{Observed, Resize};
use crate::plan::{self, Actions, Verdict};
use crate::probes::Probes;
use crate::spec;
use crate::statics;
use crate::workers::{Desired, Mailbox};
use jobs::Done;

/// See the module.
pub struct Worker {
    context: Arc<Context>,
    uid: String,
    mailbox: Arc<Mailbox>,
    inbox: watch::Receiver<Desired>,
    /// The newest known: the API's, or what our last write returned; with the resources it was given.
    pod: Arc<Pod>,
    /// The same with the resources it wants.
    wanted: Arc<Pod>,
    room: watch::Receiver<u64>,
    resizing: bool,
    /// Of a static pod: what the API shows of it, once it does.
    mirror: Option<Arc<Pod>>,
    observed: Observed,
    jobs: FuturesUnordered<BoxFuture<'static, Done>>,
    objects: Arc<PodObjects>,
    /// The state of `objects` that the volumes show.
    shown: u64,
    /// When a token in a volume needs renewal.
    renew_at: Option<Timestamp>,
    probes: Probes,
    pulls: HashMap<String, PullBackOff>,
    /// Failures in a row of what concerns the whole pod.
    pod_failures: u32,
    status: report::Report,
    /// Ends the start that is under way.
    start_cancel: CancellationToken,
    purged: bool,
    /// Dead containers are being removed.
    cleaning: bool,
    /// The dead container whose back-off has been told.
    told_back_off: HashMap<String, String>,
    told_verdict: bool,
}

/// After a failed pull.
#[derive(Clone, Debug)]
struct PullBackOff {
    delay: Duration,
    until: Timestamp,
    error: String,
}

/// The runtime did not answer: how long to leave it.
const RUNTIME_RETRY: Duration = Duration::from_secs(1);

impl Worker {
    pub fn new(
        context: Arc<Context>,
        uid: String,
        mailbox: Arc<Mailbox>,
        inbox: watch::Receiver<Desired>,
        rejected: Option<Verdict>,
    ) -> Self {
        let wanted = inbox.borrow().pod.clone();
        if rejected.is_none() {
            context.allocations.admit(&wanted);
        }
        let pod = context.allocations.effective(wanted.clone());
        let resize = Resize { actuated: context.allocations.actuated(&uid), ..Resize::default() };
        let objects = Arc::new(context.objects.of_pod(&pod));
        if let Some(verdict) = rejected.as_ref() {
            context.pod_event(&pod, EventType::Warning, verdict.reason, verdict.message.clone());
        }
        Worker {
            probes: Probes::new(context.clone()),
            room: context.allocations.room(),
            resizing: false,
            mirror: None,
            wanted,
            context,
            uid,
            mailbox,
            inbox,
            pod,
            observed: Observed { rejected: rejected.clone(), resize, ..Observed::default() },
            jobs: FuturesUnordered::new(),
            objects,
            shown: 0,
            renew_at: None,
            pulls: HashMap::new(),
            pod_failures: 0,
            status: report::Report::default(),
            start_cancel: CancellationToken::new(),
            purged: false,
            cleaning: false,
            told_back_off: HashMap::new(),
            told_verdict: false,
        }
    }

    /// Until the pod is gone from the API and from this machine.
    pub async fn run(mut self) {
        loop {
            self.take_desired();
            let wake_at = match self.observe().await {
                Ok(()) => self.act(),
                Err(e) => {
                    tracing::error!(pod = self.pod.name(), "cannot observe a pod: {e}");
                    Some(self.later(RUNTIME_RETRY))
                }
            };
            if self.purged {
                return;
            }
            self.wait(wake_at).await;
        }
    }

    /// Plans and begins what the plan asks for. When to look again.
    fn act(&mut self) -> Option<Timestamp> {
        let now = self.context.clock.now();
        let actions = plan::pod_actions(&self.pod, &self.observed, now);
        if self.observed.gone || self.pod.metadata.deletion_timestamp.is_some() || actions.verdict.is_some() {
            self.start_cancel.cancel();
        }
        let status = self.next_status(&actions, now);
        self.report(&status);
        for action in actions.list.clone() {
            self.begin(action, &status);
        }
        self.refresh_volumes(now);
        self.tell_resized();
        self.tell_back_offs(&actions);
        self.tell_verdict(&actions);
        self.clean_up();
        earliest(&[actions.wake_at, self.renew_at, self.status.retry_at])
    }

    /// The status as it should be now.
    fn next_status(&self, actions: &Actions, now: Timestamp) -> PodStatus {
        let messages = |container: &cri::ContainerStatus| self.context.termination_message(container);
        crate::status::pod_status(&self.pod, &self.observed, actions, &messages, &self.context.facts, now)
    }

    /// Reads what is wanted now.
    fn take_desired(&mut self) {
        let desired = self.inbox.borrow_and_update().clone();
        self.observed.gone = desired.gone;
        self.observed.evicted = desired.evicted;
        if statics::is_static(&self.pod) {
            // One that we have just made may not have been seen yet.
            let lost = self.mirror.as_ref().is_some_and(|m| m.uid() == desired.lost_mirror);
            if desired.mirror.is_some() || lost {
                self.take_mirror(desired.mirror);
            }
            return;
        }
        if report::is_newer(&desired.pod, &self.pod) {
            self.set_pod(desired.pod);
        }
    }

    /// A static pod's status is in its mirror; without one it is what it was.
    fn take_mirror(&mut self, mirror: Option<Arc<Pod>>) {
        let known = |old: &Pod, new: &Pod| old.uid() == new.uid() && !report::is_newer(new, old);
        if let (Some(old), Some(new)) = (&self.mirror, &mirror)
            && known(old, new)
        {
            return;
        }
        if let Some(status) = mirror.as_ref().and_then(|m| m.status.clone()) {
            self.set_pod(Arc::new(Pod { status: Some(status), ..Pod::clone(&self.wanted) }));
        }
        self.mirror = mirror;
    }

    fn set_pod(&mut self, pod: Arc<Pod>) {
        if pod.spec != self.pod.spec {
            // Ephemeral containers may name more objects.
            self.objects = Arc::new(self.context.objects.of_pod(&pod));
        }
        let volumes_see = |p: &Pod| (p.metadata.labels.clone(), p.metadata.annotations.clone());
        if volumes_see(&pod) != volumes_see(&self.pod) {
            self.shown = u64::MAX;
        }
        self.wanted = pod.clone();
        self.pod = self.context.allocations.effective(pod);
        self.allocate();
    }

    async fn wait(&mut self, wake_at: Option<Timestamp>) {
        let now = self.context.clock.now();
        let alarm = wake_at.map(|at| {
            let left = at.duration_since(now).max(SignedDuration::ZERO);
            self.context.clock.sleep(left.unsigned_abs() + Duration::from_millis(1))
        });
        let alarm = async {
            match alarm {
                Some(alarm) => alarm.await,
                None => std::future::pending().await,
            }
        };
        let objects = self.objects.clone();
        tokio::select! {
            Some(done) = self.jobs.next() => self.done(done),
            changed = self.inbox.changed() => if changed.is_err() {
                // The kubelet ends; so do we, at the next await.
                std::future::pending::<()>().await;
            },
            () = self.mailbox.wake.notified() => {}
            // Somebody else's end may let this pod grow.
            _ = self.room.changed(), if self.observed.resize.pending.is_some() => self.allocate(),
            () = objects.changed() => self.objects_changed(),
            () = self.probes.changed() => {}
            () = alarm => {}
        }
    }

    /// What failed for want of an object is tried again at once.
    fn objects_changed(&mut self) {
        self.observed.retry_pod_at = None;
        let now = self.context.clock.now();
        for failure in
            self.observed.failures.values_mut().filter(|f| f.reason == "CreateContainerConfigError")
        {
            failure.retry_at = now;
        }
    }

    /// A rejection is told when it is made; a deadline when it is over.
    fn tell_verdict(&mut self, actions: &Actions) {
        let Some(verdict) = actions.verdict.as_ref().filter(|_| self.observed.rejected.is_none()) else {
            return;
        };
        if !std::mem::replace(&mut self.told_verdict, true) {
            let kind = if verdict.reason == "Evicted" { EventType::Warning } else { EventType::Normal };
            self.context.pod_event(&self.pod, kind, verdict.reason, verdict.message.clone());
        }
    }

    /// One event for each container that waits for its restart.
    fn tell_back_offs(&mut self, actions: &Actions) {
        for (name, _) in &actions.waiting {
            let (Some(spec), Some(ended)) = (spec::find(&self.pod, name), self.observed.latest(name)) else {
                continue;
            };
            let id = ended.container.id.clone();
            if self.told_back_off.insert(name.clone(), id.clone()) != Some(id) {
                let message = format!(
                    "Back-off restarting failed container {name} in pod {}",
                    spec::full_name(&self.pod)
                );
                self.context.container_event(&self.pod, &spec, EventType::Warning, "BackOff", &message);
            }
        }
    }

    /// For a start that begins now.
    fn new_start(&mut self) -> CancellationToken {
        self.start_cancel = CancellationToken::new();
        self.start_cancel.clone()
    }

    fn later(&self, wait: Duration) -> Timestamp {
        let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
        self.context.clock.now().checked_add(wait).unwrap_or(Timestamp::MAX)
    }
}

fn earliest(times: &[Option<Timestamp>]) -> Option<Timestamp> {
    times.iter().flatten().min().copied()
}

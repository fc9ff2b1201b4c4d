//! How pods that have ended are counted. In this order, so that a crash anywhere loses nothing: [`open`] lists them as
//! uncounted in the status, which is written; then they lose the finalizer; then [`Ledger::close`] counts them, and says
//! that the Job is over if it is.

use std::collections::HashSet;

use client::EventType;
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobStatus, UncountedTerminatedPods};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use resources::batch::indexes::Indexes;
use resources::batch::job::{JobExt, set_condition};
use resources::core::pod::PodExt;
use resources::owner::ObjectMetaExt;

use super::observe::{End, Facts, IndexState, Observed, index_of};
use super::plan::Action;
use super::policy::Failure;

/// So many uids are listed as uncounted at once: together they take some 20 KB of the status.
const UNCOUNTED_MAX: usize = 500;

/// What came of an action.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub created: i32,
    pub removed: i32,
    /// Of the removed.
    pub ready: i32,
}

/// A status in the making.
#[derive(Debug)]
pub(super) struct Ledger<'a> {
    /// As it is to be written first.
    pub status: JobStatus,
    /// Lose the finalizer when that is written.
    pub release: Vec<&'a Pod>,
    pub events: Vec<(EventType, String, String)>,
    held: HashSet<String>,
    end: Option<End>,
    /// Not everything that has ended is listed; the rest follows.
    full: bool,
}

/// The status with what has ended listed as uncounted.
pub(super) fn open<'a>(
    facts: &Facts<'a>,
    observed: &Observed<'a>,
    action: &Action<'_>,
    done: &Done,
) -> Ledger<'a> {
    let active = observed.active.len() as i32 - done.removed + done.created;
    let held = facts.pods.iter().filter(|p| facts.is_tracked(p)).map(|p| p.uid().to_owned());
    let mut ledger = Ledger {
        status: facts.job.job_status().clone(),
        release: Vec::new(),
        events: Vec::new(),
        held: held.collect(),
        end: end(facts, observed, action, active),
        full: false,
    };
    let status = &mut ledger.status;
    status.uncounted_terminated_pods.get_or_insert_default();
    if status.start_time.is_none() && !facts.job.is_suspended() {
        status.start_time = Some(Time(facts.now));
    }
    let ready = observed.active.iter().filter(|p| p.is_ready()).count() as i32;
    status.active = (active != 0).then_some(active);
    status.ready = Some(ready - done.ready);
    status.terminating = Some(observed.terminating.len() as i32 + done.removed);
    if ledger.end.is_none() && !matches!(action, Action::Stop(_) | Action::NotNow) {
        ledger.suspension(facts);
    }
    count_released(&mut ledger.status, &ledger.held, facts.job.is_indexed());
    ledger.list(facts, observed);
    ledger.announce(facts);
    ledger
}

/// Nothing that still runs, or may run without being seen, and a Job is over.
fn end(facts: &Facts<'_>, observed: &Observed<'_>, action: &Action<'_>, active: i32) -> Option<End> {
    if matches!(action, Action::Stop(_)) {
        return observed.end.clone().filter(|_| active == 0 && facts.settled);
    }
    let enough = match facts.job.job_spec().completions {
        None => observed.succeeded > 0,
        Some(completions) => observed.succeeded >= completions,
    };
    let reached = || End::success("CompletionsReached", "Reached expected number of succeeded pods");
    (enough && active == 0).then(reached)
}

impl<'a> Ledger<'a> {
    fn suspension(&mut self, facts: &Facts<'_>) {
        let suspended = facts.job.is_suspended();
        let (reason, message) =
            if suspended { ("JobSuspended", "Job suspended") } else { ("JobResumed", "Job resumed") };
        if !set_condition(&mut self.status, "Suspended", suspended, reason, message, facts.now) {
            return;
        }
        // The time that a Job may be active begins anew.
        self.status.start_time = (!suspended).then_some(Time(facts.now));
        let event = if suspended { "Suspended" } else { "Resumed" };
        self.events.push((EventType::Normal, event.into(), message.into()));
    }

    /// Finds the pods that can go, and lists those of them that count.
    fn list(&mut self, facts: &Facts<'a>, observed: &Observed<'a>) {
        let mut pods: Vec<&Pod> = facts.pods.iter().filter(|p| facts.is_tracked(p)).collect();
        pods.retain(|pod| self.can_go(facts, observed, pod));
        if observed.indexes.is_some() {
            pods.sort_by_key(|p| index_of(p));
        }
        let uncounted = self.status.uncounted_terminated_pods.take().unwrap_or_default();
        let mut succeeded = uncounted.succeeded.unwrap_or_default();
        let mut failed = uncounted.failed.unwrap_or_default();
        let mut indexes = Vec::new();
        for pod in pods {
            let uid = pod.uid().to_owned();
            if pod.phase() == "Succeeded" && !failed.contains(&uid) {
                match &observed.indexes {
                    // The index is enough to know it again.
                    Some(state) => {
                        let new = |i: &u32| *i < state.completions && !state.counted.has(*i);
                        indexes.extend(index_of(pod).filter(new));
                    }
                    None if !succeeded.contains(&uid) => succeeded.push(uid),
                    None => {}
                }
            } else if self.counts_as_failed(facts, pod) && !failed.contains(&uid) {
                failed.push(uid);
            }
            self.release.push(pod);
            if indexes.len() + succeeded.len() + failed.len() >= UNCOUNTED_MAX {
                self.full = true;
                break;
            }
        }
        let some = |list: Vec<String>| (!list.is_empty()).then_some(list);
        self.status.uncounted_terminated_pods =
            Some(UncountedTerminatedPods { succeeded: some(succeeded), failed: some(failed) });
        if let Some(state) = &observed.indexes {
            self.write_indexes(state, indexes);
        }
    }

    fn write_indexes(&mut self, state: &IndexState<'_>, new: Vec<u32>) {
        let all = state.counted.union(&new.into_iter().collect());
        let total = all.total() as i32;
        self.status.succeeded = (total != 0).then_some(total);
        self.status.completed_indexes = Some(all.to_string()).filter(|text| !text.is_empty());
        self.status.failed_indexes = state.failed.as_ref().map(Indexes::to_string);
    }

    fn can_go(&self, facts: &Facts<'_>, observed: &Observed<'_>, pod: &Pod) -> bool {
        if facts.job.metadata.is_deleting() || self.end.is_some() || pod.phase() == "Succeeded" {
            return true;
        }
        // Its replacement will know from it how often the index has failed.
        let waiting = observed.indexes.as_ref().and_then(|s| s.waiting.get(&index_of(pod)?));
        facts.is_failed(pod) && waiting.is_none_or(|w| w.uid() != pod.uid())
    }

    /// With a Job that failed fail all pods that have not succeeded.
    fn counts_as_failed(&self, facts: &Facts<'_>, pod: &Pod) -> bool {
        let with_job = self.end.as_ref().is_some_and(|end| !end.success);
        (facts.is_failed(pod) || with_job) && facts.is_valid(pod) && facts.judge(pod) != Failure::Ignored
    }

    /// Says what the end will be, before the pods that led to it can go.
    fn announce(&mut self, facts: &Facts<'_>) {
        let Some(end) = &self.end else { return };
        let kind = if end.success { "SuccessCriteriaMet" } else { "FailureTarget" };
        if !facts.job.is(kind) {
            set_condition(&mut self.status, kind, true, &end.reason, &end.message, facts.now);
        }
    }

    /// The status after `released` have lost the finalizer, on top of `written`, and the events that then are true.
    pub fn close(
        mut self,
        job: &Job,
        released: &HashSet<String>,
        now: Timestamp,
    ) -> (JobStatus, Vec<(EventType, String, String)>) {
        let mut status = job.job_status().clone();
        self.held.retain(|uid| !released.contains(uid));
        status.uncounted_terminated_pods.get_or_insert_default();
        count_released(&mut status, &self.held, job.is_indexed());
        let uncounted = status.uncounted_terminated_pods.as_ref();
        let open = uncounted.is_some_and(|u| u.succeeded.is_some() || u.failed.is_some());
        let running = status.terminating.unwrap_or(0) > 0;
        let events = match self.end.filter(|_| !self.full && !open && !running) {
            Some(end) => finish(&mut status, job, end, now),
            None => Vec::new(),
        };
        (status, events)
    }
}

fn finish(status: &mut JobStatus, job: &Job, end: End, now: Timestamp) -> Vec<(EventType, String, String)> {
    // A Job that was never active has one moment.
    status.start_time.get_or_insert(Time(now));
    let kind = if end.success { "Complete" } else { "Failed" };
    set_condition(status, kind, true, &end.reason, &end.message, now);
    if !end.success {
        return vec![(EventType::Warning, end.reason, end.message)];
    }
    status.completion_time.get_or_insert(Time(now));
    let mut events = Vec::new();
    if job.job_spec().completions.is_some_and(|wanted| status.succeeded.unwrap_or(0) > wanted) {
        let text = "Too many succeeded pods running after completion count reached";
        events.push((EventType::Warning, "TooManySucceededPods".into(), text.into()));
    }
    events.push((EventType::Normal, "Completed".into(), "Job completed".into()));
    events
}

/// Moves the uids that have no finalizer any more from the lists to the counts.
fn count_released(status: &mut JobStatus, held: &HashSet<String>, indexed: bool) {
    let Some(uncounted) = &mut status.uncounted_terminated_pods else { return };
    let move_on = |list: &mut Option<Vec<String>>, count: &mut Option<i32>| {
        let Some(uids) = list else { return };
        let before = uids.len();
        uids.retain(|uid| held.contains(uid));
        let moved = (before - uids.len()) as i32;
        if uids.is_empty() {
            *list = None;
        }
        if moved != 0 {
            *count = Some(count.unwrap_or(0) + moved);
        }
    };
    // Indexes count themselves.
    if !indexed {
        move_on(&mut uncounted.succeeded, &mut status.succeeded);
    }
    move_on(&mut uncounted.failed, &mut status.failed);
}

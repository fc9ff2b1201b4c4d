//! What a Job's pods say about it: how many run, how many have ended how, and whether that is the end.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use codec::Kind;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use resources::batch::indexes::Indexes;
use resources::batch::job::{COMPLETION_INDEX, JobExt, TRACKING_FINALIZER};
use resources::core::pod::PodExt;
use resources::owner::ObjectMetaExt;

use super::backoff::{Backoff, ended_at};
use super::policy::{self, Failure};

/// What a decision is based on.
pub(super) struct Facts<'a> {
    pub job: &'a Job,
    /// Those that it controls.
    pub pods: &'a [Pod],
    /// Uids of pods that lost the finalizer, whatever the view says.
    pub released: &'a HashSet<String>,
    /// Everything that was made or removed has been seen.
    pub settled: bool,
    /// As of the last time.
    pub backoff: Backoff,
    pub now: Timestamp,
}

/// Why a Job is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub success: bool,
    pub reason: String,
    pub message: String,
}

impl End {
    pub fn success(reason: &str, message: &str) -> Self {
        End { success: true, reason: reason.into(), message: message.into() }
    }

    fn failure(reason: &str, message: &str) -> Self {
        End { success: false, reason: reason.into(), message: message.into() }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Observed<'a> {
    pub active: Vec<&'a Pod>,
    /// Being deleted, not yet ended.
    pub terminating: Vec<&'a Pod>,
    /// Counted already or about to be.
    pub succeeded: i32,
    pub indexes: Option<IndexState<'a>>,
    pub backoff: Backoff,
    pub end: Option<End>,
    /// Until `activeDeadlineSeconds` are over.
    pub deadline_in: Option<Duration>,
}

/// What indexed Jobs have besides.
#[derive(Debug)]
pub(super) struct IndexState<'a> {
    pub completions: u32,
    /// In the status already.
    pub counted: Indexes,
    pub succeeded: Indexes,
    /// With `backoffLimitPerIndex`: those that failed for good.
    pub failed: Option<Indexes>,
    /// Failed pods that wait for their replacement, which takes over their count of failures.
    pub waiting: BTreeMap<u32, &'a Pod>,
}

impl<'a> Facts<'a> {
    /// The pod has ended without having been counted for good.
    pub fn is_tracked(&self, pod: &Pod) -> bool {
        pod.metadata.has_finalizer(TRACKING_FINALIZER) && !self.released.contains(pod.uid())
    }

    /// It failed, or is about to be no more without having succeeded.
    pub fn is_failed(&self, pod: &Pod) -> bool {
        match pod.phase() {
            "Failed" => true,
            "Succeeded" => false,
            _ => pod.metadata.is_deleting() && !self.job.replaces_ended_only(),
        }
    }

    pub fn judge(&self, pod: &Pod) -> Failure {
        policy::judge(self.job.job_spec().pod_failure_policy.as_ref(), pod)
    }

    pub fn has_limit_per_index(&self) -> bool {
        self.job.job_spec().backoff_limit_per_index.is_some()
    }

    /// `None` for Jobs that are not indexed.
    pub fn completions(&self) -> Option<u32> {
        let completions = self.job.job_spec().completions.unwrap_or(0);
        self.job.is_indexed().then(|| u32::try_from(completions).unwrap_or(0))
    }

    /// The pod's place counts: always, or that of a valid index.
    pub fn is_valid(&self, pod: &Pod) -> bool {
        self.completions().is_none_or(|completions| index_of(pod).is_some_and(|i| i < completions))
    }

    /// Tracked, valid, and not listed as uncounted.
    fn fresh(&self, listed: Option<&Vec<String>>, is: impl Fn(&Pod) -> bool) -> Vec<&'a Pod> {
        let listed: HashSet<&str> = listed.into_iter().flatten().map(String::as_str).collect();
        let fresh =
            |pod: &&Pod| self.is_tracked(pod) && !listed.contains(pod.uid()) && self.is_valid(pod) && is(pod);
        self.pods.iter().filter(fresh).collect()
    }
}

/// The completion index of a pod.
pub(super) fn index_of(pod: &Pod) -> Option<u32> {
    pod.metadata.annotation(COMPLETION_INDEX)?.parse().ok()
}

pub(super) fn observe<'a>(facts: &Facts<'a>) -> Observed<'a> {
    let (spec, status) = (facts.job.job_spec(), facts.job.job_status());
    let uncounted = status.uncounted_terminated_pods.clone().unwrap_or_default();
    let succeeded = facts.fresh(uncounted.succeeded.as_ref(), |pod| pod.phase() == "Succeeded");
    let failed = facts.fresh(uncounted.failed.as_ref(), |pod| facts.is_failed(pod));
    let counting = failed.iter().filter(|pod| facts.judge(pod) != Failure::Ignored).count();
    let listed = |list: &Option<Vec<String>>| list.as_ref().map_or(0, Vec::len);
    let failures = status.failed.unwrap_or(0) as usize + counting + listed(&uncounted.failed);
    let total = status.succeeded.unwrap_or(0) as usize + succeeded.len() + listed(&uncounted.succeeded);
    let active: Vec<_> = facts.pods.iter().filter(|p| p.is_active()).collect();
    let terminating = facts.pods.iter().filter(|p| p.metadata.is_deleting() && !p.is_terminal());
    let indexes = facts.completions().map(|completions| index_state(facts, completions, &active));
    let deadline_in = deadline(facts);
    let mut end = recorded_end(facts.job).or_else(|| policy_end(facts));
    if end.is_none() {
        let limit = usize::try_from(spec.backoff_limit.unwrap_or(6)).unwrap_or(0);
        end = if failures > limit || restarts_exceed(facts, limit) {
            Some(End::failure("BackoffLimitExceeded", "Job has reached the specified backoff limit"))
        } else if deadline_in == Some(Duration::ZERO) {
            Some(End::failure("DeadlineExceeded", "Job was active longer than specified deadline"))
        } else {
            indexes.as_ref().and_then(|state| index_end(facts, state))
        };
    }
    Observed {
        terminating: terminating.collect(),
        succeeded: match &indexes {
            Some(state) => state.succeeded.total() as i32,
            None => total as i32,
        },
        backoff: facts.backoff.after(&succeeded, &failed),
        active,
        indexes,
        end,
        deadline_in,
    }
}

/// The end that the status already tells of; nothing can change it any more.
fn recorded_end(job: &Job) -> Option<End> {
    let end = |success: bool, kind: &str| {
        let condition = job.condition(kind).filter(|c| c.status == "True")?;
        Some(End {
            success,
            reason: condition.reason.clone().unwrap_or_default(),
            message: condition.message.clone().unwrap_or_default(),
        })
    };
    end(true, "SuccessCriteriaMet").or_else(|| end(false, "FailureTarget"))
}

fn policy_end(facts: &Facts<'_>) -> Option<End> {
    facts.job.job_spec().pod_failure_policy.as_ref()?;
    let failed = facts.pods.iter().filter(|pod| facts.is_failed(pod));
    let message = failed.map(|pod| facts.judge(pod)).find_map(|failure| match failure {
        Failure::FailsJob(message) => Some(message),
        _ => None,
    })?;
    Some(End::failure("PodFailurePolicy", &message))
}

/// Containers that are restarted in place count as failures, too.
fn restarts_exceed(facts: &Facts<'_>, limit: usize) -> bool {
    let template = facts.job.job_spec().template.spec.as_ref();
    if template.and_then(|t| t.restart_policy.as_deref()) != Some("OnFailure") {
        return false;
    }
    let running = facts.pods.iter().filter(|p| matches!(p.phase(), "Running" | "Pending"));
    let restarts: i64 = running
        .flat_map(|pod| {
            let status = pod.pod_status();
            status.container_statuses.iter().chain(&status.init_container_statuses).flatten()
        })
        .map(|s| i64::from(s.restart_count))
        .sum();
    restarts > 0 && restarts >= limit as i64
}

/// Nothing while the Job is suspended: the clock stands still then.
fn deadline(facts: &Facts<'_>) -> Option<Duration> {
    let seconds = facts.job.job_spec().active_deadline_seconds.filter(|_| !facts.job.is_suspended())?;
    let start = facts.job.job_status().start_time.as_ref().map_or(facts.now, |t| t.0);
    let left = SignedDuration::from_secs(seconds) - facts.now.duration_since(start);
    Some(Duration::try_from(left).unwrap_or(Duration::ZERO))
}

fn index_end(facts: &Facts<'_>, state: &IndexState<'_>) -> Option<End> {
    let spec = facts.job.job_spec();
    if let Some(failed) = &state.failed {
        let most = spec.max_failed_indexes.and_then(|m| u32::try_from(m).ok());
        if most.is_some_and(|most| failed.total() > most) {
            let message = "Job has exceeded the specified maximal number of failed indexes";
            return Some(End::failure("MaxFailedIndexesExceeded", message));
        }
        if failed.total() > 0 && failed.total() + state.succeeded.total() >= state.completions {
            return Some(End::failure("FailedIndexes", "Job has failed indexes"));
        }
    }
    let met = policy::success(spec.success_policy.as_ref(), state.completions, &state.succeeded)?;
    Some(End::success("SuccessPolicy", &met))
}

fn index_state<'a>(facts: &Facts<'a>, completions: u32, active: &[&Pod]) -> IndexState<'a> {
    let status = facts.job.job_status();
    let counted = Indexes::parse(status.completed_indexes.as_deref().unwrap_or_default(), completions);
    let with_finalizer =
        || facts.pods.iter().filter(|p| p.metadata.has_finalizer(TRACKING_FINALIZER) && facts.is_valid(p));
    let done: Indexes = with_finalizer().filter(|p| p.phase() == "Succeeded").filter_map(index_of).collect();
    let succeeded = counted.union(&done);
    let failed = facts.job.job_spec().backoff_limit_per_index.map(|limit| {
        let before = Indexes::parse(status.failed_indexes.as_deref().unwrap_or_default(), completions);
        let new = with_finalizer().filter(|p| fails_index(facts, p, limit)).filter_map(index_of).collect();
        before.union(&new)
    });
    let waiting = match &failed {
        Some(failed) => waiting(facts, &succeeded, failed, active),
        None => BTreeMap::new(),
    };
    IndexState { completions, counted, succeeded, failed, waiting }
}

fn fails_index(facts: &Facts<'_>, pod: &Pod, limit: i32) -> bool {
    facts.is_failed(pod)
        && match facts.judge(pod) {
            Failure::FailsIndex => true,
            Failure::Ignored => false,
            Failure::Counts | Failure::FailsJob(_) => failure_count(pod) >= limit,
        }
}

/// Of each index that is still to do and has no pod that runs: the last pod that failed.
fn waiting<'a>(
    facts: &Facts<'a>,
    succeeded: &Indexes,
    failed: &Indexes,
    active: &[&Pod],
) -> BTreeMap<u32, &'a Pod> {
    let busy: Indexes = active.iter().filter_map(|p| index_of(p)).collect();
    let over = succeeded.union(failed).union(&busy);
    let mut last: BTreeMap<u32, &Pod> = BTreeMap::new();
    for pod in facts.fresh(None, |pod| facts.is_failed(pod)) {
        let Some(index) = index_of(pod).filter(|i| !over.has(*i)) else { continue };
        let rank = |pod: &Pod| (all_failures(pod), ended_at(pod));
        let known = last.entry(index).or_insert(pod);
        if rank(known) <= rank(pod) {
            *known = pod;
        }
    }
    last
}

/// How often the pod's index has failed before, as it counts.
pub(super) fn failure_count(pod: &Pod) -> i32 {
    number(pod, FAILURE_COUNT)
}

/// How often it failed and was ignored.
pub(super) fn ignored_count(pod: &Pod) -> i32 {
    number(pod, IGNORED_COUNT)
}

/// How often it failed at all.
pub(super) fn all_failures(pod: &Pod) -> i32 {
    failure_count(pod).saturating_add(ignored_count(pod))
}

pub(super) const FAILURE_COUNT: &str = "batch.kubernetes.io/job-index-failure-count";
pub(super) const IGNORED_COUNT: &str = "batch.kubernetes.io/job-index-ignored-failure-count";

/// 0 for what is no such number: users can write annotations.
fn number(pod: &Pod, annotation: &str) -> i32 {
    pod.metadata.annotation(annotation).and_then(|text| text.parse().ok()).filter(|n| *n >= 0).unwrap_or(0)
}

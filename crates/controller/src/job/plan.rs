//! Which pods to make, and which to give up.

use std::collections::BTreeMap;
use std::time::Duration;

use codec::Kind;
use k8s_openapi::api::core::v1::Pod;
use resources::batch::indexes::Indexes;
use resources::batch::job::JobExt;
use resources::core::pod::ordering::{Ranked, deletion_order};
use resources::owner::ObjectMetaExt;

use super::backoff::{self, ended_at};
use super::observe::{Facts, IndexState, Observed, all_failures, index_of};

/// At most so many at once; the rest follows when these are seen.
const BURST_MAX: usize = 500;

/// What to do about the pods.
#[derive(Debug, PartialEq)]
pub(super) enum Action<'a> {
    /// The end has come: these are deleted, and counted in what is said of the end.
    Stop(Vec<&'a Pod>),
    /// Too many, or suspended: they go uncounted.
    Remove(Vec<&'a Pod>),
    /// A pod for each, with its index if the Job is indexed.
    Create(Vec<Option<u32>>),
    /// Pods are to be made, but only then.
    Wait(Duration),
    Nothing,
    /// What was done before has not all been seen, or the Job is being deleted.
    NotNow,
}

pub(super) fn plan<'a>(facts: &Facts<'a>, observed: &Observed<'a>) -> Action<'a> {
    if observed.end.is_some() {
        return Action::Stop(observed.active.clone());
    }
    if !facts.settled || facts.job.metadata.is_deleting() {
        return Action::NotNow;
    }
    if facts.job.is_suspended() {
        return match observed.active.is_empty() {
            true => Action::Nothing,
            false => Action::Remove(observed.active.clone()),
        };
    }
    let wanted = wanted(facts, observed);
    let mut surplus = surplus(facts, observed, observed.active.len().saturating_sub(wanted));
    // Whoever gives pods up makes none in the same breath.
    if !surplus.is_empty() {
        surplus.truncate(BURST_MAX);
        return Action::Remove(surplus);
    }
    let leaving = if facts.job.replaces_ended_only() { observed.terminating.len() } else { 0 };
    match wanted.saturating_sub(observed.active.len() + leaving) {
        0 => Action::Nothing,
        missing => create(facts, observed, missing),
    }
}

/// How many should run now.
fn wanted(facts: &Facts<'_>, observed: &Observed<'_>) -> usize {
    let spec = facts.job.job_spec();
    let parallelism = usize::try_from(spec.parallelism.unwrap_or(1)).unwrap_or(0);
    match spec.completions {
        // Once one has found nothing left to do the others may finish, but none is added.
        None if observed.succeeded > 0 => observed.active.len(),
        None => parallelism,
        Some(completions) => usize::try_from(completions - observed.succeeded).unwrap_or(0).min(parallelism),
    }
}

fn create<'a>(facts: &Facts<'a>, observed: &Observed<'a>, missing: usize) -> Action<'a> {
    if !facts.has_limit_per_index() {
        let wait = observed.backoff.remaining(facts.now);
        if !wait.is_zero() {
            return Action::Wait(wait);
        }
    }
    let missing = missing.min(BURST_MAX);
    let Some(state) = &observed.indexes else { return Action::Create(vec![None; missing]) };
    let todo = pending(facts, observed, state, missing);
    let wait = |index: &u32| match state.waiting.get(index) {
        Some(pod) => {
            let failures = u32::try_from(all_failures(pod)).unwrap_or(0).saturating_add(1);
            backoff::remaining(failures, ended_at(pod), facts.now)
        }
        None => Duration::ZERO,
    };
    let now: Vec<_> = todo.iter().filter(|i| wait(i).is_zero()).map(|i| Some(*i)).collect();
    match (now.is_empty(), todo.iter().map(wait).min()) {
        (false, _) => Action::Create(now),
        (true, Some(wait)) => Action::Wait(wait),
        (true, None) => Action::Nothing,
    }
}

/// The first indexes that are neither done nor worked on.
fn pending(facts: &Facts<'_>, observed: &Observed<'_>, state: &IndexState<'_>, count: usize) -> Vec<u32> {
    let of = |pods: &[&Pod]| pods.iter().filter_map(|p| index_of(p)).collect::<Indexes>();
    let mut taken = state.succeeded.union(&of(&observed.active));
    if facts.job.replaces_ended_only() {
        taken = taken.union(&of(&observed.terminating));
    }
    if let Some(failed) = &state.failed {
        taken = taken.union(failed);
    }
    taken.first_missing(count, state.completions)
}

/// Pods of indexes that are none or have another pod, and as many more as it takes to be rid of `at_least`.
fn surplus<'a>(facts: &Facts<'_>, observed: &Observed<'a>, at_least: usize) -> Vec<&'a Pod> {
    let order = |a: &&Pod, b: &&Pod| {
        let rank = |pod| Ranked { pod, rank: 0 };
        deletion_order(rank(*a), rank(*b), facts.now).then_with(|| a.name().cmp(b.name()))
    };
    let (mut gone, mut left) = (Vec::new(), Vec::new());
    match &observed.indexes {
        None => left.clone_from(&observed.active),
        Some(state) => {
            let mut by_index: BTreeMap<u32, Vec<&Pod>> = BTreeMap::new();
            for pod in &observed.active {
                match index_of(pod).filter(|i| *i < state.completions) {
                    Some(index) => by_index.entry(index).or_default().push(pod),
                    None => gone.push(*pod),
                }
            }
            for mut pods in by_index.into_values() {
                pods.sort_by(order);
                left.extend(pods.pop());
                gone.extend(pods);
            }
        }
    }
    if gone.len() < at_least {
        left.sort_by(order);
        left.truncate(at_least - gone.len());
        gone.extend(left);
    }
    gone
}

//! What to do about a stateful set now. Pure: everything it knows is in [`Observed`].

use std::ops::ControlFlow::{self, Break, Continue};

use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, PodTemplateSpec};
use resources::apps::stateful_set::StatefulSetExt;
use resources::core::pod::PodExt;
use resources::owner::ObjectMetaExt;

use super::{claims, identity};

/// A template and the name of its revision.
pub struct Revision {
    pub name: String,
    pub template: PodTemplateSpec,
}

/// What a stateful set's controller knows.
pub struct Observed<'a> {
    pub set: &'a StatefulSet,
    /// Those it controls.
    pub pods: &'a [Pod],
    /// What the set was before its last change, as far as pods still are; else the same as `update`.
    pub current: &'a Revision,
    pub update: &'a Revision,
    pub claim: &'a (dyn Fn(&str) -> Option<PersistentVolumeClaim> + Sync),
    pub now: Timestamp,
}

/// One write.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// Claims that are missing come first.
    Create {
        pod: Box<Pod>,
        claims: Vec<PersistentVolumeClaim>,
    },
    /// Claims of a pod that waits for them.
    Claims {
        pod: Box<Pod>,
        claims: Vec<PersistentVolumeClaim>,
    },
    /// Labels or volumes.
    Update(Box<Pod>),
    /// Owners.
    UpdateClaim(Box<PersistentVolumeClaim>),
    Delete {
        pod: Box<Pod>,
        why: Why,
    },
    /// A claim of this pod is on its way out: the pod is made when it is gone.
    AwaitClaim(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    Failed,
    Succeeded,
    Scaled,
    Outdated,
}

/// The steps of now; the next ones follow when these are seen.
pub fn plan(observed: &Observed<'_>) -> Vec<Step> {
    let mut planner = Planner { observed, steps: Vec::new() };
    // A set that is being deleted makes no pods and removes none: the garbage collector does.
    if !observed.set.metadata.is_deleting() {
        let _: ControlFlow<()> = planner.run();
    }
    planner.steps
}

struct Planner<'a> {
    observed: &'a Observed<'a>,
    steps: Vec<Step>,
}

impl<'a> Planner<'a> {
    fn run(&mut self) -> ControlFlow<()> {
        let set = self.observed.set;
        let (mut blocked, mut replicas) = (false, Vec::new());
        for ordinal in set.ordinals() {
            let pod = self.pod(ordinal);
            if let Some(pod) = pod {
                replicas.push((ordinal, pod));
            }
            if self.replica(ordinal, pod).is_break() {
                blocked = true;
                if !set.is_parallel() {
                    return Break(());
                }
            }
        }
        let condemned = self.condemned();
        for (ordinal, pod) in &condemned {
            self.disown(*ordinal, pod, true);
        }
        self.scale_down(&condemned)?;
        if !blocked && set.is_rolling() {
            self.replace_outdated(&replicas);
        }
        Continue(())
    }

    fn pod(&self, ordinal: i32) -> Option<&'a Pod> {
        self.observed
            .pods
            .iter()
            .find(|pod| identity::ordinal(self.observed.set, pod.name()) == Some(ordinal))
    }

    /// Pods beyond the wanted ordinals, the highest first.
    fn condemned(&self) -> Vec<(i32, &'a Pod)> {
        let set = self.observed.set;
        let wanted = set.ordinals();
        let named =
            self.observed.pods.iter().filter_map(|pod| Some((identity::ordinal(set, pod.name())?, pod)));
        let mut condemned: Vec<_> = named.filter(|(ordinal, _)| !wanted.contains(ordinal)).collect();
        condemned.sort_by_key(|(ordinal, _)| std::cmp::Reverse(*ordinal));
        condemned
    }

    /// Break: those after it have to wait (unless the set is parallel), and so has an update.
    fn replica(&mut self, ordinal: i32, pod: Option<&'a Pod>) -> ControlFlow<()> {
        let Some(pod) = pod else {
            self.create(ordinal);
            return Break(());
        };
        if pod.is_terminal() {
            if !pod.metadata.is_deleting() {
                let why = if pod.phase() == "Failed" { Why::Failed } else { Why::Succeeded };
                self.steps.push(Step::Delete { pod: pod.clone().into(), why });
            }
            return Break(());
        }
        if pod.phase() == "Pending" {
            let missing = self.missing_claims(ordinal);
            if !missing.is_empty() {
                self.steps.push(Step::Claims { pod: pod.clone().into(), claims: missing });
            }
        }
        let set = self.observed.set;
        if !set.is_parallel() && !self.is_healthy(pod) {
            return Break(());
        }
        if let Some(pod) = identity::corrected(set, pod, ordinal) {
            self.steps.push(Step::Update(pod.into()));
        }
        self.disown(ordinal, pod, false);
        Continue(())
    }

    fn create(&mut self, ordinal: i32) {
        let set = self.observed.set;
        let revision = if self.is_held_back(ordinal) { self.observed.current } else { self.observed.update };
        let pod = identity::new_pod(set, &revision.template, &revision.name, ordinal);
        let stale = identity::claims(set, ordinal).iter().any(|claim| {
            let there = (self.observed.claim)(claim.name());
            there.is_some_and(|c| claims::is_stale(pod.name(), "", &c) || c.metadata.is_deleting())
        });
        if stale {
            self.steps.push(Step::AwaitClaim(pod.name().to_owned()));
            return;
        }
        let claims = self.missing_claims(ordinal);
        self.steps.push(Step::Create { pod: pod.into(), claims });
    }

    /// A pod of this ordinal is made from the revision before the last change.
    fn is_held_back(&self, ordinal: i32) -> bool {
        let set = self.observed.set;
        let rolling = set.spec.update_strategy.as_ref().and_then(|s| s.rolling_update.as_ref());
        let start = set.ordinals().start;
        match (set.is_rolling(), rolling) {
            (false, _) => false,
            (true, Some(_)) => ordinal < start.saturating_add(set.partition()),
            // Nobody says how far: as many as are of that revision now.
            (true, None) => {
                let current = set.status.as_ref().and_then(|s| s.current_replicas).unwrap_or(0);
                ordinal < start.saturating_add(current)
            }
        }
    }

    fn missing_claims(&self, ordinal: i32) -> Vec<PersistentVolumeClaim> {
        let set = self.observed.set;
        let missing =
            identity::claims(set, ordinal).into_iter().filter(|c| (self.observed.claim)(c.name()).is_none());
        missing.map(|claim| claims::with_owners(set, None, false, &claim).unwrap_or(claim)).collect()
    }

    /// Brings the owners of a pod's claims in line with the set's policy.
    fn disown(&mut self, ordinal: i32, pod: &Pod, condemned: bool) {
        let set = self.observed.set;
        for claim in identity::claims(set, ordinal) {
            let there = (self.observed.claim)(claim.name());
            if let Some(claim) = there.and_then(|c| claims::with_owners(set, Some(pod), condemned, &c)) {
                self.steps.push(Step::UpdateClaim(claim.into()));
            }
        }
    }

    /// One after the other, the highest ordinal first; none while another pod does not work, unless it is that pod's turn.
    fn scale_down(&mut self, condemned: &[(i32, &Pod)]) -> ControlFlow<()> {
        let parallel = self.observed.set.is_parallel();
        let sickest = condemned.iter().rev().map(|(_, pod)| *pod).find(|pod| !self.is_healthy(pod));
        for (_, pod) in condemned {
            if pod.metadata.is_deleting() {
                if !parallel {
                    return Break(());
                }
                continue;
            }
            let its_turn = sickest.is_some_and(|sickest| std::ptr::eq(sickest, *pod));
            if !parallel && !self.is_healthy(pod) && !its_turn {
                return Break(());
            }
            self.steps.push(Step::Delete { pod: (*pod).clone().into(), why: Why::Scaled });
            if !parallel {
                return Break(());
            }
        }
        Continue(())
    }

    /// Removes old pods from the highest ordinal down, so many that not too many are unavailable. Old ones that do not work
    /// anyway cost nothing.
    fn replace_outdated(&mut self, replicas: &[(i32, &Pod)]) {
        let set = self.observed.set;
        let lowest = set.ordinals().start.saturating_add(set.partition());
        let unavailable = replicas.iter().filter(|(_, pod)| !self.is_healthy(pod)).count() as i32;
        let mut room = set.max_unavailable() - unavailable;
        for (ordinal, pod) in replicas.iter().rev() {
            let current = identity::revision(pod) == self.observed.update.name;
            if *ordinal < lowest || current || pod.metadata.is_deleting() {
                continue;
            }
            let healthy = self.is_healthy(pod);
            if healthy && room <= 0 {
                continue;
            }
            room -= i32::from(healthy);
            self.steps.push(Step::Delete { pod: (*pod).clone().into(), why: Why::Outdated });
        }
    }

    fn is_healthy(&self, pod: &Pod) -> bool {
        !pod.metadata.is_deleting() && is_available(self.observed, pod)
    }
}

/// Runs and has been ready for long enough.
pub fn is_available(observed: &Observed<'_>, pod: &Pod) -> bool {
    let min_ready = observed.set.spec.min_ready_seconds.unwrap_or(0);
    pod.phase() == "Running" && pod.is_available(min_ready, observed.now)
}

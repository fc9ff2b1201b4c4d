//! What to do about a deployment now. Pure: everything it knows is in [`Observed`].

use std::time::Duration;

use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet};
use resources::apps::deployment::DeploymentExt;
use resources::owner::ObjectMetaExt;

use super::{progress, revision, scale};

/// What a deployment's controller knows.
pub struct Observed {
    pub deployment: Deployment,
    /// Those it controls.
    pub sets: Vec<ReplicaSet>,
    /// The uids of sets with pods that may still run, also such as are being deleted.
    pub old_pods_run: Vec<String>,
}

/// One write. Sets carry their annotations and replicas as they should be.
#[derive(Debug, PartialEq)]
pub enum Step {
    Create(ReplicaSet),
    /// Annotations or minReadySeconds alone.
    Update(ReplicaSet),
    Scale {
        set: ReplicaSet,
        from: i32,
    },
    Delete(ReplicaSet),
}

/// What to do, in this order, and then what to say.
#[derive(Debug)]
pub struct Plan {
    pub steps: Vec<Step>,
    /// The deployment's revision annotation, when it is known.
    pub revision: Option<String>,
    pub status: DeploymentStatus,
    /// When the deadline for progress passes.
    pub requeue: Option<Duration>,
}

/// A deployment's sets while they are being planned, and as they were.
pub(super) struct Family<'a> {
    pub deployment: &'a Deployment,
    pub new: Option<ReplicaSet>,
    /// By age, oldest first.
    pub old: Vec<ReplicaSet>,
    observed: &'a [ReplicaSet],
}

pub fn plan(observed: &Observed, now: Timestamp) -> Plan {
    let deployment = &observed.deployment;
    let mut family = Family::of(deployment, &observed.sets);
    if deployment.metadata.is_deleting() {
        return family.done(progress::plain(deployment, &family, now), None, Vec::new());
    }
    let paused = deployment.spec.paused == Some(true);
    let old_revision = deployment.metadata.annotation(revision::REVISION).map(str::to_owned);
    let revision = family.annotate_new().or(old_revision);
    if paused || family.is_being_scaled() {
        scale::proportionally(&mut family);
        let doomed = if paused { family.superfluous() } else { Vec::new() };
        let status = progress::plain(deployment, &family, now);
        return family.done(status, revision, doomed);
    }
    let created = match deployment.is_rolling() {
        true => family.roll(),
        false => family.recreate(&observed.old_pods_run),
    };
    let revision = created.clone().or(revision);
    let status = progress::of_rollout(deployment, &family, created.is_some(), now);
    let doomed = if progress::is_complete(deployment, &status) { family.superfluous() } else { Vec::new() };
    let requeue = progress::deadline(deployment, &status, now);
    Plan { requeue, ..family.done(status, revision, doomed) }
}

impl<'a> Family<'a> {
    fn of(deployment: &'a Deployment, observed: &'a [ReplicaSet]) -> Self {
        let (new, old) = revision::split(deployment, observed);
        Family { deployment, new, old, observed }
    }

    /// Every set as planned, old ones first.
    pub fn all(&self) -> impl Iterator<Item = &ReplicaSet> {
        self.old.iter().chain(&self.new)
    }

    /// Every set as it is.
    pub fn as_observed(&self) -> &'a [ReplicaSet] {
        self.observed
    }

    pub fn new_as_observed(&self) -> Option<&'a ReplicaSet> {
        let new = self.new.as_ref()?;
        self.observed.iter().find(|set| set.name() == new.name())
    }

    /// Gives the set of the current template, if there is one, the newest revision. That revision.
    fn annotate_new(&mut self) -> Option<String> {
        let next = revision::max(&self.old) + 1;
        let new = self.new.as_mut()?;
        revision::annotate(self.deployment, new, next, true);
        new.spec.min_ready_seconds = self.deployment.spec.min_ready_seconds;
        new.metadata.annotation(revision::REVISION).map(str::to_owned)
    }

    /// Makes the set of the current template if there is none. Its revision, if it was made.
    fn create_new(&mut self) -> Option<String> {
        if self.new.is_some() {
            return None;
        }
        let next = revision::max(&self.old) + 1;
        let mut new = revision::new_set(self.deployment, next);
        let replicas = scale::new_replicas(self.deployment, &self.old, 0);
        scale::set(self.deployment, &mut new, replicas);
        self.new = Some(new);
        Some(next.to_string())
    }

    /// The wanted number differs from the one that the sets were made for.
    fn is_being_scaled(&self) -> bool {
        let active = self.all().filter(|set| scale::spec(set) > 0);
        let desired = |set: &ReplicaSet| scale::annotation(set, scale::DESIRED);
        active.filter_map(desired).any(|desired| desired != self.deployment.replicas())
    }

    /// A new set grows first, then old ones shrink; each as far as surge and availability allow.
    fn roll(&mut self) -> Option<String> {
        let created = self.create_new();
        if created.is_none() && !scale::grow_new(self) {
            scale::shrink_old(self);
        }
        created
    }

    /// Nothing new before everything old has ended.
    fn recreate(&mut self, running: &[String]) -> Option<String> {
        if self.old.iter().any(|set| scale::spec(set) > 0) {
            for set in &mut self.old {
                scale::set(self.deployment, set, 0);
            }
            return None;
        }
        if self.old.iter().any(|set| running.iter().any(|uid| uid == set.uid())) {
            return None;
        }
        let created = self.create_new();
        let replicas = self.deployment.replicas();
        if let Some(new) = self.new.as_mut().filter(|new| scale::spec(new) != replicas) {
            scale::set(self.deployment, new, replicas);
        }
        created
    }

    /// Old sets beyond the history limit that nothing depends on any more.
    fn superfluous(&self) -> Vec<ReplicaSet> {
        let limit = match self.deployment.spec.revision_history_limit {
            None | Some(i32::MAX) => return Vec::new(),
            Some(limit) => limit.max(0) as usize,
        };
        let mut old: Vec<_> = self.old.iter().filter(|set| !set.metadata.is_deleting()).collect();
        let excess = old.len().saturating_sub(limit);
        old.sort_by_key(|set| revision::of(set));
        let idle = |set: &&&ReplicaSet| {
            let status = set.status.clone().unwrap_or_default();
            let seen = set.metadata.generation <= status.observed_generation;
            status.replicas == 0 && scale::spec(set) == 0 && seen
        };
        old[..excess].iter().filter(idle).map(|set| (*set).clone()).collect()
    }

    /// The writes that make of the observed sets the planned ones.
    fn done(&self, status: DeploymentStatus, revision: Option<String>, doomed: Vec<ReplicaSet>) -> Plan {
        let changes = self.new.iter().chain(&self.old).filter_map(|set| {
            let Some(was) = self.observed.iter().find(|was| was.name() == set.name()) else {
                return Some(Step::Create(set.clone()));
            };
            let (from, to) = (scale::spec(was), scale::spec(set));
            match set {
                _ if from != to => Some(Step::Scale { set: set.clone(), from }),
                _ if set != was => Some(Step::Update(set.clone())),
                _ => None,
            }
        });
        let deletions = doomed.into_iter().map(Step::Delete);
        Plan { steps: changes.chain(deletions).collect(), revision, status, requeue: None }
    }
}

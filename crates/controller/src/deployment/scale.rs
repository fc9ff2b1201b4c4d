//! How many pods each replica set should have.

use codec::Kind;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use resources::apps::deployment::DeploymentExt;
use resources::owner::ObjectMetaExt;

use super::plan::Family;

/// The wanted number of pods that a set was last scaled for…
pub const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
/// …and the same with the surge.
pub const MAX: &str = "deployment.kubernetes.io/max-replicas";

/// How many pods a set shall have.
pub fn spec(set: &ReplicaSet) -> i32 {
    set.spec.replicas.unwrap_or(1)
}

fn available(set: &ReplicaSet) -> i32 {
    set.status.as_ref().and_then(|s| s.available_replicas).unwrap_or(0)
}

/// A number in an annotation.
pub fn annotation(set: &ReplicaSet, key: &str) -> Option<i32> {
    set.metadata.annotation(key)?.parse().ok()
}

/// Gives a set a number of pods, and notes for which total.
pub fn set(deployment: &Deployment, set: &mut ReplicaSet, replicas: i32) {
    let (surge, _) = deployment.surge_and_unavailable();
    set.spec.replicas = Some(replicas);
    let annotations = set.metadata.annotations.get_or_insert_default();
    annotations.insert(DESIRED.into(), deployment.replicas().to_string());
    annotations.insert(MAX.into(), (deployment.replicas() + surge).to_string());
}

/// The size of the current template's set, which has `now`, in the next step.
pub fn new_replicas(deployment: &Deployment, old: &[ReplicaSet], now: i32) -> i32 {
    let wanted = deployment.replicas();
    if !deployment.is_rolling() {
        return wanted;
    }
    let (surge, _) = deployment.surge_and_unavailable();
    let total: i32 = old.iter().map(spec).sum::<i32>() + now;
    let room = wanted + surge - total;
    if room <= 0 {
        return now;
    }
    now + room.min(wanted - now)
}

/// True when the new set's size changes.
pub fn grow_new(family: &mut Family<'_>) -> bool {
    let deployment = family.deployment;
    let Some(new) = &mut family.new else { return false };
    let (now, wanted) = (spec(new), deployment.replicas());
    let next = if now > wanted { wanted } else { new_replicas(deployment, &family.old, now) };
    if next != now {
        set(deployment, new, next);
    }
    next != now
}

/// Takes from old sets: first what does not work anyway, then as much as availability allows.
pub fn shrink_old(family: &mut Family<'_>) {
    let deployment = family.deployment;
    let (_, max_unavailable) = deployment.surge_and_unavailable();
    let min_available = deployment.replicas() - max_unavailable;
    let total: i32 = family.all().map(spec).sum();
    let new_unavailable = family.new.as_ref().map_or(0, |new| spec(new) - available(new));
    let most = total - min_available - new_unavailable;
    if most <= 0 {
        return;
    }
    let all_available: i32 = family.all().map(available).sum();
    let mut left = most;
    for old in family.old.iter_mut().filter(|old| spec(old) > 0) {
        let broken = (spec(old) - available(old)).clamp(0, left.max(0));
        if broken > 0 {
            let next = spec(old) - broken;
            set(deployment, old, next);
            left -= broken;
        }
    }
    let mut left = all_available - min_available;
    for old in family.old.iter_mut().filter(|old| spec(old) > 0) {
        let taken = spec(old).min(left.max(0));
        if taken > 0 {
            let next = spec(old) - taken;
            set(deployment, old, next);
            left -= taken;
        }
    }
}

/// Brings the sets to the wanted total. In the middle of a rollout each keeps its share, so that scaling up a bad rollout does
/// not make it worse.
pub fn proportionally(family: &mut Family<'_>) {
    let deployment = family.deployment;
    let wanted = deployment.replicas();
    if let Some(only) = only_one(family) {
        if spec(only) != wanted {
            set(deployment, only, wanted);
        }
        return;
    }
    if family.new.as_ref().is_some_and(|new| is_saturated(deployment, new)) {
        for old in family.old.iter_mut().filter(|old| spec(old) > 0) {
            set(deployment, old, 0);
        }
        return;
    }
    if deployment.is_rolling() {
        share(family);
    }
}

/// The set that alone has pods, or would be the first to get some.
fn only_one<'a>(family: &'a mut Family<'_>) -> Option<&'a mut ReplicaSet> {
    let active = family.all().filter(|set| spec(set) > 0).count();
    match active {
        0 if family.new.is_some() => family.new.as_mut(),
        0 => family.old.last_mut(),
        1 => family.old.iter_mut().chain(&mut family.new).find(|set| spec(set) > 0),
        _ => None,
    }
}

/// The set has everything that is wanted, and it works.
fn is_saturated(deployment: &Deployment, set: &ReplicaSet) -> bool {
    let wanted = deployment.replicas();
    spec(set) == wanted && annotation(set, DESIRED) == Some(wanted) && available(set) == wanted
}

fn share(family: &mut Family<'_>) {
    let deployment = family.deployment;
    let wanted = deployment.replicas();
    let (surge, _) = deployment.surge_and_unavailable();
    let allowed = if wanted > 0 { wanted + surge } else { 0 };
    let mut active: Vec<_> =
        family.old.iter_mut().chain(&mut family.new).filter(|set| spec(set) > 0).collect();
    let change = allowed - active.iter().map(|set| spec(set)).sum::<i32>();
    // The largest bear the rounding; among equals a growing deployment favours new sets, a shrinking one takes from old ones.
    active.sort_by(|a, b| {
        let created = |set: &ReplicaSet| set.metadata.creation_timestamp.clone();
        let by_age = created(a).cmp(&created(b)).then_with(|| a.name().cmp(b.name()));
        spec(b).cmp(&spec(a)).then(if change > 0 { by_age.reverse() } else { by_age })
    });
    let mut given = 0;
    let mut sizes = Vec::with_capacity(active.len());
    for replica_set in &active {
        let part = if change == 0 { 0 } else { proportion(deployment, replica_set, change, given) };
        given += part;
        sizes.push(spec(replica_set) + part);
    }
    if let Some(first) = sizes.first_mut().filter(|_| change != 0) {
        *first = (*first + change - given).max(0);
    }
    for (replica_set, size) in active.into_iter().zip(sizes) {
        set(deployment, replica_set, size);
    }
}

/// A set's part of `change`, of which `given` is taken.
fn proportion(deployment: &Deployment, set: &ReplicaSet, change: i32, given: i32) -> i32 {
    if change == given {
        return 0;
    }
    let (fraction, left) = (fraction(deployment, set), change - given);
    if change > 0 { fraction.min(left) } else { fraction.max(left) }
}

/// How much the set would change if it kept its share of the whole exactly.
fn fraction(deployment: &Deployment, set: &ReplicaSet) -> i32 {
    let wanted = deployment.replicas();
    if wanted == 0 {
        return -spec(set);
    }
    let (surge, _) = deployment.surge_and_unavailable();
    let before = match annotation(set, MAX) {
        Some(max) if max > 0 => max,
        // Made by somebody who notes nothing: what the deployment had last is the best guess.
        _ => deployment.status.as_ref().and_then(|s| s.replicas).unwrap_or(0),
    };
    if before == 0 {
        return 0;
    }
    let size = f64::from(spec(set)) * f64::from(wanted + surge) / f64::from(before);
    size.round() as i32 - spec(set)
}

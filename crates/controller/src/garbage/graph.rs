//! Who belongs to whom, by uid: only objects with owners, and those that wait for their dependents.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use apimachinery::ObjectKey;
use apimachinery::meta::Owner;
use client::transport::Change;

use super::{FOREGROUND, ORPHAN, Work};

type Uid = Arc<str>;

/// An owner as a dependent names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerAt {
    pub api_version: Arc<str>,
    pub kind: Arc<str>,
    pub name: Arc<str>,
    pub uid: Uid,
}

/// Where an object is, and whom it names as owners.
#[derive(Clone, Debug)]
pub struct Place {
    /// Index of its resource.
    pub resource: usize,
    pub key: ObjectKey,
    pub owners: Vec<OwnerAt>,
}

#[derive(Debug, Default)]
pub struct Graph {
    owned: HashMap<Uid, Place>,
    /// By owner: its dependents, and whether each blocks the owner's deletion.
    dependents: HashMap<Uid, HashMap<Uid, bool>>,
    /// Being deleted with a finalizer of ours.
    waiting: HashMap<Uid, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    place: Place,
    foreground: bool,
}

impl Graph {
    /// Takes a change in; what should be looked at because of it.
    pub fn observe(&mut self, resource: usize, change: &Change) -> Vec<Work> {
        let mut work = Vec::new();
        let replaced = matches!(
            (&change.old, &change.new), (Some(old), Some(new)) if old.meta.uid != new.meta.uid
        );
        if let Some(old) = change.old.as_ref().filter(|_| replaced || change.new.is_none()) {
            self.remove(&old.meta.uid, &mut work);
        }
        if let Some(new) = &change.new {
            self.put(resource, new, &mut work);
        }
        work
    }

    fn put(&mut self, resource: usize, object: &cache::Object, work: &mut Vec<Work>) {
        let uid = &object.meta.uid;
        let place = Place {
            resource,
            key: object.key.clone(),
            owners: object.meta.owners.iter().map(owner_at).collect(),
        };
        self.link(uid, &place, &object.meta.owners, work);
        let has = |name: &str| object.meta.finalizers.iter().any(|f| **f == *name);
        let (foreground, orphan) = (has(FOREGROUND), has(ORPHAN));
        if object.meta.deleting && (foreground || orphan) {
            let news = self.waiting.insert(uid.clone(), Waiting { place, foreground }).is_none();
            match foreground {
                true => work.push(Work::Foreground(uid.clone())),
                false => work.push(Work::Orphan(uid.clone())),
            }
            if news && foreground {
                work.extend(self.dependents(uid).into_iter().map(|(dependent, _)| Work::Judge(dependent)));
            }
        } else {
            self.waiting.remove(uid);
        }
    }

    fn link(&mut self, uid: &Uid, place: &Place, owners: &[Owner], work: &mut Vec<Work>) {
        let before: HashSet<Uid> = self.owned.get(uid).map(owner_uids).unwrap_or_default();
        let after: HashSet<Uid> = owner_uids(place);
        for gone in before.difference(&after) {
            self.unlink(gone, uid, work);
        }
        for owner in owners {
            let of = self.dependents.entry(owner.uid.clone()).or_default();
            let blocked = of.insert(uid.clone(), owner.block_owner_deletion);
            if blocked == Some(true) && !owner.block_owner_deletion && self.waiting.contains_key(&owner.uid) {
                work.push(Work::Foreground(owner.uid.clone()));
            }
        }
        match after.is_empty() {
            true => drop(self.owned.remove(uid)),
            false => drop(self.owned.insert(uid.clone(), place.clone())),
        }
        if !after.is_empty() && before != after {
            work.push(Work::Judge(uid.clone()));
        }
    }

    /// `dependent` no longer names `owner`, or is gone.
    fn unlink(&mut self, owner: &Uid, dependent: &Uid, work: &mut Vec<Work>) {
        if let Some(of) = self.dependents.get_mut(owner) {
            of.remove(dependent);
            if of.is_empty() {
                self.dependents.remove(owner);
            }
        }
        if self.is_foreground(owner) {
            work.push(Work::Foreground(owner.clone()));
        }
    }

    fn remove(&mut self, uid: &Uid, work: &mut Vec<Work>) {
        self.waiting.remove(uid);
        if let Some(place) = self.owned.remove(uid) {
            owner_uids(&place).iter().for_each(|owner| self.unlink(owner, uid, work));
        }
        work.extend(self.dependents(uid).into_iter().map(|(dependent, _)| Work::Judge(dependent)));
    }

    pub fn place(&self, uid: &str) -> Option<Place> {
        self.owned.get(uid).cloned()
    }

    /// Dependents, and whether each blocks.
    pub fn dependents(&self, uid: &str) -> Vec<(Uid, bool)> {
        let of = self.dependents.get(uid);
        of.into_iter().flatten().map(|(dependent, blocks)| (dependent.clone(), *blocks)).collect()
    }

    pub fn has_dependents(&self, uid: &str) -> bool {
        self.dependents.contains_key(uid)
    }

    /// An object that is being deleted and waits for us.
    pub fn waiting(&self, uid: &str) -> Option<Place> {
        self.waiting.get(uid).map(|w| w.place.clone())
    }

    pub fn is_foreground(&self, uid: &str) -> bool {
        self.waiting.get(uid).is_some_and(|w| w.foreground)
    }
}

fn owner_at(owner: &Owner) -> OwnerAt {
    OwnerAt {
        api_version: owner.api_version.clone(),
        kind: owner.kind.clone(),
        name: owner.name.clone(),
        uid: owner.uid.clone(),
    }
}

fn owner_uids(place: &Place) -> HashSet<Uid> {
    place.owners.iter().map(|o| o.uid.clone()).collect()
}

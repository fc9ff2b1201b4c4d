//! Deleting: preconditions, grace, finalizers, what becomes of dependents.

use apimachinery::status::Details;
use apimachinery::{GroupResource, Status};
use bytes::Bytes;
use cache::Object;
use codec::AnyObject;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use resources::Resource;
use resources::strategy::{Grace, Part};

use crate::admit::{Attributes, Operation};
use crate::create::{namespace_of, whole_seconds};
use crate::namespaces;
use crate::options::{DeleteOptions, ListOptions, Propagation};
use crate::registry::{Registry, Target};
use crate::rows::{Commit, Refused};

/// The garbage collector removes them when it has dealt with the dependents.
pub const ORPHAN: &str = "orphan";
pub const FOREGROUND: &str = "foregroundDeletion";

const ATTEMPTS: usize = 128;
/// So many objects of a collection are deleted at once: their writes share a sync of the disk.
const AT_ONCE: usize = 64;

/// Kinds whose dependents stay when the request does not say, as they did before there was a garbage collector.
const ORPHAN_BY_DEFAULT: &[(&str, &str)] = &[("", "replicationcontrollers"), ("batch", "jobs")];

const PODS_STAY: &str = "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background \
    to remove them or set propagationPolicy=Orphan to suppress this warning";

/// Kinds that answer a finished deletion with the object, not with a `Status`.
const SHOW_DELETED: &[(&str, &str)] = &[
    ("", "pods"),
    ("", "services"),
    ("", "serviceaccounts"),
    ("", "podtemplates"),
    ("", "resourcequotas"),
    ("", "persistentvolumes"),
    ("", "persistentvolumeclaims"),
];

/// What to warn of who deletes with such options.
pub fn delete_warning(resource: &Resource, options: &DeleteOptions) -> Option<&'static str> {
    let jobs = &*resource.gvr.group == "batch" && &*resource.gvr.resource == "jobs";
    (jobs && options.propagation.is_none()).then_some(PODS_STAY)
}

/// What a delete did.
#[derive(Clone, Debug)]
pub enum Deleted {
    /// The object is gone; it was so.
    Gone(Bytes),
    /// The object is gone or going; there is nothing to show.
    Done(Status),
    /// The object is marked and waits for its grace period or its finalizers.
    Pending(Bytes),
}

/// What a delete means for an object as it is.
enum Step {
    /// Nothing changes: its deletion is under way.
    Nothing,
    /// Mark it so.
    Mark(Box<dyn AnyObject>),
    Remove,
}

impl Registry {
    /// Deletes an object, or marks it to be deleted.
    pub async fn delete(&self, target: &Target<'_>, options: &DeleteOptions) -> Result<Deleted, Status> {
        let conditional = options.uid.is_some() || options.resource_version.is_some();
        for attempt in 0..ATTEMPTS {
            match self.delete_once(target, options).await {
                Ok(deleted) => return Ok(deleted),
                // Read again: a precondition that no longer holds says so itself.
                Err(Refused::Changed | Refused::Exists) => {
                    tracing::trace!(key = %target.key(), attempt, conditional, "delete lost a race");
                }
                Err(Refused::Failed(status)) => return Err(status),
            }
        }
        Err(target.conflict(crate::update::MODIFIED))
    }

    async fn delete_once(&self, target: &Target<'_>, options: &DeleteOptions) -> Result<Deleted, Refused> {
        let key = target.key();
        let stored = self.rows.latest(target.resource, &key).await?;
        let stored = stored.ok_or_else(|| Refused::Failed(target.not_found()))?;
        let old = target.decode(&stored)?;
        check_preconditions(target, old.object_meta(), options)?;
        let attributes = Attributes {
            operation: Operation::Delete,
            gvk: &target.resource.gvk,
            gvr: &target.resource.gvr,
            part: Part::Main,
            subresource: "",
            namespace: namespace_of(target, target.name),
            name: target.name,
            user: &options.user,
            dry_run: options.dry_run,
            object: None,
            old: Some(&*old),
        };
        self.admit(&attributes).await?;
        match step(target, &*old, options, whole_seconds(self.clock.now())) {
            Step::Nothing => Ok(Deleted::Pending(stored.json().clone())),
            Step::Mark(mut new) => {
                new.object_meta_mut().resource_version = None;
                if options.dry_run {
                    let json = codec::splice::with_resource_version(&new.encode(), stored.revision);
                    return Ok(Deleted::Pending(json));
                }
                let commit = Commit::update(target, &stored, &*new)?;
                let marked = self.rows.commit(target.resource, commit).await?;
                Ok(Deleted::Pending(marked.json().clone()))
            }
            Step::Remove => {
                if !options.dry_run {
                    self.remove(target, &stored, &*old).await?;
                }
                Ok(shown(target, &stored, old.object_meta()))
            }
        }
    }

    /// Takes the object out of the store and gives back what it had allocated.
    pub(crate) async fn remove(
        &self,
        target: &Target<'_>,
        stored: &Object,
        last: &dyn AnyObject,
    ) -> Result<(), Refused> {
        let mut shown = last.clone_box();
        shown.object_meta_mut().resource_version = None;
        self.rows.commit_delete(target.resource, stored, Some(shown.encode().into())).await?;
        self.release(last).await;
        Ok(())
    }

    /// Deletes what the options list; what somebody else deletes meanwhile is no error. Returns the objects as they were.
    pub async fn delete_collection(
        &self,
        target: &Target<'_>,
        wanted: &ListOptions,
        options: &DeleteOptions,
    ) -> Result<crate::Listing, Status> {
        let listing = self.list(target, wanted).await?;
        for chunk in listing.items.chunks(AT_ONCE) {
            let deletes = chunk.iter().map(|object| self.delete_listed(target.resource, object, options));
            for done in futures::future::join_all(deletes).await {
                done?;
            }
        }
        Ok(listing)
    }

    async fn delete_listed(
        &self,
        resource: &Resource,
        object: &Object,
        options: &DeleteOptions,
    ) -> Result<(), Status> {
        let one = Target { resource, namespace: &object.key.namespace, name: &object.key.name };
        match self.delete(&one, options).await {
            Err(status) if !status.is_not_found() => Err(status),
            _ => Ok(()),
        }
    }
}

/// Whether nothing keeps an object any longer that is being deleted.
pub(crate) fn finished(object: &dyn AnyObject) -> bool {
    let meta = object.object_meta();
    meta.deletion_timestamp.is_some()
        && meta.finalizers.as_deref().unwrap_or_default().is_empty()
        && meta.deletion_grace_period_seconds.unwrap_or(0) == 0
        && object.downcast_ref::<Namespace>().is_none_or(|ns| namespaces::finalizers(ns).is_empty())
}

fn check_preconditions(
    target: &Target<'_>,
    meta: &ObjectMeta,
    options: &DeleteOptions,
) -> Result<(), Status> {
    let record = |value: &Option<String>| value.clone().unwrap_or_default();
    // Upstream names the kind here, not the resource.
    let gvk = &target.resource.gvk;
    let kind = GroupResource { group: gvk.group.clone(), resource: gvk.kind.clone() };
    if let Some(uid) = options.uid.as_deref().filter(|u| meta.uid.as_deref() != Some(*u)) {
        let why = format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been \
             deleted and then recreated",
            record(&meta.uid)
        );
        return Err(Status::conflict(&kind, target.name, &why));
    }
    let other = |v: &&str| meta.resource_version.as_deref() != Some(*v);
    if let Some(version) = options.resource_version.as_deref().filter(other) {
        let why = format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({}). \
             The object might have been modified",
            record(&meta.resource_version)
        );
        return Err(Status::conflict(&kind, target.name, &why));
    }
    Ok(())
}

/// Decides what the delete does, from values alone.
fn step(target: &Target<'_>, old: &dyn AnyObject, options: &DeleteOptions, now: Timestamp) -> Step {
    let grace = target.strategy().grace(old, options.grace_period_seconds);
    let mut new = old.clone_box();
    let going = new.object_meta().deletion_timestamp.is_some();
    let waits = match (grace, going) {
        (Grace::Immediate, _) => false,
        (Grace::Seconds(_), true) => match shorten(new.object_meta_mut(), options.grace_period_seconds) {
            Shortened::Pending => return Step::Nothing,
            Shortened::To(seconds) => seconds > 0,
            Shortened::Over => false,
        },
        (Grace::Seconds(seconds), false) => {
            mark(new.object_meta_mut(), seconds, now);
            seconds > 0
        }
    };
    let meta = new.object_meta_mut();
    set_dependents_finalizer(target, meta, options);
    namespaces::terminate(&mut *new, now);
    let meta = new.object_meta_mut();
    let kept = !meta.finalizers.as_deref().unwrap_or_default().is_empty();
    let held = old.downcast_ref::<Namespace>().is_some_and(|ns| !namespaces::finalizers(ns).is_empty());
    if !waits && !kept && !held {
        return Step::Remove;
    }
    if !waits {
        mark_now(meta, now);
    }
    if new.equals(old) { Step::Nothing } else { Step::Mark(new) }
}

enum Shortened {
    /// The running grace period stays.
    Pending,
    To(i64),
    /// It was at its end already.
    Over,
}

/// A second delete may only shorten the grace period of the first.
fn shorten(meta: &mut ObjectMeta, requested: Option<i64>) -> Shortened {
    let Some(current) = meta.deletion_grace_period_seconds.filter(|s| *s != 0) else {
        return Shortened::Over;
    };
    match (requested, &meta.deletion_timestamp) {
        (Some(wanted), Some(end)) if wanted < current => {
            let wanted = wanted.max(0);
            let moved = end.0.saturating_sub(SignedDuration::from_secs(current - wanted));
            meta.deletion_timestamp = Some(Time(moved.unwrap_or(end.0)));
            meta.deletion_grace_period_seconds = Some(wanted);
            Shortened::To(wanted)
        }
        _ => Shortened::Pending,
    }
}

fn mark(meta: &mut ObjectMeta, seconds: i64, now: Timestamp) {
    let end = now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(now);
    meta.deletion_timestamp = Some(Time(end));
    meta.deletion_grace_period_seconds = Some(seconds);
    raise_generation(meta);
}

/// For kinds without a grace period, whose finalizers keep them.
fn mark_now(meta: &mut ObjectMeta, now: Timestamp) {
    match &meta.deletion_timestamp {
        None => {
            raise_generation(meta);
            meta.deletion_timestamp = Some(Time(now));
        }
        Some(later) if later.0 > now => meta.deletion_timestamp = Some(Time(now)),
        Some(_) => {}
    }
    meta.deletion_grace_period_seconds = Some(0);
}

fn raise_generation(meta: &mut ObjectMeta) {
    if let Some(generation) = meta.generation.as_mut().filter(|g| **g > 0) {
        *generation += 1;
    }
}

/// Leaves at most one of the garbage collector's finalizers, the one that is asked for.
fn set_dependents_finalizer(target: &Target<'_>, meta: &mut ObjectMeta, options: &DeleteOptions) {
    let finalizers = meta.finalizers.take().unwrap_or_default();
    let had = |name: &str| finalizers.iter().any(|f| f == name);
    let gvr = &target.resource.gvr;
    let by_default = ORPHAN_BY_DEFAULT.contains(&(&*gvr.group, &*gvr.resource));
    let wanted = match options.propagation {
        Some(Propagation::Orphan) => Some(ORPHAN),
        Some(Propagation::Foreground) => Some(FOREGROUND),
        Some(Propagation::Background) => None,
        None if had(ORPHAN) => Some(ORPHAN),
        None if had(FOREGROUND) => Some(FOREGROUND),
        None if by_default => Some(ORPHAN),
        None => None,
    };
    let present = wanted.is_some_and(had);
    let mut kept: Vec<String> =
        finalizers.into_iter().filter(|f| (f != ORPHAN && f != FOREGROUND) || Some(&**f) == wanted).collect();
    if let Some(name) = wanted.filter(|_| !present) {
        kept.push(name.to_owned());
    }
    meta.finalizers = (!kept.is_empty()).then_some(kept);
}

fn shown(target: &Target<'_>, stored: &Object, meta: &ObjectMeta) -> Deleted {
    let gvr = &target.resource.gvr;
    if SHOW_DELETED.contains(&(&*gvr.group, &*gvr.resource)) {
        return Deleted::Gone(stored.json().clone());
    }
    Deleted::Done(Status::success(Details {
        name: target.name.into(),
        group: gvr.group.to_string(),
        kind: gvr.resource.to_string(),
        uid: meta.uid.clone().unwrap_or_default(),
        ..Details::default()
    }))
}

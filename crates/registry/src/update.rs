//! Updates and patches: one loop that reads, changes, admits, validates and writes, until nobody was faster.

use apimachinery::Status;
use apimachinery::field::{Error, ErrorList, Path, Raw};
use codec::AnyObject;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use resources::strategy::Part;
use storage::Durability;

use crate::admit::{Attributes, Operation};
use crate::create::{name_of, namespace_of};
use crate::delete;
use crate::managed::{self, Write};
use crate::options::WriteOptions;
use crate::registry::{Registry, Target, Written};
use crate::rows::{Commit, Refused};

/// Attempts against concurrent writers before a conflict is reported.
const ATTEMPTS: usize = 128;
/// What a stale resourceVersion is told.
pub(crate) const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

/// What a change made of the stored object.
pub struct Changed {
    pub object: Box<dyn AnyObject>,
    pub warnings: Vec<String>,
}

/// One change of one object: given the stored one, makes the wanted one. Called again after each lost race.
pub type Change<'a> = dyn Fn(&dyn AnyObject) -> Result<Changed, Status> + Send + Sync + 'a;

/// Which write an update is.
#[derive(Clone, Copy, Debug)]
pub struct Kind<'a> {
    pub part: Part,
    pub subresource: &'a str,
    /// A client's own resourceVersion and uid bind it.
    pub checked: bool,
}

impl Registry {
    /// Replaces an object's `part` by `object`.
    pub async fn update(
        &self,
        target: &Target<'_>,
        object: Box<dyn AnyObject>,
        part: Part,
        subresource: &str,
        options: &WriteOptions,
    ) -> Result<Written, Status> {
        matches_request(target, &*object)?;
        let creates = part == Part::Main && options.may_create && target.strategy().allow_create_on_update();
        if creates && self.rows.latest(target.resource, &target.key()).await?.is_none() {
            return self.create_by_update(target, object, options).await;
        }
        let change = |_: &dyn AnyObject| Ok(Changed { object: object.clone_box(), warnings: Vec::new() });
        self.change(target, Kind { part, subresource, checked: true }, &change, options).await
    }

    pub(crate) async fn create_by_update(
        &self,
        target: &Target<'_>,
        mut object: Box<dyn AnyObject>,
        options: &WriteOptions,
    ) -> Result<Written, Status> {
        let meta = object.object_meta_mut();
        if let Some(uid) = meta.uid.as_deref().filter(|u| !u.is_empty()) {
            return Err(match options.applied {
                true => target.conflict(&format!(
                    "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                )),
                false => target.other_uid(uid, ""),
            });
        }
        meta.resource_version = None;
        self.create(target, object, options).await
    }

    /// Applies `change` to the stored object, again and again until no concurrent write came between.
    pub async fn change(
        &self,
        target: &Target<'_>,
        kind: Kind<'_>,
        change: &Change<'_>,
        options: &WriteOptions,
    ) -> Result<Written, Status> {
        let contested = (target.group_resource(), target.key());
        for attempt in 0..ATTEMPTS {
            let _turn = match attempt > 0 || self.turns.contested(&contested) {
                true => Some(self.turns.take(contested.clone(), &self.clock).await),
                false => None,
            };
            match self.change_once(target, kind, change, options).await? {
                Some(written) => return Ok(written),
                None => tracing::trace!(key = %target.key(), attempt, "write lost a race"),
            }
        }
        Err(target.conflict(MODIFIED))
    }

    /// `None`: somebody else wrote in between.
    async fn change_once(
        &self,
        target: &Target<'_>,
        kind: Kind<'_>,
        change: &Change<'_>,
        options: &WriteOptions,
    ) -> Result<Option<Written>, Status> {
        let resource = target.resource;
        let stored = self.rows.latest(resource, &target.key()).await?.ok_or_else(|| target.not_found())?;
        let old = target.decode(&stored)?;
        let Changed { object: mut new, warnings } = change(&*old)?;
        if kind.checked {
            matches_request(target, &*new)?;
            check_preconditions(target, &*new, &*old)?;
        }
        carry(&mut *new, &*old);
        resource.strategy.default(&mut *new);
        if !options.applied {
            let write = Write { resource, subresource: kind.subresource, options, now: self.clock.now() };
            self.record_update(write, &mut *new, &*old);
        }
        self.admit_update(target, kind, &mut *new, &*old, options, true).await?;
        resource.strategy.prepare_update(&mut *new, &*old, kind.part);
        let allocation = self.allocate(resource, &mut *new, Some(&*old), options.dry_run).await?;
        let written = self.write_changed(target, kind, &stored, (new, old), options, warnings).await;
        let happened = matches!(written, Ok(Some(_)));
        self.settle_allocation(allocation, happened).await;
        written
    }

    /// Validates, admits and writes a change, unless it changes nothing. `None`: somebody else wrote in between.
    async fn write_changed(
        &self,
        target: &Target<'_>,
        kind: Kind<'_>,
        stored: &cache::Object,
        (mut new, old): (Box<dyn AnyObject>, Box<dyn AnyObject>),
        options: &WriteOptions,
        mut warnings: Vec<String>,
    ) -> Result<Option<Written>, Status> {
        let resource = target.resource;
        let errors = validate_changed(target, &*new, &*old, kind.part, self.clock.now());
        if !errors.is_empty() {
            return Err(Status::invalid(&resource.gvk, target.name, &errors));
        }
        warnings.extend(resource.strategy.warnings(&*new));
        warnings.extend(self.admit_update(target, kind, &mut *new, &*old, options, false).await?);
        if managed::same(&*new, &*old) {
            return Ok(Some(Written { json: stored.json().clone(), created: false, warnings }));
        }
        if delete::finished(&*new) {
            return self.finish_deletion(target, stored, &*new, options, warnings).await;
        }
        new.object_meta_mut().resource_version = None;
        if options.dry_run {
            let json = codec::splice::with_resource_version(&new.encode(), stored.revision);
            return Ok(Some(Written { json, created: false, warnings }));
        }
        let durability = heartbeat(&*new, &*old).then_some(Durability::Relaxed);
        let commit = Commit { durability, ..Commit::update(target, stored, &*new)? };
        match self.rows.commit(resource, commit).await {
            Ok(stored) => Ok(Some(Written { json: stored.json().clone(), created: false, warnings })),
            Err(Refused::Exists | Refused::Changed) => Ok(None),
            Err(Refused::Failed(status)) => Err(status),
        }
    }

    /// The last finalizer went: the object goes with it.
    async fn finish_deletion(
        &self,
        target: &Target<'_>,
        stored: &cache::Object,
        last: &dyn AnyObject,
        options: &WriteOptions,
        warnings: Vec<String>,
    ) -> Result<Option<Written>, Status> {
        if !options.dry_run {
            match self.remove(target, stored, last).await {
                Ok(()) => {}
                Err(Refused::Exists | Refused::Changed) => return Ok(None),
                Err(Refused::Failed(status)) => return Err(status),
            }
        }
        let mut last = last.clone_box();
        last.object_meta_mut().resource_version = None;
        let json = codec::splice::with_resource_version(&last.encode(), stored.revision);
        Ok(Some(Written { json, created: false, warnings }))
    }

    /// What admission warns of, once everything is validated.
    async fn admit_update(
        &self,
        target: &Target<'_>,
        kind: Kind<'_>,
        new: &mut dyn AnyObject,
        old: &dyn AnyObject,
        options: &WriteOptions,
        mutating: bool,
    ) -> Result<Vec<String>, Status> {
        let mut attributes = Attributes {
            operation: Operation::Update,
            gvk: &target.resource.gvk,
            gvr: &target.resource.gvr,
            part: kind.part,
            subresource: kind.subresource,
            namespace: namespace_of(target, target.name),
            name: target.name,
            user: &options.user,
            dry_run: options.dry_run,
            object: Some(new),
            old: Some(old),
        };
        if mutating {
            self.mutate(&mut attributes).await?;
            return Ok(Vec::new());
        }
        self.admit(&attributes).await?;
        Ok(self.admission_warnings(&attributes).await)
    }
}

/// A Lease that is only renewed: a power cut may take that back, to spare flash.
fn heartbeat(new: &dyn AnyObject, old: &dyn AnyObject) -> bool {
    let (Some(new), Some(old)) = (new.downcast_ref::<Lease>(), old.downcast_ref::<Lease>()) else {
        return false;
    };
    let mut renewed = old.clone();
    renewed.metadata.resource_version = None;
    renewed.metadata.managed_fields.clone_from(&new.metadata.managed_fields);
    if let (Some(spec), Some(now)) = (&mut renewed.spec, &new.spec) {
        spec.renew_time.clone_from(&now.renew_time);
    }
    renewed == *new
}

/// The object's own name and namespace must be those of the URL.
pub(crate) fn matches_request(target: &Target<'_>, object: &dyn AnyObject) -> Result<(), Status> {
    let name = name_of(object);
    if name != target.name {
        let why = match name {
            "" => format!(
                "the name of the object ({} based on URL) was undeterminable: name must be provided",
                target.name
            ),
            name => format!(
                "the name of the object ({name}) does not match the name on the URL ({})",
                target.name
            ),
        };
        return Err(Status::bad_request(why));
    }
    let namespace = object.object_meta().namespace.as_deref().unwrap_or_default();
    let expected = if target.resource.namespaced() { target.namespace } else { "" };
    if !namespace.is_empty() && namespace != expected {
        return Err(Status::bad_request(format!(
            "the namespace of the object ({namespace}) does not match the namespace on the request ({expected})"
        )));
    }
    Ok(())
}

/// A resourceVersion or uid in the new object binds the write to that state of the stored one.
fn check_preconditions(target: &Target<'_>, new: &dyn AnyObject, old: &dyn AnyObject) -> Result<(), Status> {
    let (new, old) = (new.object_meta(), old.object_meta());
    if let Some(uid) = new.uid.as_deref().filter(|u| !u.is_empty())
        && old.uid.as_deref() != Some(uid)
    {
        return Err(target.other_uid(uid, old.uid.as_deref().unwrap_or_default()));
    }
    match new.resource_version.as_deref() {
        None | Some("" | "0") if target.strategy().allow_unconditional_update() => Ok(()),
        None | Some("" | "0") => {
            let path = Path::new("metadata").child("resourceVersion");
            let errors = [Error::invalid(&path, Raw("0x0".into()), "must be specified for an update")];
            Err(Status::invalid(&target.resource.gvk, target.name, &errors.into_iter().collect()))
        }
        version if version == old.resource_version.as_deref() => Ok(()),
        _ => Err(target.conflict(MODIFIED)),
    }
}

/// What an update leaves out of its metadata stays; what it gives differently is for validation to refuse.
fn carry(new: &mut dyn AnyObject, old: &dyn AnyObject) {
    let old = old.object_meta();
    let new = new.object_meta_mut();
    new.namespace.clone_from(&old.namespace);
    new.uid.clone_from(&old.uid);
    new.generation = old.generation;
    new.self_link = None;
    new.resource_version.clone_from(&old.resource_version);
    if new.creation_timestamp.is_none() {
        new.creation_timestamp.clone_from(&old.creation_timestamp);
    }
    if new.deletion_timestamp.is_none() {
        new.deletion_timestamp.clone_from(&old.deletion_timestamp);
    }
    if new.deletion_grace_period_seconds.is_none() {
        new.deletion_grace_period_seconds = old.deletion_grace_period_seconds;
    }
}

fn validate_changed(
    target: &Target<'_>,
    new: &dyn AnyObject,
    old: &dyn AnyObject,
    part: Part,
    now: Timestamp,
) -> ErrorList {
    let mut errors = crate::metadata::validate_update(new.object_meta(), old.object_meta());
    errors.extend(target.strategy().validate_update(new, old, part));
    if errors.is_empty() {
        errors = target.strategy().validate_time(new, old, part, now);
    }
    errors
}

//! Creating objects.

use apimachinery::Status;
use apimachinery::field::ErrorList;
use codec::AnyObject;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use resources::Resource;
use resources::strategy::Part;

use crate::admit::{Attributes, Operation};
use crate::managed::Write;
use crate::namespaces;
use crate::options::WriteOptions;
use crate::registry::{Registry, Target, Written};
use crate::rows::{Commit, Refused};

/// Attempts to find a free name for a generateName.
const GENERATE_ATTEMPTS: usize = 8;
/// Attempts while the namespace or an address allocation changes under a create.
const GUARD_ATTEMPTS: usize = 32;
const NAME_MAX: usize = 63;
const SUFFIX: usize = 5;

impl Registry {
    /// Creates `object`, decoded by [`Registry::decode`]. `target.name` is empty, or the name in the URL.
    pub async fn create(
        &self,
        target: &Target<'_>,
        object: Box<dyn AnyObject>,
        options: &WriteOptions,
    ) -> Result<Written, Status> {
        if !generates(&*object) {
            return self.create_named(target, object, options).await;
        }
        let mut last = None;
        for _ in 0..GENERATE_ATTEMPTS {
            let attempt = self.create_named(target, object.clone_box(), options).await;
            match attempt {
                Err(status) if status.is_already_exists() => last = Some(status),
                done => return done,
            }
        }
        let mut status = last.unwrap_or_else(|| Status::internal("no attempt was made"));
        status.message.push_str(", the server was not able to generate a unique name for the object");
        if let Some(details) = &mut status.details {
            details.retry_after_seconds = 1;
        }
        Err(status)
    }

    async fn create_named(
        &self,
        target: &Target<'_>,
        mut object: Box<dyn AnyObject>,
        options: &WriteOptions,
    ) -> Result<Written, Status> {
        let resource = target.resource;
        self.place(target, object.object_meta_mut())?;
        resource.strategy.default(&mut *object);
        if !options.applied {
            let write = Write { resource, subresource: "", options, now: self.clock.now() };
            self.record_create(write, &mut *object);
        }
        self.admit_create(target, &mut *object, options, true).await?;
        // Before the kind's preparation: Jobs make their selector of name and uid.
        self.stamp(object.object_meta_mut());
        resource.strategy.prepare_create(&mut *object);
        let mut warnings = resource.strategy.warnings(&*object);
        let allocation = self.allocate(resource, &mut *object, None, options.dry_run).await?;
        let stored = self.checked_new(target, object, options, &mut warnings).await;
        self.settle_allocation(allocation, stored.is_ok()).await;
        warnings.dedup();
        Ok(Written { json: stored?, created: true, warnings })
    }

    async fn checked_new(
        &self,
        target: &Target<'_>,
        mut object: Box<dyn AnyObject>,
        options: &WriteOptions,
        warnings: &mut Vec<String>,
    ) -> Result<bytes::Bytes, Status> {
        let errors = validate_new(target.resource, &*object);
        if !errors.is_empty() {
            return Err(Status::invalid(&target.resource.gvk, name_of(&*object), &errors));
        }
        warnings.extend(self.admit_create(target, &mut *object, options, false).await?);
        self.store_new(target, &*object, options).await
    }

    /// Names and namespace of the request and of the object must agree.
    fn place(&self, target: &Target<'_>, meta: &mut ObjectMeta) -> Result<(), Status> {
        if target.resource.namespaced() {
            let namespace = meta.namespace.get_or_insert_with(|| target.namespace.to_owned());
            if namespace.is_empty() {
                target.namespace.clone_into(namespace);
            }
            if *namespace != target.namespace {
                return Err(Status::bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request",
                ));
            }
            if namespace.is_empty() {
                return Err(Status::bad_request("an empty namespace may not be set during creation"));
            }
        } else {
            match meta.namespace.as_deref() {
                None | Some("") => meta.namespace = None,
                Some(_) => {
                    return Err(Status::bad_request(
                        "the namespace of the provided object does not match the namespace sent on the request",
                    ));
                }
            }
        }
        if meta.resource_version.as_deref().is_some_and(|v| !v.is_empty()) {
            return Err(Status::bad_request("resourceVersion should not be set on objects to be created"));
        }
        if !target.name.is_empty() && meta.name.as_deref() != Some(target.name) {
            meta.name.get_or_insert_with(|| target.name.to_owned());
        }
        Ok(())
    }

    /// What only the server says about a new object.
    fn stamp(&self, meta: &mut ObjectMeta) {
        meta.uid = Some(self.random.uuid());
        meta.creation_timestamp = Some(Time(whole_seconds(self.clock.now())));
        meta.deletion_timestamp = None;
        meta.deletion_grace_period_seconds = None;
        meta.resource_version = None;
        meta.self_link = None;
        if let (None | Some(""), Some(prefix)) = (meta.name.as_deref(), meta.generate_name.as_deref())
            && !prefix.is_empty()
        {
            let kept = prefix
                .char_indices()
                .map(|(at, c)| at + c.len_utf8())
                .take_while(|end| *end <= NAME_MAX - SUFFIX);
            let kept = &prefix[..kept.last().unwrap_or(0)];
            meta.name = Some(format!("{kept}{}", self.random.name_suffix(SUFFIX)));
        }
    }

    /// What admission warns of, once everything is validated.
    async fn admit_create(
        &self,
        target: &Target<'_>,
        object: &mut dyn AnyObject,
        options: &WriteOptions,
        mutating: bool,
    ) -> Result<Vec<String>, Status> {
        let name = name_of(object).to_owned();
        let mut attributes = Attributes {
            operation: Operation::Create,
            gvk: &target.resource.gvk,
            gvr: &target.resource.gvr,
            part: Part::Main,
            subresource: "",
            namespace: namespace_of(target, &name),
            name: &name,
            user: &options.user,
            dry_run: options.dry_run,
            object: Some(object),
            old: None,
        };
        if mutating {
            self.mutate(&mut attributes).await?;
            return Ok(Vec::new());
        }
        self.admit(&attributes).await?;
        Ok(self.admission_warnings(&attributes).await)
    }

    async fn store_new(
        &self,
        target: &Target<'_>,
        object: &dyn AnyObject,
        options: &WriteOptions,
    ) -> Result<bytes::Bytes, Status> {
        let resource = target.resource;
        let name = name_of(object);
        let here = Target { resource, namespace: target.namespace, name };
        let exists = || Status::already_exists(&resource.gvr.group_resource(), name);
        for attempt in 0..GUARD_ATTEMPTS {
            let guards = namespaces::open(self, &here, attempt > 0).await?;
            if options.dry_run {
                return match self.rows.latest(resource, &here.key()).await? {
                    Some(_) => Err(exists()),
                    None => Ok(object.encode().into()),
                };
            }
            let commit = Commit { also: guards, ..Commit::create(&here, object)? };
            match self.rows.commit(resource, commit).await {
                Ok(stored) => return Ok(stored.json().clone()),
                Err(Refused::Exists) => return Err(exists()),
                // The namespace changed in between: look at it again.
                Err(Refused::Changed) => {}
                Err(Refused::Failed(status)) => return Err(status),
            }
        }
        Err(here.conflict("the namespace changes too often"))
    }
}

fn generates(object: &dyn AnyObject) -> bool {
    let meta = object.object_meta();
    meta.name.as_deref().unwrap_or_default().is_empty()
        && !meta.generate_name.as_deref().unwrap_or_default().is_empty()
}

pub(crate) fn name_of(object: &dyn AnyObject) -> &str {
    object.object_meta().name.as_deref().unwrap_or_default()
}

/// The namespace that admission sees: a namespace object is in itself.
pub(crate) fn namespace_of<'a>(target: &Target<'a>, name: &'a str) -> &'a str {
    match (&*target.resource.gvk.kind, &*target.resource.gvk.group) {
        ("Namespace", "") => name,
        _ => target.namespace,
    }
}

/// All rules for a new object, those of its metadata first.
fn validate_new(resource: &Resource, object: &dyn AnyObject) -> ErrorList {
    let mut errors = crate::metadata::validate(resource, object.object_meta());
    errors.extend(resource.strategy.validate(object));
    errors
}

/// Kubernetes' times have no fraction.
pub(crate) fn whole_seconds(now: jiff::Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_second(now.as_second()).unwrap_or(now)
}

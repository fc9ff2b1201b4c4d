//! The registry's seam to storage: collections by resource, commits with guards, and why they are refused.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use apimachinery::raw::Raw;
use apimachinery::{ObjectKey, Revision, Status};
use bytes::Bytes;
use cache::{Cache, LABELS, Object, Snapshot};
use codec::AnyObject;
use resources::Resource;
use storage::collection::{Collection, CollectionSpec, ParseError, Terms, WriteError};
use storage::engine::{Durability, ReadError};

use crate::registry::Target;

/// Where resources are kept whose path is not their plural name: upstream's layout.
const PATHS: &[(&str, &str, &str)] = &[
    ("", "nodes", "minions"),
    ("", "replicationcontrollers", "controllers"),
    ("", "services", "services/specs"),
    ("", "endpoints", "services/endpoints"),
    ("networking.k8s.io", "ingresses", "ingress"),
    ("apiregistration.k8s.io", "apiservices", "apiregistration.k8s.io/apiservices"),
    ("apiextensions.k8s.io", "customresourcedefinitions", "apiextensions.k8s.io/customresourcedefinitions"),
];

/// Kinds whose latest writes a power cut may take back, to spare flash, and that expire where the engine lets them.
const RELAXED: &[(&str, &str)] = &[("", "events"), ("events.k8s.io", "events")];

/// Upstream's `--event-ttl`.
const EVENT_TTL: Duration = Duration::from_secs(3600);

/// What begins a value that upstream wrote.
const PROTOBUF: &[u8] = b"k8s\0";

/// Cached by index: what is asked for by controllers, the kubelet and the garbage collector, and by label where there are many.
const INDEXES: &[(&str, &str, &[&str])] = &[
    ("", "pods", &["owner", "uid", "spec.nodeName", LABELS]),
    ("apps", "replicasets", &["owner", "uid", LABELS]),
    ("discovery.k8s.io", "endpointslices", &["owner", "uid", LABELS]),
];

/// Collections of every stored resource.
pub(crate) struct Rows {
    collections: HashMap<(Arc<str>, Arc<str>), Arc<Collection>>,
}

/// A write of one object.
pub(crate) struct Commit {
    pub key: ObjectKey,
    pub value: Bytes,
    /// `None`: must not exist.
    pub expected: Option<Revision>,
    pub also: Vec<Guard>,
    pub durability: Option<Durability>,
}

/// Another object that must be what it was.
pub(crate) struct Guard {
    pub resource: Resource,
    pub key: ObjectKey,
    pub revision: Revision,
}

/// Why a commit did not happen.
pub(crate) enum Refused {
    Exists,
    /// The object or a guard is no longer what it was.
    Changed,
    Failed(Status),
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        Refused::Failed(status)
    }
}

impl Commit {
    /// Of a new object.
    pub fn create(target: &Target<'_>, object: &dyn AnyObject) -> Result<Commit, Status> {
        Ok(Commit {
            key: target.key(),
            value: object.encode().into(),
            expected: None,
            also: Vec::new(),
            durability: None,
        })
    }

    /// Of a changed object, which carries no resourceVersion.
    pub fn update(target: &Target<'_>, stored: &Object, object: &dyn AnyObject) -> Result<Commit, Status> {
        Ok(Commit { expected: Some(stored.revision), ..Commit::create(target, object)? })
    }
}

/// Where a resource's objects are kept: `/registry/pods/`.
pub(crate) fn prefix(resource: &Resource) -> String {
    let (group, plural) = (&*resource.gvr.group, &*resource.gvr.resource);
    let path = PATHS.iter().find(|(g, r, _)| (*g, *r) == (group, plural)).map_or(plural, |(_, _, p)| p);
    format!("/registry/{path}/")
}

/// How a resource is kept.
pub(crate) fn spec(resource: &Resource) -> CollectionSpec {
    let (group, plural) = (&*resource.gvr.group, &*resource.gvr.resource);
    let indexes =
        INDEXES.iter().find(|(g, r, _)| (*g, *r) == (group, plural)).map_or(&["owner", "uid"][..], |i| i.2);
    let relaxed = RELAXED.contains(&(group, plural));
    let strategy = resource.strategy.clone();
    let parse = move |key: &ObjectKey, revision: Revision, value: &[u8]| {
        let json = match value.starts_with(PROTOBUF) {
            true => {
                let json = codec::protobuf::to_json(value).map_err(|e| ParseError(e.to_string()))?;
                codec::splice::with_resource_version(&json, revision)
            }
            // Go ends JSON with a line.
            false => codec::splice::with_resource_version(value.trim_ascii_end(), revision),
        };
        let meta = codec::meta::parse(&json).map_err(|e| ParseError(e.to_string()))?;
        let fields: Box<[_]> = match strategy.field_names() {
            [] => Box::default(),
            _ => {
                let text = std::str::from_utf8(&json).map_err(|e| ParseError(e.to_string()))?;
                let fields = match strategy.stored_fields(Raw::new(text)) {
                    Some(fields) => fields,
                    None => {
                        let object = strategy.decode(&json).map_err(|e| ParseError(e.to_string()))?;
                        strategy.fields(&*object)
                    }
                };
                fields.into_iter().map(|(name, value)| (name, Arc::from(value))).collect()
            }
        };
        Ok(Object::new(key.clone(), revision, meta, fields, json))
    };
    CollectionSpec {
        prefix: prefix(resource),
        parse: Arc::new(parse),
        indexes: indexes.to_vec(),
        durability: if relaxed { Durability::Relaxed } else { Durability::Durable },
        ttl: relaxed.then_some(EVENT_TTL),
    }
}

impl Rows {
    pub fn new(collections: HashMap<(Arc<str>, Arc<str>), Arc<Collection>>) -> Self {
        Rows { collections }
    }

    fn find(&self, resource: &Resource) -> Option<&Arc<Collection>> {
        self.collections.get(&(resource.hub.group.clone(), resource.hub.resource.clone()))
    }

    fn collection(&self, resource: &Resource) -> Result<&Arc<Collection>, Status> {
        self.find(resource)
            .ok_or_else(|| Status::internal(format!("{} is not stored", resource.gvr.resource)))
    }

    /// What is read from.
    pub fn cache(&self, resource: &Resource) -> Result<&Arc<Cache>, Status> {
        Ok(self.collection(resource)?.cache())
    }

    /// The object as the cache has it.
    pub fn current(&self, resource: &Resource, key: &ObjectKey) -> Option<Arc<Object>> {
        self.find(resource)?.cache().get(key)
    }

    /// Waits until the cache shows everything that was committed before.
    pub async fn settle(&self, resource: &Resource) -> Result<(), Status> {
        self.collection(resource)?.fresh().await.map_err(unreadable)
    }

    /// All objects, with everything that was committed before.
    pub async fn snapshot(&self, resource: &Resource) -> Result<Snapshot, Status> {
        self.collection(resource)?.snapshot().await.map_err(unreadable)
    }

    /// The object, with everything that was committed before.
    pub async fn latest(&self, resource: &Resource, key: &ObjectKey) -> Result<Option<Arc<Object>>, Status> {
        match self.find(resource) {
            Some(collection) => collection.latest(key).await.map_err(unreadable),
            None => Ok(None),
        }
    }

    /// Waits until the cache shows a revision.
    pub async fn wait_for(&self, resource: &Resource, revision: Revision) {
        if let Some(collection) = self.find(resource) {
            collection.wait_for(revision).await;
        }
    }

    /// Stores an object. Returns it as published.
    pub async fn commit(&self, resource: &Resource, commit: Commit) -> Result<Arc<Object>, Refused> {
        let collection = self.collection(resource)?;
        let mut guards = Vec::with_capacity(commit.also.len());
        for guard in &commit.also {
            guards.push(self.collection(&guard.resource)?.unchanged(&guard.key, guard.revision));
        }
        let terms = Terms { guards, durability: commit.durability };
        let done = match commit.expected {
            None => collection.create(&commit.key, commit.value, terms).await,
            Some(expected) => collection.update(&commit.key, commit.value, expected, terms).await,
        };
        done.map_err(refused)
    }

    /// Deletes the object as it is stored; watchers see `last` as its final state.
    pub async fn commit_delete(
        &self,
        resource: &Resource,
        stored: &Object,
        last: Option<Bytes>,
    ) -> Result<(), Refused> {
        let collection = self.collection(resource)?;
        collection.delete(&stored.key, stored.revision, last, Terms::default()).await.map_err(refused)?;
        Ok(())
    }
}

fn refused(error: WriteError) -> Refused {
    match error {
        WriteError::Exists => Refused::Exists,
        WriteError::Conflict { .. } | WriteError::GuardFailed { .. } => Refused::Changed,
        WriteError::TooLarge { len, limit } => Refused::Failed(Status::request_entity_too_large(format!(
            "Request is too large: the object takes {len} bytes, the limit is {limit}"
        ))),
        WriteError::Unavailable(why) => Refused::Failed(Status::service_unavailable(why)),
        WriteError::Lost(why) => Refused::Failed(Status::internal(why)),
        WriteError::Unknown(why) => Refused::Failed(Status::timeout(why)),
    }
}

fn unreadable(error: ReadError) -> Status {
    match error {
        ReadError::Compacted { .. } => Status::expired(error.to_string()),
        ReadError::Unavailable(why) => Status::service_unavailable(why),
        ReadError::Corrupt { .. } => Status::internal(error),
    }
}

#[cfg(test)]
mod tests;

//! Names out of a range, each given to one service: a record in the store for each, created under a guard, so that no
//! two writers get the same.

use std::sync::Arc;

use apimachinery::{Meta, ObjectKey, Revision, Status};
use bytes::Bytes;
use cache::Object;
use stdx::Random;
use storage::collection::{Collection, CollectionSpec, Terms, WriteError};
use storage::engine::Durability;

/// Attempts to find a free name at random before they are tried in order.
const RANDOM_ATTEMPTS: usize = 16;

/// The records of one range.
#[derive(Clone)]
pub(crate) struct Pool {
    records: Arc<Collection>,
}

/// A name is somebody else's.
pub(crate) enum Taken {
    Allocated,
    Failed(Status),
}

/// How records are kept: `/registry/ranges/KIND/NAME`, whose value is the service's namespace and name.
pub(crate) fn spec(kind: &str) -> CollectionSpec {
    let parse = |key: &ObjectKey, revision: Revision, value: &[u8]| {
        let meta = Meta { name: key.name.clone(), ..Meta::default() };
        Ok(Object::new(key.clone(), revision, meta, Box::default(), Bytes::copy_from_slice(value)))
    };
    CollectionSpec {
        prefix: format!("/registry/ranges/{kind}/"),
        parse: Arc::new(parse),
        indexes: Vec::new(),
        durability: Durability::Durable,
    }
}

impl Pool {
    pub fn new(records: Arc<Collection>) -> Self {
        Pool { records }
    }

    pub fn is_taken(&self, name: &str) -> bool {
        self.records.cache().get(&ObjectKey::cluster(name)).is_some()
    }

    /// Takes this very name for `owner`.
    pub async fn take(&self, name: &str, owner: &str) -> Result<(), Taken> {
        let value = Bytes::from(owner.to_owned());
        match self.records.create(&ObjectKey::cluster(name), value, Terms::default()).await {
            Ok(_) => Ok(()),
            Err(WriteError::Exists) => Err(Taken::Allocated),
            Err(WriteError::Unavailable(why)) => Err(Taken::Failed(Status::service_unavailable(why))),
            Err(other) => Err(Taken::Failed(Status::internal(other))),
        }
    }

    /// Takes any name of `first..end` for `owner`: at random, then the lowest free one.
    pub async fn take_any(
        &self,
        first: u64,
        end: u64,
        name_at: &(dyn Fn(u64) -> String + Sync),
        owner: &str,
        random: &Random,
    ) -> Result<Option<String>, Status> {
        let attempts = (0..RANDOM_ATTEMPTS).map(|_| first + random.below(end.saturating_sub(first)));
        for offset in attempts.chain(first..end) {
            let name = name_at(offset);
            if offset >= end || self.is_taken(&name) {
                continue;
            }
            match self.take(&name, owner).await {
                Ok(()) => return Ok(Some(name)),
                Err(Taken::Allocated) => {}
                Err(Taken::Failed(status)) => return Err(status),
            }
        }
        Ok(None)
    }

    /// Any free name, without taking it: for dry runs.
    pub fn free(&self, first: u64, end: u64, name_at: &dyn Fn(u64) -> String) -> Option<String> {
        (first..end).map(name_at).find(|name| !self.is_taken(name))
    }

    /// Gives a name back. A failure leaves it taken until the next repair.
    pub async fn give_back(&self, name: &str) {
        let key = ObjectKey::cluster(name);
        let Some(record) = self.records.cache().get(&key) else { return };
        if let Err(error) = self.records.delete(&key, record.revision, None, Terms::default()).await {
            tracing::warn!(name, %error, "cannot give back what a service had");
        }
    }

    /// Every name that is taken, and by whom.
    pub fn all(&self) -> Vec<(String, String)> {
        let snapshot = self.records.cache().snapshot();
        let owner = |o: &Object| String::from_utf8_lossy(o.json()).into_owned();
        snapshot.iter(None, None).map(|o| (o.key.name.to_string(), owner(o))).collect()
    }
}

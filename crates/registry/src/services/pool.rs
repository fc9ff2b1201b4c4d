//! Names out of a range, each given to one service: a record in the store for each, created under a guard, so that no
//! two writers get the same. An address' record is an IPAddress, a node port's a value of our own.

use std::net::IpAddr;
use std::sync::Arc;

use apimachinery::{Meta, ObjectKey, Revision, Status};
use bytes::Bytes;
use cache::Object;
use codec::Kind as _;
use k8s_openapi::api::networking::v1::IPAddress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use resources::networking::ip_address;
use resources::prelude::*;
use stdx::Random;
use stdx::clock::SharedClock;
use storage::collection::{Collection, CollectionSpec, Terms, WriteError};
use storage::engine::Durability;

use crate::create::whole_seconds;

/// Attempts to find a free name at random before they are tried in order.
const RANDOM_ATTEMPTS: usize = 16;

/// The records of one range.
#[derive(Clone)]
pub(crate) struct Pool {
    records: Arc<Collection>,
    form: Form,
}

/// What a record is.
#[derive(Clone)]
enum Form {
    /// The service's namespace and name.
    Text,
    /// An IPAddress; those that users make count, too.
    Address { clock: SharedClock, random: Random },
}

/// A name is somebody else's.
pub(crate) enum Taken {
    Allocated,
    Failed(Status),
}

/// How records of text are kept: `/registry/ranges/KIND/NAME`, whose value is the service's namespace and name.
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
        ttl: None,
    }
}

impl Pool {
    /// Over records of [`spec`].
    pub fn new(records: Arc<Collection>) -> Self {
        Pool { records, form: Form::Text }
    }

    /// Over the collection of IPAddresses.
    pub fn of_addresses(records: Arc<Collection>, clock: SharedClock, random: Random) -> Self {
        Pool { records, form: Form::Address { clock, random } }
    }

    pub fn is_taken(&self, name: &str) -> bool {
        self.records.cache().get(&ObjectKey::cluster(name)).is_some()
    }

    /// Takes this very name for `owner`, a namespace and name.
    pub async fn take(&self, name: &str, owner: &str) -> Result<(), Taken> {
        let value = self.form.record(name, owner).map_err(Taken::Failed)?;
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

    /// Gives a name back that `owner` has. A failure leaves it taken until the next repair.
    pub async fn give_back(&self, name: &str, owner: &str) {
        if self.is_owned(name, owner) {
            self.remove(name).await;
        }
    }

    pub fn is_owned(&self, name: &str, owner: &str) -> bool {
        let record = self.records.cache().get(&ObjectKey::cluster(name));
        record.is_some_and(|record| self.form.owner(&record).is_some_and(|o| o == owner))
    }

    /// Makes a name free, whosever it is.
    pub async fn remove(&self, name: &str) {
        let key = ObjectKey::cluster(name);
        let Some(record) = self.records.cache().get(&key) else { return };
        if let Err(error) = self.records.delete(&key, record.revision, None, Terms::default()).await {
            tracing::warn!(name, %error, "cannot give back what a service had");
        }
    }

    /// Every name that was taken here, and by whom.
    pub fn all(&self) -> Vec<(String, String)> {
        let snapshot = self.records.cache().snapshot();
        let taken = |o: &Object| Some((o.key.name.to_string(), self.form.owner(o)?));
        snapshot.iter(None, None).filter_map(|o| taken(o)).collect()
    }
}

impl Form {
    fn record(&self, name: &str, owner: &str) -> Result<Bytes, Status> {
        let Form::Address { clock, random } = self else { return Ok(Bytes::from(owner.to_owned())) };
        let address: IpAddr = name.parse().map_err(|e| Status::internal(format!("{name:?}: {e}")))?;
        let (namespace, service) = owner.split_once('/').unwrap_or(("", owner));
        let mut object = ip_address::of_service(address, namespace, service);
        object.metadata.uid = Some(random.uuid());
        object.metadata.creation_timestamp = Some(Time(whole_seconds(clock.now())));
        Ok(object.to_json().into())
    }

    /// Whose a record is; empty when it says of no service. None: it was not taken here.
    fn owner(&self, record: &Object) -> Option<String> {
        if let Form::Text = self {
            return Some(String::from_utf8_lossy(record.json()).into_owned());
        }
        let address = IPAddress::from_json(record.json()).ok().filter(|a| a.is_allocated())?;
        Some(address.service().map_or_else(String::new, |(namespace, name)| format!("{namespace}/{name}")))
    }
}

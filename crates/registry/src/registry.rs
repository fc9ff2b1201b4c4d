//! [`Registry`]: every resource that is served, over one store.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use apimachinery::{Gvr, ObjectKey, Status};
use bytes::Bytes;
use cache::{Cache, Filter, Object};
use codec::AnyObject;
use resources::{AnyStrategy, Resource};
use stdx::Random;
use stdx::clock::SharedClock;

use crate::admit::{Admit, Attributes};
use crate::options::Selection;
use crate::rows::Rows;
use crate::select;
use crate::services::Services;
use crate::turns::Turns;

/// The generic store of objects with strategies. Cheap to share, never to clone.
pub struct Registry {
    pub(crate) rows: Rows,
    resources: Vec<Resource>,
    /// By plural name: those of all groups and versions, as indexes into `resources`.
    by_name: HashMap<Arc<str>, Vec<usize>>,
    admit: OnceLock<Arc<dyn Admit>>,
    pub(crate) clock: SharedClock,
    pub(crate) random: Random,
    pub(crate) services: Option<Services>,
    pub(crate) turns: Turns,
}

/// Where a request goes.
#[derive(Clone)]
pub struct Target<'a> {
    pub resource: &'a Resource,
    /// Empty for cluster-scoped resources, and for all namespaces.
    pub namespace: &'a str,
    pub name: &'a str,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("resources", &self.resources.len()).finish_non_exhaustive()
    }
}

/// The outcome of a write.
#[derive(Clone, Debug)]
pub struct Written {
    /// The object as it is now; without a resourceVersion after a dry run of a create.
    pub json: Bytes,
    pub created: bool,
    /// For `Warning` headers.
    pub warnings: Vec<String>,
}

impl Registry {
    pub(crate) fn assemble(
        rows: Rows,
        resources: Vec<Resource>,
        clock: SharedClock,
        random: Random,
        services: Option<Services>,
    ) -> Self {
        let mut by_name: HashMap<Arc<str>, Vec<usize>> = HashMap::new();
        for (at, resource) in resources.iter().enumerate() {
            by_name.entry(resource.gvr.resource.clone()).or_default().push(at);
        }
        Registry {
            rows,
            resources,
            by_name,
            admit: OnceLock::new(),
            clock,
            random,
            services,
            turns: Turns::default(),
        }
    }

    /// Hooks up admission, which may itself read through this registry. Only the first call counts.
    pub fn set_admit(&self, admit: Arc<dyn Admit>) {
        if self.admit.set(admit).is_err() {
            tracing::warn!("admission is set already");
        }
    }

    /// The row of a resource.
    pub fn resource(&self, group: &str, version: &str, resource: &str) -> Option<&Resource> {
        let named = self.by_name.get(resource)?.iter().map(|at| &self.resources[*at]);
        // The last one of the same name counts.
        named.rev().find(|r| *r.gvr.group == *group && *r.gvr.version == *version)
    }

    /// The server's time.
    pub fn now(&self) -> jiff::Timestamp {
        self.clock.now()
    }

    /// All rows, in discovery's order.
    pub fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// Whether any resource of this group and version is served.
    pub fn serves_version(&self, group: &str, version: &str) -> bool {
        self.resources.iter().any(|r| *r.gvr.group == *group && *r.gvr.version == *version)
    }

    /// The cache of a resource.
    pub fn cache(&self, group: &str, version: &str, resource: &str) -> Result<Arc<Cache>, Status> {
        let found = self.resource(group, version, resource);
        let row = found
            .ok_or_else(|| Status::not_found(&Gvr::new(group, version, resource).group_resource(), ""))?;
        Ok(self.rows.cache(row)?.clone())
    }

    /// The cache of a resource, and the filter for a part of it.
    pub fn view(
        &self,
        gvr: &Gvr,
        namespace: &str,
        label_selector: &str,
        field_selector: &str,
    ) -> Result<(Arc<Cache>, Filter), Status> {
        let row = self.resource(&gvr.group, &gvr.version, &gvr.resource);
        let resource = row.ok_or_else(|| Status::not_found(&gvr.group_resource(), ""))?;
        let selection =
            Selection { label_selector: label_selector.into(), field_selector: field_selector.into() };
        let filter = select::filter(&Target { resource, namespace, name: "" }, &selection)?;
        Ok((self.rows.cache(resource)?.clone(), filter))
    }

    /// An object as the cache has it now, for parts of the server that need one by name.
    pub fn peek(&self, group: &str, resource: &str, key: &ObjectKey) -> Result<Arc<Object>, Status> {
        let row = self.resources.iter().find(|r| *r.gvr.group == *group && *r.gvr.resource == *resource);
        let found = row.and_then(|r| self.rows.current(r, key));
        found.ok_or_else(|| {
            let resource = apimachinery::GroupResource { group: group.into(), resource: resource.into() };
            Status::not_found(&resource, &key.name)
        })
    }

    pub(crate) async fn mutate(&self, attributes: &mut Attributes<'_>) -> Result<(), Status> {
        match self.admit.get() {
            Some(admit) => admit.mutate(attributes).await,
            None => Ok(()),
        }
    }

    pub(crate) async fn admission_warnings(&self, attributes: &Attributes<'_>) -> Vec<String> {
        match self.admit.get() {
            Some(admit) => admit.warnings(attributes).await,
            None => Vec::new(),
        }
    }

    pub(crate) async fn admit(&self, attributes: &Attributes<'_>) -> Result<(), Status> {
        match self.admit.get() {
            Some(admit) => admit.validate(attributes).await,
            None => Ok(()),
        }
    }
}

impl Target<'_> {
    pub(crate) fn key(&self) -> ObjectKey {
        match self.resource.namespaced() {
            true => ObjectKey::new(self.namespace, self.name),
            false => ObjectKey::cluster(self.name),
        }
    }

    /// 409 for a write that means another object of this name.
    pub(crate) fn other_uid(&self, wanted: &str, actual: &str) -> Status {
        self.conflict(&self.why_other_uid(wanted, actual))
    }

    /// As upstream's store says it.
    pub(crate) fn why_other_uid(&self, wanted: &str, actual: &str) -> String {
        let prefix = crate::rows::prefix(self.resource);
        let place = if self.resource.namespaced() { format!("{}/", self.namespace) } else { String::new() };
        format!(
            "StorageError: invalid object, Code: 4, Key: {prefix}{place}{}, ResourceVersion: 0, AdditionalErrorMsg: \
             Precondition failed: UID in precondition: {wanted}, UID in object meta: {actual}",
            self.name
        )
    }

    pub(crate) fn strategy(&self) -> &dyn AnyStrategy {
        &*self.resource.strategy
    }

    pub(crate) fn group_resource(&self) -> apimachinery::GroupResource {
        self.resource.gvr.group_resource()
    }

    pub(crate) fn not_found(&self) -> Status {
        Status::not_found(&self.group_resource(), self.name)
    }

    pub(crate) fn conflict(&self, why: &str) -> Status {
        Status::conflict(&self.group_resource(), self.name, why)
    }

    /// Decodes a stored object: it carries its resourceVersion.
    pub(crate) fn decode(&self, object: &Object) -> Result<Box<dyn AnyObject>, Status> {
        self.strategy().decode(object.json()).map_err(|e| {
            Status::internal(format!(
                "unable to decode the stored {} {}: {e}",
                self.resource.gvk.kind, object.key
            ))
        })
    }
}

//! Storage version migrations: rewrite every object of a resource, so that it is stored as it would be today.

use apimachinery::field::{Error, ErrorList, Path, Raw};
use k8s_openapi::api::storagemigration::v1::{
    StorageVersionMigration, StorageVersionMigrationSpec, StorageVersionMigrationStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::GroupResource;
use serde_json::json;

use crate::check::non_negative;
use crate::conditions;
use crate::desired;
use crate::strategy::Part;

#[cfg(test)]
mod tests;

/// It is being done.
pub const RUNNING: &str = "Running";
/// It is done.
pub const SUCCEEDED: &str = "Succeeded";
/// It cannot be done.
pub const FAILED: &str = "Failed";

/// What migrations are asked.
pub trait StorageVersionMigrationExt {
    /// Whose objects are to be rewritten.
    fn resource(&self) -> GroupResource;
    /// The condition is there and true.
    fn is(&self, condition: &str) -> bool;
}

impl StorageVersionMigrationExt for StorageVersionMigration {
    fn resource(&self) -> GroupResource {
        self.spec.as_ref().map(|s| s.resource.clone()).unwrap_or_default()
    }

    fn is(&self, condition: &str) -> bool {
        let conditions = self.status.iter().flat_map(|s| s.conditions.iter().flatten());
        conditions.into_iter().any(|c| c.type_ == condition && c.status == "True")
    }
}

/// The rules of storage version migrations.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = StorageVersionMigration;

    fn prepare_create(&self, migration: &mut StorageVersionMigration) {
        migration.status = Some(StorageVersionMigrationStatus::default());
        migration.metadata.generation = Some(1);
    }

    fn prepare_update(&self, new: &mut StorageVersionMigration, old: &StorageVersionMigration, part: Part) {
        if part == Part::Status {
            new.spec.clone_from(&old.spec);
            return;
        }
        new.status.clone_from(&old.status);
        desired::bump_generation(new, old, "spec");
    }

    fn validate(&self, migration: &StorageVersionMigration) -> ErrorList {
        let none = StorageVersionMigrationSpec::default();
        let resource = &migration.spec.as_ref().unwrap_or(&none).resource;
        let path = Path::new("spec").child("resource");
        crate::check::one(resource.resource.is_empty(), || {
            Error::required(&path.child("resource"), "resource is required")
        })
    }

    fn validate_update(
        &self,
        new: &StorageVersionMigration,
        old: &StorageVersionMigration,
        part: Part,
    ) -> ErrorList {
        if part == Part::Status {
            return status(new, old);
        }
        let mut errs = self.validate(new);
        let (to, from) = (new.resource(), old.resource());
        for (field, now, before) in
            [("group", &to.group, &from.group), ("resource", &to.resource, &from.resource)]
        {
            if now != before {
                errs.push(Error::invalid(&Path::new(field), now, "field is immutable"));
            }
        }
        errs
    }
}

fn status(new: &StorageVersionMigration, old: &StorageVersionMigration) -> ErrorList {
    let path = Path::new("status");
    let status = new.status.clone().unwrap_or_default();
    let version = status.resource_version.unwrap_or_default();
    let at = path.child("resourceVersion");
    let mut errs = match version.parse::<i64>() {
        Ok(number) => non_negative(&at, number),
        Err(_) if version.is_empty() => ErrorList::new(),
        Err(_) => {
            let detail = format!(
                "failed to parse resource version {version:?}: strconv.ParseInt: parsing {version:?}: invalid syntax"
            );
            [Error::invalid(&at, &version, detail)].into_iter().collect()
        }
    };
    let conditions = status.conditions.unwrap_or_default();
    let at_conditions = path.child("conditions");
    errs.extend(conditions::validate(&conditions, &at_conditions));
    let before = old.status.as_ref().and_then(|s| s.resource_version.clone()).unwrap_or_default();
    if !before.is_empty() && before != version {
        errs.push(Error::invalid(&at, &version, "resourceVersion cannot be updated"));
    }
    let (running, succeeded, failed) = (new.is(RUNNING), new.is(SUCCEEDED), new.is(FAILED));
    for (wrong, detail) in [
        (succeeded && failed, "Both success and failed conditions cannot be true at the same time"),
        (succeeded && running, "Running condition cannot be true when success condition is true"),
        (failed && running, "Running condition cannot be true when failed condition is true"),
        (old.is(SUCCEEDED) && !succeeded, "Success condition cannot be set to false once it is true"),
        (old.is(FAILED) && !failed, "Failed condition cannot be set to false once it is true"),
    ] {
        if wrong {
            errs.push(Error::invalid(&at_conditions, Raw(json!(conditions).to_string()), detail));
        }
    }
    errs
}

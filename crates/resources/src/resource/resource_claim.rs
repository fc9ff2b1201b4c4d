//! Resource claims: devices that pods ask for. Who allocates them writes their status.

use apimachinery::field::{Error, ErrorList, Path, Raw};
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::resource::v1::{ResourceClaim, ResourceClaimStatus};
use serde_json::{Value, json};

use super::{allocation, request};
use crate::columns::{AGE, NAME, text};
use crate::desired;
use crate::owner::ObjectMetaExt;
use crate::strategy::{Column, Part, age};

/// The rules of resource claims.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = ResourceClaim;

    fn default(&self, claim: &mut ResourceClaim) {
        claim.spec.iter_mut().for_each(request::fill);
    }

    fn prepare_create(&self, claim: &mut ResourceClaim) {
        claim.status = Some(ResourceClaimStatus::default());
    }

    fn prepare_update(&self, new: &mut ResourceClaim, old: &ResourceClaim, part: Part) {
        if part != Part::Status {
            new.status.clone_from(&old.status);
            return;
        }
        new.spec.clone_from(&old.spec);
        let before = old.status.clone().unwrap_or_default();
        allocation::forget_returned(new.status.get_or_insert_default(), &before);
    }

    fn validate(&self, claim: &ResourceClaim) -> ErrorList {
        request::spec(claim.spec.as_ref(), &Path::new("spec"))
    }

    fn validate_update(&self, new: &ResourceClaim, old: &ResourceClaim, part: Part) -> ErrorList {
        match part {
            Part::Status => allocation::update(new, old),
            _ => fixed_spec(new, old),
        }
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] =
            &[NAME, text("State", "Whether it has its devices, and who uses them."), AGE];
        COLUMNS
    }

    fn row(&self, claim: &ResourceClaim, now: Timestamp) -> Vec<Value> {
        vec![json!(claim.name()), json!(state(claim)), json!(age(&claim.metadata, now))]
    }
}

/// The spec stays as it is.
pub(super) fn fixed_spec<K: Kind>(new: &K, old: &K) -> ErrorList {
    if !desired::changed(new, old, "spec") {
        return ErrorList::new();
    }
    let spec = serde_json::from_slice::<Value>(&new.to_json()).map(|mut v| v["spec"].take());
    let shown = Raw(spec.unwrap_or_default().to_string());
    [Error::invalid(&Path::new("spec"), shown, "field is immutable")].into_iter().collect()
}

fn state(claim: &ResourceClaim) -> String {
    let mut states = Vec::new();
    let deleting = claim.metadata.is_deleting();
    let status = claim.status.clone().unwrap_or_default();
    if deleting {
        states.push("deleted");
    }
    if status.allocation.is_some() {
        states.push("allocated");
        if status.reserved_for.is_some_and(|r| !r.is_empty()) {
            states.push("reserved");
        }
    } else if !deleting {
        states.push("pending");
    }
    states.join(",")
}

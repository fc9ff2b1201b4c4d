//! Leases: heartbeats of nodes and locks of leaders.

use apimachinery::field::{Error, ErrorList, Path};
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use serde_json::{Value, json};

use crate::columns::{AGE, NAME, text};
use crate::strategy::{Column, Part, age};

#[cfg(test)]
mod tests;

/// The rules of leases.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = Lease;

    fn prepare_create(&self, lease: &mut Lease) {
        alpha_fields(lease, None);
    }

    fn prepare_update(&self, new: &mut Lease, old: &Lease, _: Part) {
        alpha_fields(new, Some(old));
    }

    fn validate(&self, lease: &Lease) -> ErrorList {
        let path = Path::new("spec");
        let mut errs = ErrorList::new();
        let Some(spec) = &lease.spec else { return errs };
        if let Some(seconds) = spec.lease_duration_seconds.filter(|s| *s <= 0) {
            errs.push(Error::invalid(&path.child("leaseDurationSeconds"), seconds, "must be greater than 0"));
        }
        if let Some(count) = spec.lease_transitions.filter(|c| *c < 0) {
            let detail = "must be greater than or equal to 0";
            errs.push(Error::invalid(&path.child("leaseTransitions"), count, detail));
        }
        errs
    }

    /// A lock that anybody may overwrite is none.
    fn allow_unconditional_update(&self) -> bool {
        false
    }

    fn allow_create_on_update(&self) -> bool {
        true
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[NAME, text("Holder", "Who holds the lease."), AGE];
        COLUMNS
    }

    fn row(&self, lease: &Lease, now: Timestamp) -> Vec<Value> {
        let holder = lease.spec.as_ref().and_then(|s| s.holder_identity.as_deref()).unwrap_or_default();
        vec![json!(lease.name()), json!(holder), json!(age(&lease.metadata, now))]
    }
}

/// Coordinated leader election is off by default upstream: its fields are dropped unless they are there already.
fn alpha_fields(new: &mut Lease, old: Option<&Lease>) {
    let used = old
        .and_then(|o| o.spec.as_ref())
        .is_some_and(|s| s.strategy.is_some() || s.preferred_holder.is_some());
    if !used && let Some(spec) = &mut new.spec {
        spec.strategy = None;
        spec.preferred_holder = None;
    }
}

//! Service accounts.

use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ObjectReference, ServiceAccount};
use serde_json::{Value, json};

use crate::columns::{AGE, NAME, text};
use crate::strategy::{Column, Part, age};

/// The rules of service accounts.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = ServiceAccount;

    fn prepare_create(&self, account: &mut ServiceAccount) {
        only_names(account);
    }

    fn prepare_update(&self, new: &mut ServiceAccount, _: &ServiceAccount, _: Part) {
        only_names(new);
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] =
            &[NAME, text("Secrets", "How many secrets pods with this account may use."), AGE];
        COLUMNS
    }

    fn row(&self, account: &ServiceAccount, now: Timestamp) -> Vec<Value> {
        let secrets = account.secrets.as_ref().map_or(0, |s| s.len());
        vec![json!(account.name()), json!(secrets), json!(age(&account.metadata, now))]
    }
}

/// Secrets are of the account's own namespace; nothing but their names counts.
fn only_names(account: &mut ServiceAccount) {
    for secret in account.secrets.iter_mut().flatten() {
        *secret = ObjectReference { name: secret.name.take(), ..ObjectReference::default() };
    }
}

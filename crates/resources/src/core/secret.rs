//! Secrets.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::raw::Raw;
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use super::config_map::{MAX_SIZE, SEALED, key_errors, same};
use crate::columns::{AGE, NAME, text};
use crate::fill;
use crate::owner::ObjectMetaExt;
use crate::strategy::{Column, Part, age};

#[cfg(test)]
mod tests;

/// The annotation that ties a token secret to its service account.
pub const SERVICE_ACCOUNT_NAME: &str = "kubernetes.io/service-account.name";

/// The rules of secrets.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = Secret;

    fn default(&self, secret: &mut Secret) {
        fill::text(&mut secret.type_, "Opaque");
        // stringData is write-only: it ends as data and is never shown.
        for (key, value) in secret.string_data.take().into_iter().flatten() {
            secret.data.get_or_insert_default().insert(key, ByteString(value.into_bytes()));
        }
    }

    fn validate(&self, secret: &Secret) -> ErrorList {
        let mut errs = ErrorList::new();
        let path = Path::new("data");
        let mut size = 0;
        for (key, value) in secret.data.iter().flatten() {
            errs.extend(key_errors(key, &path.key(key)));
            size += value.0.len();
        }
        if size > MAX_SIZE {
            errs.push(Error::too_long(&path, MAX_SIZE));
        }
        errs.extend(of_type(secret, &path));
        errs
    }

    fn validate_update(&self, new: &Secret, old: &Secret, _: Part) -> ErrorList {
        let mut errs = ErrorList::new();
        if new.type_ != old.type_ {
            let shown = new.type_.as_deref().unwrap_or_default();
            errs.push(Error::invalid(&Path::new("type"), shown, "field is immutable"));
        }
        if old.immutable == Some(true) {
            if new.immutable != Some(true) {
                errs.push(Error::forbidden(&Path::new("immutable"), SEALED));
            }
            if !same(&new.data, &old.data) {
                errs.push(Error::forbidden(&Path::new("data"), SEALED));
            }
        }
        errs.extend(self.validate(new));
        errs
    }

    fn fields(&self, secret: &Secret) -> Vec<(&'static str, String)> {
        vec![("type", secret.type_.clone().unwrap_or_default())]
    }

    fn stored_fields(&self, json: Raw<'_>) -> Option<Vec<(&'static str, String)>> {
        Some(vec![("type", json.text_at(&["type"]))])
    }

    fn field_names(&self) -> &'static [&'static str] {
        &["type"]
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            text("Type", "What the data is for."),
            text("Data", "How many entries the data has."),
            AGE,
        ];
        COLUMNS
    }

    fn row(&self, secret: &Secret, now: Timestamp) -> Vec<Value> {
        let count = secret.data.as_ref().map_or(0, |d| d.len());
        let kind = secret.type_.as_deref().unwrap_or_default();
        vec![json!(secret.name()), json!(kind), json!(count), json!(age(&secret.metadata, now))]
    }
}

/// What a secret of a known type has to contain.
fn of_type(secret: &Secret, path: &Path) -> ErrorList {
    let value = |key: &str| secret.data.as_ref().and_then(|d| d.get(key));
    let missing = |keys: &[&str]| -> ErrorList {
        keys.iter().filter(|k| value(k).is_none()).map(|k| Error::required(&path.key(k), "")).collect()
    };
    match secret.type_.as_deref().unwrap_or_default() {
        "kubernetes.io/service-account-token" => {
            let name = secret.metadata.annotation(SERVICE_ACCOUNT_NAME).unwrap_or_default();
            let field = Path::new("metadata").child("annotations").key(SERVICE_ACCOUNT_NAME);
            name.is_empty().then(|| Error::required(&field, "")).into_iter().collect()
        }
        "kubernetes.io/dockercfg" => json_object(path, ".dockercfg", value(".dockercfg")),
        "kubernetes.io/dockerconfigjson" => {
            json_object(path, ".dockerconfigjson", value(".dockerconfigjson"))
        }
        "kubernetes.io/basic-auth" if value("username").is_none() && value("password").is_none() => {
            missing(&["username", "password"])
        }
        "kubernetes.io/ssh-auth" if value("ssh-privatekey").is_none_or(|v| v.0.is_empty()) => {
            [Error::required(&path.key("ssh-privatekey"), "")].into_iter().collect()
        }
        "kubernetes.io/tls" => missing(&["tls.crt", "tls.key"]),
        _ => ErrorList::new(),
    }
}

fn json_object(path: &Path, key: &str, value: Option<&ByteString>) -> ErrorList {
    let error = match value {
        None => Some(Error::required(&path.key(key), "")),
        Some(bytes) => serde_json::from_slice::<serde_json::Map<String, Value>>(&bytes.0)
            .err()
            .map(|e| Error::invalid(&path.key(key), "<secret contents redacted>", e.to_string())),
    };
    error.into_iter().collect()
}

//! Bootstrap tokens' keepers: those that expired go, and each good one signs `kube-public/cluster-info`, so that who holds a token
//! knows that the CA in it is the cluster's.
//!
//! Contract: <https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/>

mod clean;
mod sign;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;

pub use clean::start as start_cleaner;
pub use sign::start as start_signer;

const SYSTEM: &str = "kube-system";
const SECRET_TYPE: &str = "bootstrap.kubernetes.io/token";
const SECRET_PREFIX: &str = "bootstrap-token-";

/// A value of the secret, as text.
fn value<'a>(secret: &'a Secret, key: &str) -> Option<&'a str> {
    std::str::from_utf8(&secret.data.as_ref()?.get(key)?.0).ok()
}

/// When the token ends; `None`: never. One whose date cannot be read has ended.
fn expires(secret: &Secret) -> Option<Timestamp> {
    let date = value(secret, "expiration").filter(|d| !d.is_empty())?;
    Some(date.parse().unwrap_or(Timestamp::UNIX_EPOCH))
}

/// Whether it is a token's secret, in the place where tokens are.
fn is_token(secret: &Secret) -> bool {
    secret.type_.as_deref() == Some(SECRET_TYPE)
        && secret.metadata.namespace.as_deref() == Some(SYSTEM)
        && secret.metadata.name.as_deref().is_some_and(|n| n.starts_with(SECRET_PREFIX))
}

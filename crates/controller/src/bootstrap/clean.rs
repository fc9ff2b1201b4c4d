//! `token-cleaner-controller`: tokens go when their time is over, not before.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;

use super::{SYSTEM, expires, is_token};
use crate::context::Component;
use crate::expiry::{self, Expiry};

pub fn start(component: Component) {
    let concerns = |key: &apimachinery::ObjectKey| &*key.namespace == SYSTEM;
    expiry::start(component, Expiry { concerns, left, what: "delete an expired token" });
}

fn left(secret: &Secret, now: Timestamp) -> Option<Duration> {
    let end = Some(secret).filter(|s| is_token(s)).and_then(expires)?;
    Some(Duration::try_from(end.duration_since(now)).unwrap_or_default())
}

//! Requests go when they are of no more use: an hour after their end, a day when nobody cares.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;

use crate::context::Component;
use crate::expiry::{self, Expiry};

const JUDGED: Duration = Duration::from_secs(60 * 60);
const PENDING: Duration = Duration::from_secs(24 * 60 * 60);

/// `certificatesigningrequest-cleaner-controller`
pub fn start(component: Component) {
    let what = "delete an old certificate request";
    expiry::start(
        component,
        Expiry { concerns: |_| true, left: |request, now| Some(left(request, now)), what },
    );
}

/// How long the request still stays; zero: it goes.
pub(super) fn left(request: &CertificateSigningRequest, now: Timestamp) -> Duration {
    let since = |time: Timestamp, stays: Duration| {
        let age = Duration::try_from(now.duration_since(time)).unwrap_or_default();
        stays.saturating_sub(age)
    };
    let conditions = request.status.iter().flat_map(|s| s.conditions.iter().flatten());
    let ends = conditions
        .filter(|c| matches!(&*c.type_, "Approved" | "Denied" | "Failed"))
        .filter_map(|c| c.last_update_time.as_ref().or(c.last_transition_time.as_ref()))
        .map(|t| since(t.0, JUDGED));
    let pending = request.metadata.creation_timestamp.as_ref().map(|t| since(t.0, PENDING));
    ends.min().or(pending).unwrap_or(PENDING)
}

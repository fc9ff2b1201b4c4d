//! Requests for certificates of pods go a quarter of an hour after they were made: a kubelet reads its answer at once.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::certificates::v1::PodCertificateRequest;

use crate::context::Component;
use crate::expiry::{self, Expiry};

const STAYS: Duration = Duration::from_secs(15 * 60);

/// `podcertificaterequest-cleaner-controller`
pub fn start(component: Component) {
    let what = "delete an old request for a pod's certificate";
    expiry::start(
        component,
        Expiry { concerns: |_| true, left: |request, now| Some(left(request, now)), what },
    );
}

/// How long the request still stays; zero: it goes.
pub(super) fn left(request: &PodCertificateRequest, now: Timestamp) -> Duration {
    let Some(created) = &request.metadata.creation_timestamp else { return STAYS };
    STAYS.saturating_sub(Duration::try_from(now.duration_since(created.0)).unwrap_or_default())
}

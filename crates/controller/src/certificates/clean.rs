//! Requests go when they are of no more use: an hour after their end, a day when nobody cares.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use apimachinery::ObjectKey;
use client::{Api, DeleteOptions, Informer, Requeue};
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use stdx::clock::SharedClock;

use crate::context::{Component, object, synced};

const JUDGED: Duration = Duration::from_secs(60 * 60);
const PENDING: Duration = Duration::from_secs(24 * 60 * 60);

/// `certificatesigningrequest-cleaner-controller`
pub fn start(component: Component) {
    let requests: Informer<CertificateSigningRequest> = component.informer();
    let queue = component.queue::<ObjectKey>();
    let woken = queue.clone();
    component.on(&requests, move |change| {
        if let Some(request) = object(change) {
            woken.add(request.key.clone());
        }
    });
    let wait = vec![synced(&requests)];
    let state = Arc::new((requests, component.api::<CertificateSigningRequest>(), component.clock.clone()));
    component.run(wait, &queue, 1, move |key| {
        let state = state.clone();
        async move { reconcile(&state.0, &state.1, &state.2, &key).await }
    });
}

async fn reconcile(
    requests: &Informer<CertificateSigningRequest>,
    api: &Api<CertificateSigningRequest>,
    clock: &SharedClock,
    key: &ObjectKey,
) -> anyhow::Result<Requeue> {
    let Some(request) = requests.get(key) else { return Ok(Requeue::Never) };
    let left = left(&request, clock.now());
    if !left.is_zero() {
        return Ok(Requeue::After(left));
    }
    match api.delete("", &key.name, &DeleteOptions::uid(request.uid())).await {
        Ok(()) => Ok(Requeue::Never),
        Err(e) if e.is_not_found() || e.is_conflict() => Ok(Requeue::Never),
        Err(e) => Err(e).context("delete an old certificate request"),
    }
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

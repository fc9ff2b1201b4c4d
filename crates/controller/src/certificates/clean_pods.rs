//! Requests for certificates of pods go a quarter of an hour after they were made: a kubelet reads its answer at once.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use apimachinery::ObjectKey;
use client::{DeleteOptions, Informer, Requeue};
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::certificates::v1::PodCertificateRequest;

use crate::context::{Component, object, synced};

const STAYS: Duration = Duration::from_secs(15 * 60);

/// `podcertificaterequest-cleaner-controller`
pub fn start(component: Component) {
    let requests: Informer<PodCertificateRequest> = component.informer();
    let queue = component.queue::<ObjectKey>();
    let woken = queue.clone();
    component.on(&requests, move |change| {
        if let Some(request) = object(change) {
            woken.add(request.key.clone());
        }
    });
    let wait = vec![synced(&requests)];
    let state = Arc::new((requests, component.api::<PodCertificateRequest>(), component.clock.clone()));
    component.run(wait, &queue, 1, move |key| {
        let state = state.clone();
        async move {
            let (requests, api, clock) = &*state;
            let Some(request) = requests.get(&key) else { return Ok(Requeue::Never) };
            let left = left(&request, clock.now());
            if !left.is_zero() {
                return Ok(Requeue::After(left));
            }
            match api.delete(&key.namespace, &key.name, &DeleteOptions::uid(request.uid())).await {
                Ok(()) => Ok(Requeue::Never),
                Err(e) if e.is_not_found() || e.is_conflict() => Ok(Requeue::Never),
                Err(e) => Err(e).context("delete an old request for a pod's certificate"),
            }
        }
    });
}

/// How long the request still stays; zero: it goes.
pub(super) fn left(request: &PodCertificateRequest, now: Timestamp) -> Duration {
    let Some(created) = &request.metadata.creation_timestamp else { return STAYS };
    STAYS.saturating_sub(Duration::try_from(now.duration_since(created.0)).unwrap_or_default())
}

//! `token-cleaner-controller`: tokens go when their time is over, not before.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use apimachinery::ObjectKey;
use client::{DeleteOptions, Informer, Requeue};
use codec::Kind as _;
use k8s_openapi::api::core::v1::Secret;

use super::{expires, is_token};
use crate::context::{Component, object, synced};

pub fn start(component: Component) {
    let secrets: Informer<Secret> = component.informer();
    let queue = component.queue::<ObjectKey>();
    let woken = queue.clone();
    component.on(&secrets, move |change| {
        if let Some(secret) = object(change).filter(|s| &*s.key.namespace == super::SYSTEM) {
            woken.add(secret.key.clone());
        }
    });
    let wait = vec![synced(&secrets)];
    let state = Arc::new((secrets, component.api::<Secret>(), component.clock.clone()));
    component.run(wait, &queue, 1, move |key| {
        let state = state.clone();
        async move {
            let (secrets, api, clock) = &*state;
            let Some(secret) = secrets.get(&key).filter(is_token) else { return Ok(Requeue::Never) };
            let Some(end) = expires(&secret) else { return Ok(Requeue::Never) };
            let left = Duration::try_from(end.duration_since(clock.now())).unwrap_or_default();
            if !left.is_zero() {
                return Ok(Requeue::After(left));
            }
            match api.delete(&key.namespace, &key.name, &DeleteOptions::uid(secret.uid())).await {
                Err(e) if e.is_not_found() || e.is_conflict() => Ok(Requeue::Never),
                gone => gone.map(|()| Requeue::Never).context("delete an expired token"),
            }
        }
    });
}

//! Signs what is approved, or says why it never will be.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use apimachinery::ObjectKey;
use client::{Api, Informer, Requeue};
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use resources::prelude::*;
use stdx::clock::SharedClock;

use super::{Signer, add_condition, judge};
use crate::context::{Component, object, synced};

struct State {
    requests: Informer<CertificateSigningRequest>,
    api: Api<CertificateSigningRequest>,
    signer: Signer,
    longest: Duration,
    clock: SharedClock,
}

/// `certificatesigningrequest-signing-controller`. Without a signer in the configuration nothing is signed.
pub fn start(component: Component) {
    let Some(signer) = component.config.signer.clone() else {
        tracing::info!("no CA to sign certificate requests with");
        return;
    };
    let state = Arc::new(State {
        requests: component.informer(),
        api: component.api(),
        signer,
        longest: component.config.signing_duration,
        clock: component.clock.clone(),
    });
    let queue = component.queue::<ObjectKey>();
    let woken = queue.clone();
    component.on(&state.requests, move |change| {
        if let Some(request) = object(change) {
            woken.add(request.key.clone());
        }
    });
    component.run(vec![synced(&state.requests)], &queue, 1, move |key| {
        let state = state.clone();
        async move { state.reconcile(&key).await }
    });
}

impl State {
    async fn reconcile(&self, key: &ObjectKey) -> anyhow::Result<Requeue> {
        let Some(mut request) = self.requests.get(key) else { return Ok(Requeue::Never) };
        if !request.is_approved() || request.is_issued() || request.has_condition("Failed") {
            return Ok(Requeue::Never);
        }
        let asked = pki::request::request_subject(&request.spec.request.0);
        let asked = asked.context("read a certificate request")?;
        let Some(judged) = judge::usage(&request, &asked) else { return Ok(Requeue::Never) };
        let now = self.clock.now();
        match judged {
            Err(why) => add_condition(&mut request, "Failed", "SignerValidationFailure", why, now),
            Ok(usage) => {
                let lifetime = lifetime(request.spec.expiration_seconds, self.longest);
                let pem = String::from_utf8_lossy(&request.spec.request.0).into_owned();
                match (self.signer.0)(&pem, usage, lifetime, now) {
                    Ok(certificate) => {
                        let status = request.status.get_or_insert_default();
                        status.certificate = Some(ByteString(certificate.into_bytes()));
                    }
                    Err(error) => {
                        let why = format!("{error:#}");
                        add_condition(&mut request, "Failed", "SignerValidationFailure", &why, now);
                    }
                }
            }
        }
        match self.api.update_status(&request).await {
            Ok(_) => Ok(Requeue::Never),
            Err(e) if e.is_conflict() || e.is_not_found() => Ok(Requeue::RateLimited),
            Err(e) => Err(e).context("write the status of a certificate request"),
        }
    }
}

/// As asked, from ten minutes on, and never longer than `longest`.
fn lifetime(asked: Option<i32>, longest: Duration) -> Duration {
    const SHORTEST: Duration = Duration::from_secs(600);
    let asked = asked.and_then(|s| u64::try_from(s).ok()).map(Duration::from_secs);
    asked.map_or(longest, |asked| asked.max(SHORTEST)).min(longest)
}

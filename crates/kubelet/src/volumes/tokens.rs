//! Service account tokens by TokenRequest, bound to their pod, renewed when four fifths of their life are over.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use client::{Api, Transport};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount, ServiceAccountTokenProjection};
use stdx::clock::SharedClock;

use crate::spec;

const DEFAULT_SECONDS: i64 = 3600;
/// However long it lives, it is renewed once a day.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(24);

#[derive(Clone, Debug)]
struct Token {
    token: String,
    renew_at: Timestamp,
    expires_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct TokenKey {
    uid: String,
    account: String,
    audience: String,
    seconds: i64,
}

/// Tokens in use. Only in memory: after a restart there are new ones.
pub struct Tokens {
    api: Api<ServiceAccount>,
    clock: SharedClock,
    known: Mutex<HashMap<TokenKey, Token>>,
}

impl Tokens {
    pub fn new(transport: Arc<dyn Transport>, clock: SharedClock) -> Self {
        Tokens { api: Api::new(transport), clock, known: Mutex::default() }
    }

    /// The token for a projection, and when to ask again. An expiring one that cannot be renewed is used while it is good.
    pub async fn get(
        &self,
        pod: &Pod,
        projection: &ServiceAccountTokenProjection,
    ) -> Result<(String, Timestamp), String> {
        let account = spec::of(pod).service_account_name.clone().unwrap_or_else(|| "default".into());
        let key = TokenKey {
            uid: pod.metadata.uid.clone().unwrap_or_default(),
            account,
            audience: projection.audience.clone().unwrap_or_default(),
            seconds: projection.expiration_seconds.unwrap_or(DEFAULT_SECONDS),
        };
        let now = self.clock.now();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(token) = known.as_ref().filter(|t| t.renew_at > now) {
            return Ok((token.token.clone(), token.renew_at));
        }
        match (self.request(pod, &key, now).await, known) {
            (Ok(token), _) => {
                let answer = (token.token.clone(), token.renew_at);
                self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, token);
                Ok(answer)
            }
            (Err(why), Some(old)) if old.expires_at > now => {
                tracing::warn!("cannot renew a token, using the old one: {why}");
                Ok((old.token, crate::plan::after(now, 10)))
            }
            (Err(why), _) => Err(why),
        }
    }

    async fn request(&self, pod: &Pod, key: &TokenKey, now: Timestamp) -> Result<Token, String> {
        let namespace = pod.metadata.namespace.clone().unwrap_or_default();
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                audiences: Some(key.audience.clone()).filter(|a| !a.is_empty()).map(|a| vec![a]),
                expiration_seconds: Some(key.seconds),
                bound_object_ref: Some(BoundObjectReference {
                    api_version: Some("v1".into()),
                    kind: Some("Pod".into()),
                    name: pod.metadata.name.clone(),
                    uid: pod.metadata.uid.clone(),
                }),
                ..TokenRequestSpec::default()
            }),
            ..TokenRequest::default()
        };
        let answer = self.api.create_token(&namespace, &key.account, &request).await;
        let answer = answer.map_err(|e| format!("failed to fetch token: {e}"))?;
        let status = answer.status.ok_or("failed to fetch token: the API answers without a token")?;
        let no_token = "failed to fetch token: the API answers without a token";
        let token = status.token.ok_or(no_token)?;
        let expires = status.expiration_timestamp.ok_or(no_token)?.0;
        let life = expires.duration_since(now);
        let renew = (life * 4 / 5).min(MAX_AGE).max(SignedDuration::from_secs(1));
        Ok(Token { token, renew_at: now.checked_add(renew).unwrap_or(expires), expires_at: expires })
    }

    /// The pod is gone.
    pub fn forget(&self, uid: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).retain(|key, _| key.uid != uid);
    }
}

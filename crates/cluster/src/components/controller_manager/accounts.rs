//! `--use-service-account-credentials`: each controller acts as a service account of its own in kube-system, with tokens that the
//! controller manager asks for in its name.

use std::sync::Arc;
use std::time::Duration;

use apimachinery::{ObjectKey, Status};
use async_trait::async_trait;
use client::https::{Credential, HttpsConfig, HttpsTransport, TokenSource};
use client::{Api, Transport};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use stdx::clock::SharedClock;
use tokio::sync::Mutex;

use crate::components::{Access, Process};

const NAMESPACE: &str = "kube-system";
/// As upstream's: an hour, and a new one when a fifth of it is left.
const LIFETIME: Duration = Duration::from_secs(3600);
const RENEW_AFTER: Duration = Duration::from_secs(2880);

/// A way to the API as the service account `name`.
pub fn transport(
    access: &Access,
    manager: &Arc<dyn Transport>,
    name: &str,
    process: &Process,
) -> anyhow::Result<Arc<dyn Transport>> {
    let tokens = Tokens {
        accounts: Api::new(manager.clone()),
        name: name.to_owned(),
        clock: process.clock.clone(),
        last: Mutex::default(),
    };
    // Where, and whom to trust, as the manager; who we are, by the tokens.
    let config =
        HttpsConfig { identity: None, credential: Credential::Source(Arc::new(tokens)), ..access.config()? };
    let (clock, random) = (process.clock.clone(), process.random.clone());
    Ok(Arc::new(HttpsTransport::new(config, clock, random, process.groups.api.clone())?))
}

/// Tokens of one account.
struct Tokens {
    accounts: Api<ServiceAccount>,
    name: String,
    clock: SharedClock,
    /// When, by the monotonic clock, and what.
    last: Mutex<Option<(Duration, String)>>,
}

#[async_trait]
impl TokenSource for Tokens {
    async fn token(&self) -> Result<String, Status> {
        // Held while asking: who comes meanwhile gets the same.
        let mut last = self.last.lock().await;
        let now = self.clock.monotonic();
        if let Some((at, token)) = &*last
            && now.saturating_sub(*at) < RENEW_AFTER
        {
            return Ok(token.clone());
        }
        let token = self.ask().await?;
        *last = Some((now, token.clone()));
        Ok(token)
    }
}

impl Tokens {
    async fn ask(&self) -> Result<String, Status> {
        if self.accounts.find(&ObjectKey::new(NAMESPACE, &self.name)).await?.is_none() {
            let account = ServiceAccount {
                metadata: ObjectMeta {
                    namespace: Some(NAMESPACE.into()),
                    name: Some(self.name.clone()),
                    ..ObjectMeta::default()
                },
                ..ServiceAccount::default()
            };
            match self.accounts.create(&account).await {
                Err(e) if !e.is_already_exists() => return Err(e),
                _ => {}
            }
        }
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                expiration_seconds: i64::try_from(LIFETIME.as_secs()).ok(),
                ..TokenRequestSpec::default()
            }),
            ..TokenRequest::default()
        };
        let answer = self.accounts.create_token(NAMESPACE, &self.name, &request).await?;
        answer
            .status
            .and_then(|status| status.token)
            .ok_or_else(|| Status::internal("the API server answers a token request without a token"))
    }
}

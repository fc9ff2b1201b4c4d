//! Authentication by asking an API server, for components that serve requests on their own: the kubelet.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use client::Api;
use client::transport::Transport;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use ring::digest::{SHA256, digest};
use stdx::clock::SharedClock;

use super::cache::Cache;
use super::{Authenticator, Credentials, UserInfo, X509, aggregate};

/// As the kubelet's `authentication.webhook.cacheTTL`.
const REMEMBER: Duration = Duration::from_secs(2 * 60);

/// Client certificates are judged here, tokens by TokenReviews. Good answers are remembered for two minutes.
pub struct DelegatedAuthentication {
    x509: Option<X509>,
    api: Api<TokenReview>,
    anonymous: bool,
    clock: SharedClock,
    /// By the token's SHA-256, until when (monotonic).
    known: Cache<[u8; 32], (UserInfo, Duration), 1024>,
}

impl DelegatedAuthentication {
    /// `transport` must be allowed to create TokenReviews.
    pub fn new(
        x509: Option<X509>,
        transport: Arc<dyn Transport>,
        anonymous: bool,
        clock: SharedClock,
    ) -> Self {
        DelegatedAuthentication { x509, api: Api::new(transport), anonymous, clock, known: Cache::default() }
    }

    async fn token(&self, token: &str) -> Result<UserInfo, String> {
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        let now = self.clock.monotonic();
        if let Some((user, until)) = self.known.get(&key)
            && now < until
        {
            return Ok(user);
        }
        let spec = TokenReviewSpec { token: token.into(), audiences: None };
        let review = TokenReview { spec, ..TokenReview::default() };
        let answer = self.api.create(&review).await.map_err(|e| format!("review token: {e}"))?;
        let status = answer.status.unwrap_or_default();
        match status.user {
            Some(user) if status.authenticated == Some(true) => {
                let user = UserInfo {
                    name: user.username.unwrap_or_default(),
                    uid: user.uid.unwrap_or_default(),
                    groups: user.groups.unwrap_or_default(),
                    extra: user.extra.unwrap_or_default(),
                };
                self.known.insert(key, (user.clone(), now + REMEMBER));
                Ok(user)
            }
            _ => Err(status.error.unwrap_or_else(|| "invalid bearer token".into())),
        }
    }
}

#[async_trait]
impl Authenticator for DelegatedAuthentication {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Option<UserInfo>, String> {
        let mut errors = Vec::new();
        if let Some(x509) = &self.x509 {
            match x509.authenticate(credentials).await {
                Ok(Some(user)) => return Ok(Some(user.authenticated())),
                Ok(None) => {}
                Err(e) => errors.push(e),
            }
        }
        if let Some(token) = &credentials.token {
            match self.token(token).await {
                Ok(user) => return Ok(Some(user.authenticated())),
                Err(e) => errors.push(e),
            }
        }
        if errors.is_empty() { Ok(self.anonymous.then(UserInfo::anonymous)) } else { Err(aggregate(&errors)) }
    }
}

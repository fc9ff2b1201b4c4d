//! Service-account tokens: issued by `serviceaccounts/token`, believed while everything they are bound to lives.

mod issue;
pub mod legacy;
mod subjects;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use client::transport::Transport;
use jiff::Timestamp;
use pki::{PublicKey, SigningKey};
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};
use stdx::Random;
use stdx::clock::SharedClock;

use super::cache::Cache;
use super::claims::Claims;
use super::jws;
use crate::authn::{TokenAuthenticator, TokenUser};
use subjects::Subjects;

/// Clocks of those who issue and those who check may differ by this much (upstream's JWT library allows the same).
const LEEWAY: Duration = Duration::from_secs(60);

/// How tokens are issued and whose are believed.
#[derive(Clone, Debug)]
pub struct TokenConfig {
    /// `iss` of our tokens, a URL; the first of several that are believed.
    pub issuers: Vec<String>,
    /// The API server's own audiences.
    pub audiences: Vec<String>,
    /// Longer requests are cut to this; none by default.
    pub max_lifetime: Option<Duration>,
    /// Tokens that kubelets fetch for old clients (3607 s) live a year and are watched for late use.
    pub extend: bool,
    /// Where others find the keys; this server, when empty.
    pub jwks_uri: Option<String>,
}

impl TokenConfig {
    /// One issuer that is also the audience, as upstream's defaults.
    pub fn new(issuer: &str) -> Self {
        TokenConfig {
            issuers: vec![issuer.into()],
            audiences: vec![issuer.into()],
            max_lifetime: None,
            extend: true,
            jwks_uri: None,
        }
    }
}

/// Issues and checks service-account tokens.
pub struct ServiceAccountTokens {
    config: TokenConfig,
    signing: Arc<SigningKey>,
    keys: Vec<PublicKey>,
    subjects: Subjects,
    clock: SharedClock,
    random: Random,
    /// What tokens with a good signature say, by their SHA-256. Whether that still holds is asked every time.
    read: Cache<[u8; 32], Arc<Claims>, 4096>,
}

impl ServiceAccountTokens {
    /// Signs with `signing`; believes it and `others`. `transport` must be allowed to read service accounts, pods,
    /// nodes and secrets.
    pub fn new(
        transport: Arc<dyn Transport>,
        clock: SharedClock,
        random: Random,
        config: TokenConfig,
        signing: Arc<SigningKey>,
        others: Vec<PublicKey>,
    ) -> Self {
        let mut keys = vec![signing.public().clone()];
        keys.extend(others.into_iter().filter(|k| k != signing.public()));
        let subjects = Subjects::new(transport);
        ServiceAccountTokens { config, signing, keys, subjects, clock, random, read: Cache::default() }
    }

    /// `/openid/v1/jwks` (content type `application/jwk-set+json`).
    pub fn jwks(&self) -> Result<Value, String> {
        let mut keys = Vec::new();
        for key in &self.keys {
            let members = key.jwk_members().map_err(|e| e.to_string())?;
            let mut jwk = Map::new();
            jwk.insert("use".into(), "sig".into());
            jwk.insert("kty".into(), if key.algorithm() == "ES256" { "EC" } else { "RSA" }.into());
            jwk.insert("kid".into(), key.id().into());
            if key.algorithm() == "ES256" {
                jwk.insert("crv".into(), "P-256".into());
            }
            jwk.insert("alg".into(), key.algorithm().into());
            jwk.extend(members.map(|(name, value)| (name.to_owned(), Value::from(value))));
            keys.push(Value::from(jwk));
        }
        Ok(json!({ "keys": keys }))
    }

    /// `/.well-known/openid-configuration`. `base` is the API server's URL as clients outside see it.
    pub fn openid_configuration(&self, base: &str) -> Value {
        let mut algorithms: Vec<&str> = self.keys.iter().map(PublicKey::algorithm).collect();
        algorithms.sort_unstable();
        algorithms.dedup();
        let here = || format!("{}/openid/v1/jwks", base.trim_end_matches('/'));
        json!({
            "issuer": self.config.issuers.first(),
            "jwks_uri": self.config.jwks_uri.clone().unwrap_or_else(here),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": algorithms,
        })
    }

    /// What a token says that was read before.
    fn known(&self, token: &str) -> Option<Arc<Claims>> {
        self.read.get(&fingerprint(token))
    }

    /// What the token says, when it is of our issuer and one of our keys signed it.
    fn read(&self, token: &str) -> Result<Option<Arc<Claims>>, String> {
        let Some(unverified) = jws::Unverified::parse(token) else { return Ok(None) };
        // Another issuer's token is for another authenticator, whoever signed it.
        match unverified.claims_of_no_proof::<Claims>() {
            Some(claims) if self.config.issuers.contains(&claims.iss) => {}
            _ => return Ok(None),
        }
        let payload = unverified.verify(&self.keys)?;
        let claims: Claims = serde_json::from_slice(payload).map_err(|e| format!("read claims: {e}"))?;
        let claims = Arc::new(claims);
        self.read.insert(fingerprint(token), claims.clone());
        Ok(Some(claims))
    }

    async fn validate(&self, claims: &Claims) -> Result<(), String> {
        let now = self.clock.now();
        validate_times(claims, now)?;
        self.subjects.validate(&claims.kubernetes, now).await
    }
}

fn fingerprint(token: &str) -> [u8; 32] {
    let mut key = [0; 32];
    key.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    key
}

fn validate_times(claims: &Claims, now: Timestamp) -> Result<(), String> {
    let (now, leeway) = (now.as_second(), LEEWAY.as_secs() as i64);
    if now + leeway < claims.nbf {
        return Err("service account token is not valid yet".into());
    }
    // A token that never ends is none of ours.
    if now - leeway > claims.exp {
        return Err("service account token has expired".into());
    }
    if now + leeway < claims.iat {
        return Err("service account token is issued in the future".into());
    }
    Ok(())
}

#[async_trait]
impl TokenAuthenticator for ServiceAccountTokens {
    async fn authenticate_token(
        &self,
        token: &str,
        audiences: &[String],
    ) -> Result<Option<TokenUser>, String> {
        let claims = match self.known(token) {
            Some(claims) => claims,
            None => {
                if let Some(found) = self.legacy(token, audiences).await? {
                    return Ok(Some(found));
                }
                let Some(claims) = self.read(token)? else { return Ok(None) };
                claims
            }
        };
        let good: Vec<String> = claims.aud.iter().filter(|a| audiences.contains(a)).cloned().collect();
        if good.is_empty() {
            return Err(format!(
                "token audiences {:?} is invalid for the target audiences {audiences:?}",
                claims.aud
            ));
        }
        self.validate(&claims).await?;
        if claims.kubernetes.warnafter.is_some_and(|t| t < self.clock.now().as_second()) {
            tracing::warn!(
                sub = claims.sub,
                "a service-account token is used after it should have been renewed"
            );
        }
        Ok(Some(TokenUser { user: claims.user(), audiences: good }))
    }
}

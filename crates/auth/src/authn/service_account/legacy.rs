//! Tokens that live in secrets of type `kubernetes.io/service-account-token`: without an end, good as long as the secret.
//!
//! Contract: <https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#additional-api-token>

use std::collections::BTreeMap;

use client::Api;
use client::transport::PatchType;
use k8s_openapi::api::core::v1::Secret;
use pki::SigningKey;
use serde::{Deserialize, Serialize};

use super::ServiceAccountTokens;
use crate::authn::claims::{self, Ref};
use crate::authn::{TokenUser, UserInfo, jws};

/// `iss` of such tokens.
const ISSUER: &str = "kubernetes/serviceaccount";
const LAST_USED: &str = "kubernetes.io/legacy-token-last-used";
const INVALID_SINCE: &str = "kubernetes.io/legacy-token-invalid-since";

#[derive(Serialize, Deserialize)]
struct Claims {
    #[serde(default)]
    iss: String,
    #[serde(default, rename = "kubernetes.io/serviceaccount/namespace")]
    namespace: String,
    #[serde(default, rename = "kubernetes.io/serviceaccount/secret.name")]
    secret: String,
    #[serde(default, rename = "kubernetes.io/serviceaccount/service-account.name")]
    account: String,
    #[serde(default, rename = "kubernetes.io/serviceaccount/service-account.uid")]
    uid: String,
    #[serde(default)]
    sub: String,
}

/// The token that belongs into a secret: `account` is the service account's name, `uid` its uid.
pub fn sign(
    key: &SigningKey,
    namespace: &str,
    secret: &str,
    account: &str,
    uid: &str,
) -> Result<String, String> {
    let claims = Claims {
        iss: ISSUER.into(),
        namespace: namespace.into(),
        secret: secret.into(),
        account: account.into(),
        uid: uid.into(),
        sub: claims::username(namespace, account),
    };
    jws::sign(key, &serde_json::to_vec(&claims).map_err(|e| e.to_string())?)
}

impl ServiceAccountTokens {
    /// The user of such a token; `None` when it is of another sort.
    pub(super) async fn legacy(
        &self,
        token: &str,
        audiences: &[String],
    ) -> Result<Option<TokenUser>, String> {
        let Some(unverified) = jws::Unverified::parse(token) else { return Ok(None) };
        if unverified.claims_of_no_proof::<Claims>().is_none_or(|claims| claims.iss != ISSUER) {
            return Ok(None);
        }
        let payload = unverified.verify(&self.keys)?;
        let claims: Claims = serde_json::from_slice(payload).map_err(|e| format!("read claims: {e}"))?;
        // It says nothing of audiences: it is for the API server alone.
        let own = &self.config.audiences;
        let good: Vec<String> = own.iter().filter(|a| audiences.contains(a)).cloned().collect();
        if good.is_empty() {
            return Err(format!("token audiences {own:?} is invalid for the target audiences {audiences:?}"));
        }
        let secret = self.validate_legacy(token, &claims).await?;
        self.note_use(&claims, &secret).await;
        let user = UserInfo {
            name: claims::username(&claims.namespace, &claims.account),
            uid: claims.uid,
            groups: claims::groups(&claims.namespace),
            extra: BTreeMap::new(),
        };
        Ok(Some(TokenUser { user, audiences: good }))
    }

    async fn validate_legacy(&self, token: &str, claims: &Claims) -> Result<Secret, String> {
        for (field, what) in [
            (&claims.sub, "sub"),
            (&claims.namespace, "namespace"),
            (&claims.secret, "secretName"),
            (&claims.account, "serviceAccountName"),
            (&claims.uid, "serviceAccountUID"),
        ] {
            if field.is_empty() {
                return Err(format!("{what} claim is missing"));
            }
        }
        if claims.sub != claims::username(&claims.namespace, &claims.account) {
            return Err("sub claim is invalid".into());
        }
        let secret = self.subjects.secret(&claims.namespace, &claims.secret).await?;
        let Some(secret) = secret.filter(|s| s.metadata.deletion_timestamp.is_none()) else {
            return Err("service account token has been invalidated".into());
        };
        let kept = secret.data.as_ref().and_then(|data| data.get("token"));
        if kept.is_none_or(|kept| kept.0 != token.as_bytes()) {
            return Err("token does not match server's copy".into());
        }
        let account = Ref { name: claims.account.clone(), uid: claims.uid.clone() };
        self.subjects.account(&claims.namespace, &account, self.clock.now()).await?;
        match secret.metadata.labels.as_ref().and_then(|l| l.get(INVALID_SINCE)) {
            Some(_) => Err(format!(
                "the token in secret {}/{} for service account {}/{} has been marked invalid. Use tokens from the TokenRequest \
                 API or manually created secret-based tokens, or remove the '{INVALID_SINCE}' label from the secret to \
                 temporarily allow use of this token",
                claims.namespace, claims.secret, claims.namespace, claims.account
            )),
            None => Ok(secret),
        }
    }

    /// Notes at the secret on which day its token was used last, so that forgotten ones are found.
    async fn note_use(&self, claims: &Claims, secret: &Secret) {
        let today = self.clock.now().to_zoned(jiff::tz::TimeZone::UTC).date().to_string();
        if secret.metadata.labels.as_ref().and_then(|l| l.get(LAST_USED)) == Some(&today) {
            return;
        }
        let label = serde_json::json!({ "metadata": { "labels": { LAST_USED: today } } });
        let api = Api::<Secret>::new(self.subjects.transport().clone());
        if let Err(error) = api.patch(&claims.namespace, &claims.secret, PatchType::Merge, &label).await {
            tracing::warn!(%error, secret = claims.secret, "cannot note that a token is used");
        }
    }
}

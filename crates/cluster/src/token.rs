//! The token with which other machines join: a bootstrap token, kept in the data directory and known to the API as its secret.
//!
//! Contract: <https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/>

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use apimachinery::{ObjectKey, Status};
use auth::authn::bootstrap_token::split;
use auth::policy::joining::JOINERS;
use client::{Api, DeleteOptions, Transport};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use stdx::Random;

const NAMESPACE: &str = "kube-system";
const SECRET_TYPE: &str = "bootstrap.kubernetes.io/token";
/// What the cluster's own says of itself.
const OWN: &str = "The cluster's join token (knarr server --token).";
/// In the data directory.
const FILE: &str = "token";

pub mod manage;

/// `ID.SECRET`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    id: String,
    secret: String,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Token {
    /// The text never stands in the error: it may be nearly a secret.
    pub fn parse(text: &str) -> Result<Token> {
        let Some((id, secret)) = split(text.trim()) else {
            bail!(
                "a token is 6 characters, a dot and 16 characters, all of a-z and 0-9 (such as abcdef.0123456789abcdef)"
            );
        };
        Ok(Token { id: id.into(), secret: secret.into() })
    }

    pub(crate) fn generate() -> Token {
        Token { id: letters(6), secret: letters(16) }
    }

    pub(crate) fn text(&self) -> String {
        format!("{}.{}", self.id, self.secret)
    }

    fn secret_name(&self) -> String {
        format!("bootstrap-token-{}", self.id)
    }

    fn secret(&self, description: &str) -> Secret {
        let data = [
            ("description", description),
            ("token-id", self.id.as_str()),
            ("token-secret", self.secret.as_str()),
            ("usage-bootstrap-authentication", "true"),
            ("usage-bootstrap-signing", "true"),
            ("auth-extra-groups", JOINERS),
        ];
        Secret {
            metadata: ObjectMeta {
                name: Some(self.secret_name()),
                namespace: Some(NAMESPACE.into()),
                ..ObjectMeta::default()
            },
            type_: Some(SECRET_TYPE.into()),
            data: Some(data.map(|(k, v)| (k.to_owned(), ByteString(v.as_bytes().to_vec()))).into()),
            ..Secret::default()
        }
    }
}

/// What a machine joins with: `K`, the SHA-256 of the cluster's CA key in hex, a dot, and a [`Token`]. By the first part the machine
/// knows the cluster, by the second the cluster knows the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinToken {
    pin: String,
    token: Token,
}

impl JoinToken {
    pub fn new(pin: String, token: Token) -> Self {
        JoinToken { pin, token }
    }

    /// The text never stands in the error: it may be nearly a secret.
    pub fn parse(text: &str) -> Result<JoinToken> {
        let text = text.trim();
        if Token::parse(text).is_ok() {
            bail!(
                "this token does not say which cluster it is of; take the whole of what `knarr token create` prints \
                 (K, 64 hex digits, a dot, and the rest)"
            );
        }
        let parts = text.strip_prefix('K').and_then(|t| t.split_once('.'));
        let hex = |p: &str| p.len() == 64 && p.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match parts {
            Some((pin, token)) if hex(pin) => Ok(JoinToken { pin: pin.into(), token: Token::parse(token)? }),
            _ => bail!(
                "a join token is K, 64 hex digits, a dot, 6 characters, a dot and 16 characters; is it all there?"
            ),
        }
    }

    /// As it is written, which is a secret.
    pub fn text(&self) -> String {
        format!("K{}.{}", self.pin, self.token.text())
    }

    /// The CA's, as [`pki::pin`] has it.
    pub fn pin(&self) -> &str {
        &self.pin
    }

    /// What is shown to the API.
    pub(crate) fn secret_text(&self) -> String {
        self.token.text()
    }
}

/// Of 36 letters and digits, each as likely.
fn letters(count: usize) -> String {
    const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    // The largest multiple of 36 in a byte: what lies above would favour the first letters.
    const FAIR: u8 = 252;
    let mut text = String::new();
    while text.len() < count {
        let mut bytes = [0; 32];
        Random::secret(&mut bytes);
        let fair = bytes.iter().filter(|b| **b < FAIR).map(|b| char::from(ALPHABET[usize::from(*b) % 36]));
        text.extend(fair.take(count - text.len()));
    }
    text
}

/// What the data directory says and what it should say.
pub struct Kept {
    pub token: Token,
    /// The one before, which must no longer open the cluster.
    replaced: Option<Token>,
}

/// The token given, else the one in `data_dir`, else a new one; kept there with mode 0600.
pub fn load_or_create(data_dir: &Path, given: Option<&str>) -> Result<Kept> {
    let path = data_dir.join(FILE);
    let given = given.map(Token::parse).transpose().context("--token")?;
    let kept = match std::fs::read_to_string(&path) {
        Ok(text) => Some(Token::parse(&text).with_context(|| format!("{} holds no token", path.display()))?),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(e) => return Err(e).with_context(|| format!("read {}", path.display())),
    };
    let token = given.or_else(|| kept.clone()).unwrap_or_else(Token::generate);
    if kept.as_ref() != Some(&token) {
        pki::files::write_private(&path, format!("{}\n", token.text()).as_bytes())?;
    }
    Ok(Kept { replaced: kept.filter(|k| k.id != token.id), token })
}

/// Makes the API know the token, and forget the one it replaces. `transport` acts as a member of system:masters; the
/// namespace kube-system must be there.
pub async fn publish(transport: &Arc<dyn Transport>, kept: &Kept) -> Result<(), Status> {
    let api = Api::<Secret>::new(transport.clone());
    let wanted = kept.token.secret(OWN);
    match api.find(&ObjectKey::new(NAMESPACE, &kept.token.secret_name())).await? {
        None => drop(api.create(&wanted).await?),
        // The type of a secret cannot change.
        Some(found) if found.type_ != wanted.type_ => {
            remove(&api, &kept.token).await?;
            api.create(&wanted).await?;
        }
        Some(found) if !holds(&found, &wanted) => {
            let data = found.data.clone().unwrap_or_default().into_iter();
            let data: BTreeMap<_, _> = data.chain(wanted.data.unwrap_or_default()).collect();
            api.update(&Secret { data: Some(data), ..found }).await?;
        }
        Some(_) => {}
    }
    match &kept.replaced {
        Some(old) => remove(&api, old).await,
        None => Ok(()),
    }
}

/// Whether everything wanted is in what was found.
fn holds(found: &Secret, wanted: &Secret) -> bool {
    let found = found.data.clone().unwrap_or_default();
    wanted.data.iter().flatten().all(|(key, value)| found.get(key) == Some(value))
}

async fn remove(api: &Api<Secret>, token: &Token) -> Result<(), Status> {
    match api.delete(NAMESPACE, &token.secret_name(), &DeleteOptions::default()).await {
        Err(e) if !e.is_not_found() => Err(e),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;

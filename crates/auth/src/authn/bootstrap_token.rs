//! Bootstrap tokens: `ID.SECRET`, each in a secret `kube-system/bootstrap-token-ID`. New nodes ask for certificates with them.
//!
//! Contract: <https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/>

use std::collections::BTreeMap;

use apimachinery::ObjectKey;
use async_trait::async_trait;
use client::Informer;
use client::transport::Transport;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use ring::digest::{SHA256, digest};
use stdx::clock::SharedClock;

use crate::authn::{TokenAuthenticator, TokenUser, UserInfo};

const NAMESPACE: &str = "kube-system";
const SECRET_TYPE: &str = "bootstrap.kubernetes.io/token";
/// The group of all who come with such a token; further ones start with it and a colon.
const GROUP: &str = "system:bootstrappers";

/// Checks bootstrap tokens against their secrets. Good at the API server's own audiences only.
pub struct BootstrapTokens {
    secrets: Informer<Secret>,
    clock: SharedClock,
    audiences: Vec<String>,
}

impl BootstrapTokens {
    /// `transport` must be allowed to read secrets.
    pub fn new(transport: &dyn Transport, clock: SharedClock, audiences: Vec<String>) -> Self {
        BootstrapTokens { secrets: Informer::all(transport), clock, audiences }
    }

    fn user(&self, token: &str) -> Option<UserInfo> {
        let (id, secret) = split(token)?;
        let found = self.secrets.get(&ObjectKey::new(NAMESPACE, &format!("bootstrap-token-{id}")))?;
        if found.metadata.deletion_timestamp.is_some() || found.type_.as_deref() != Some(SECRET_TYPE) {
            return None;
        }
        let data = found.data.unwrap_or_default();
        let good = same(text(&data, "token-secret")?, secret)
            && text(&data, "token-id") == Some(id)
            && text(&data, "usage-bootstrap-authentication") == Some("true")
            && !self.expired(&data);
        let groups = extra_groups(text(&data, "auth-extra-groups").unwrap_or_default())?;
        good.then(|| UserInfo { name: format!("system:bootstrap:{id}"), groups, ..UserInfo::default() })
    }

    /// One whose date cannot be read has expired.
    fn expired(&self, data: &BTreeMap<String, ByteString>) -> bool {
        match text(data, "expiration") {
            None | Some("") => data.get("expiration").is_some_and(|d| !d.0.is_empty()),
            Some(date) => date.parse::<Timestamp>().map_or(true, |date| date <= self.clock.now()),
        }
    }
}

/// Id and secret, when the token has the form of one.
pub fn split(token: &str) -> Option<(&str, &str)> {
    let (id, secret) = token.split_once('.')?;
    let plain = |part: &str, len| {
        part.len() == len && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    (plain(id, 6) && plain(secret, 16)).then_some((id, secret))
}

fn text<'a>(data: &'a BTreeMap<String, ByteString>, key: &str) -> Option<&'a str> {
    std::str::from_utf8(&data.get(key)?.0).ok()
}

/// By their digests, so that the time it takes tells nothing of how far they agree.
fn same(a: &str, b: &str) -> bool {
    digest(&SHA256, a.as_bytes()).as_ref() == digest(&SHA256, b.as_bytes()).as_ref()
}

/// `None`: one of them is none that a token may give.
fn extra_groups(list: &str) -> Option<Vec<String>> {
    let mut groups = vec![GROUP.to_owned()];
    for group in list.split(',').map(str::trim).filter(|g| !g.is_empty()) {
        let name = group.strip_prefix(GROUP)?.strip_prefix(':')?;
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let inner = |b: u8| plain(b) || b == b':' || b == b'-';
        let ends = name.bytes().next().is_some_and(plain) && name.bytes().last().is_some_and(plain);
        if !ends || name.len() > 256 || !name.bytes().all(inner) {
            return None;
        }
        groups.push(group.to_owned());
    }
    Some(groups)
}

#[async_trait]
impl TokenAuthenticator for BootstrapTokens {
    async fn authenticate_token(
        &self,
        token: &str,
        audiences: &[String],
    ) -> Result<Option<TokenUser>, String> {
        let good: Vec<String> = self.audiences.iter().filter(|a| audiences.contains(a)).cloned().collect();
        if good.is_empty() && !self.audiences.is_empty() {
            return Ok(None);
        }
        Ok(self.user(token).map(|user| TokenUser { user, audiences: good }))
    }
}

//! Client certificates: the common name is the user, the organizations are the groups.

use std::sync::{Arc, Weak};

use anyhow::Context;
use async_trait::async_trait;
use jiff::Timestamp;
use pki::LiveTrust;
use pki::trust::Believed;
use ring::digest::{Digest, SHA256, digest};
use stdx::clock::SharedClock;

use super::cache::Cache;
use crate::authn::{Authenticator, Credentials, UserInfo};

/// Judges client certificates. A chain is judged once; then only its dates are looked at.
pub struct X509 {
    trust: Arc<LiveTrust>,
    clock: SharedClock,
    /// By the SHA-256 of the whole chain.
    judged: Cache<[u8; 32], Judged, 1024>,
}

#[derive(Clone)]
struct Judged {
    user: UserInfo,
    /// By whom; others may not believe it.
    by: Weak<Believed>,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl X509 {
    /// Believes what the CAs in `ca_pem` signed.
    pub fn new(ca_pem: &str, clock: SharedClock) -> anyhow::Result<Self> {
        let trust = LiveTrust::new(ca_pem).context("read client CA")?;
        Ok(Self::following(Arc::new(trust), clock))
    }

    /// Believes what `trust` believes at the time.
    pub fn following(trust: Arc<LiveTrust>, clock: SharedClock) -> Self {
        X509 { trust, clock, judged: Cache::default() }
    }

    fn judge(&self, by: &Arc<Believed>, chain: &[Vec<u8>], now: Timestamp) -> anyhow::Result<Judged> {
        let chain: Vec<_> = chain.iter().map(|der| der.as_slice().into()).collect();
        let subject = by.trust.verify(&chain, now)?;
        let mut judged = Judged {
            user: UserInfo {
                name: subject.common_name,
                uid: subject.uid,
                groups: subject.organizations,
                ..UserInfo::default()
            },
            by: Arc::downgrade(by),
            not_before: Timestamp::MIN,
            not_after: Timestamp::MAX,
        };
        let id = format!("X509SHA256={}", hex(digest(&SHA256, &chain[0])));
        judged.user.extra.insert("authentication.kubernetes.io/credential-id".into(), vec![id]);
        for cert in &chain {
            let (from, to) = pki::identity::validity(cert)?;
            judged.not_before = judged.not_before.max(from);
            judged.not_after = judged.not_after.min(to);
        }
        Ok(judged)
    }
}

#[async_trait]
impl Authenticator for X509 {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Option<UserInfo>, String> {
        if credentials.certificates.is_empty() {
            return Ok(None);
        }
        let now = self.clock.now();
        let key = chain_key(&credentials.certificates);
        let by = self.trust.current();
        let still =
            |j: &Judged| j.by.as_ptr() == Arc::as_ptr(&by) && j.not_before <= now && now <= j.not_after;
        let judged = match self.judged.get(&key) {
            Some(judged) if still(&judged) => judged,
            _ => {
                let judged = self
                    .judge(&by, &credentials.certificates, now)
                    .map_err(|e| format!("verifying client certificate failed: {e:#}"))?;
                self.judged.insert(key, judged.clone());
                judged
            }
        };
        // As upstream: a good certificate that names no user is nobody's.
        Ok((!judged.user.name.is_empty()).then_some(judged.user))
    }
}

fn chain_key(chain: &[Vec<u8>]) -> [u8; 32] {
    let mut context = ring::digest::Context::new(&SHA256);
    for cert in chain {
        context.update(&cert.len().to_be_bytes());
        context.update(cert);
    }
    let mut key = [0; 32];
    key.copy_from_slice(context.finish().as_ref());
    key
}

fn hex(digest: Digest) -> String {
    digest.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

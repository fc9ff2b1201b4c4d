//! Users named in headers, by a proxy whom we trust: it shows a client certificate of a CA of its own.
//!
//! Contract: <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#authenticating-proxy>

use std::sync::Arc;

use anyhow::Context;
use pki::LiveTrust;
use stdx::clock::SharedClock;

use crate::authn::{Credentials, UserInfo};

/// Which headers a proxy names users in. Names are compared without regard to case.
#[derive(Clone, Debug)]
pub struct HeaderNames {
    pub user: Vec<String>,
    pub uid: Vec<String>,
    pub group: Vec<String>,
    /// What comes after one of these is the key.
    pub extra_prefix: Vec<String>,
}

impl Default for HeaderNames {
    /// The names that aggregated servers expect.
    fn default() -> Self {
        let one = |name: &str| vec![name.to_owned()];
        HeaderNames {
            user: one("X-Remote-User"),
            uid: one("X-Remote-Uid"),
            group: one("X-Remote-Group"),
            extra_prefix: one("X-Remote-Extra-"),
        }
    }
}

/// Believes the headers of whoever has a certificate of `trust`.
pub struct RequestHeader {
    trust: Arc<LiveTrust>,
    /// Common names of proxies; empty: any.
    allowed: Vec<String>,
    names: HeaderNames,
    clock: SharedClock,
}

impl RequestHeader {
    /// Proxies have certificates of the CAs in `ca_pem`, with one of the common names in `allowed` unless that is empty.
    pub fn new(
        ca_pem: &str,
        allowed: Vec<String>,
        names: HeaderNames,
        clock: SharedClock,
    ) -> anyhow::Result<Self> {
        let trust = LiveTrust::new(ca_pem).context("read request header CA")?;
        Ok(Self::following(Arc::new(trust), allowed, names, clock))
    }

    /// As [`RequestHeader::new`], with the CAs that `trust` believes at the time.
    pub fn following(
        trust: Arc<LiveTrust>,
        allowed: Vec<String>,
        names: HeaderNames,
        clock: SharedClock,
    ) -> Self {
        RequestHeader { trust, allowed, names, clock }
    }

    /// The user whom the proxy names; `None` for those who are no proxy, and for a proxy that names nobody.
    pub fn authenticate(&self, credentials: &Credentials) -> Result<Option<UserInfo>, String> {
        if credentials.certificates.is_empty() {
            return Ok(None);
        }
        let named = self.values(credentials, &self.names.user).find(|name| !name.is_empty());
        let Some(name) = named.map(str::to_owned) else { return Ok(None) };
        let chain: Vec<_> = credentials.certificates.iter().map(|der| der.as_slice().into()).collect();
        // A certificate of another CA is a client's own; what it says in such headers is worth nothing.
        let Ok(subject) = self.trust.current().trust.verify(&chain, self.clock.now()) else {
            return Ok(None);
        };
        if !self.allowed.is_empty() && !self.allowed.contains(&subject.common_name) {
            return Err(format!("x509: subject with cn={} is not in the allowed list", subject.common_name));
        }
        let mut user = UserInfo {
            name,
            uid: self.values(credentials, &self.names.uid).next().unwrap_or_default().to_owned(),
            groups: self.values(credentials, &self.names.group).map(str::to_owned).collect(),
            ..UserInfo::default()
        };
        for (header, value) in &credentials.headers {
            for prefix in &self.names.extra_prefix {
                let Some(start) = header.get(..prefix.len()) else { continue };
                if start.eq_ignore_ascii_case(prefix) {
                    let key = unescape(&header[prefix.len()..].to_ascii_lowercase());
                    user.extra.entry(key).or_default().push(value.clone());
                }
            }
        }
        Ok(Some(user))
    }

    fn values<'a>(&self, credentials: &'a Credentials, names: &'a [String]) -> impl Iterator<Item = &'a str> {
        names.iter().flat_map(|name| {
            let own = credentials.headers.iter().filter(move |(header, _)| header.eq_ignore_ascii_case(name));
            own.map(|(_, value)| value.as_str())
        })
    }
}

/// Keys hold what header names cannot, percent-encoded.
fn unescape(key: &str) -> String {
    let bytes = key.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = key.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| key.to_owned())
}

#[cfg(test)]
mod tests;

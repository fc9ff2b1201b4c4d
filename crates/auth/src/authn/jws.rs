//! JSON Web Signatures in compact form (RFC 7515): `header.payload.signature`, each base64url.
//!
//! Strict: the algorithm is the key's, never the token's choice, so that `none` or an HMAC over a public key has no chance.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pki::{PublicKey, SigningKey};
use serde::{Deserialize, Serialize};

/// Longer ones are not looked at. Ours have about 1 kB.
const TOKEN_MAX: usize = 16 * 1024;

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    alg: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    kid: String,
    /// Extensions that a reader must understand; we understand none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crit: Option<Vec<String>>,
}

/// Signs `payload`.
pub fn sign(key: &SigningKey, payload: &[u8]) -> Result<String, String> {
    let header = Header { alg: key.algorithm().into(), kid: key.public().id().into(), crit: None };
    let header = serde_json::to_vec(&header).map_err(|e| e.to_string())?;
    let mut token = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = key.sign(token.as_bytes()).map_err(|e| e.to_string())?;
    token.push('.');
    token.push_str(&URL_SAFE_NO_PAD.encode(signature));
    Ok(token)
}

/// A token taken apart, its signature not verified yet.
#[derive(Debug)]
pub struct Unverified<'a> {
    header: Header,
    signed: &'a str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl<'a> Unverified<'a> {
    /// `None`: this is no such token.
    pub fn parse(token: &'a str) -> Option<Self> {
        if token.len() > TOKEN_MAX {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        Some(Unverified {
            header: serde_json::from_slice(&decode(header)?).ok()?,
            signed,
            payload: decode(payload)?,
            signature: decode(signature)?,
        })
    }

    /// What the token says, true or not.
    pub fn claims_of_no_proof<T: for<'de> Deserialize<'de>>(&self) -> Option<T> {
        serde_json::from_slice(&self.payload).ok()
    }

    /// The payload, when one of `keys` signed it.
    pub fn verify(&self, keys: &[PublicKey]) -> Result<&[u8], String> {
        if self.header.crit.is_some() {
            return Err("token has critical header extensions".into());
        }
        let mut candidates: Vec<&PublicKey> = keys.iter().filter(|k| k.id() == self.header.kid).collect();
        if candidates.is_empty() {
            candidates.extend(keys);
        }
        candidates
            .iter()
            .any(|key| {
                key.algorithm() == self.header.alg && key.verify(self.signed.as_bytes(), &self.signature)
            })
            .then_some(&self.payload[..])
            .ok_or_else(|| "token signature is not by a known key".into())
    }
}

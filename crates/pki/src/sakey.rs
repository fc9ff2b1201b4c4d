//! Keys that sign and verify service-account tokens.
//!
//! ring does both; what JSON Web Tokens are is `auth`'s business. Ours sign ES256; keys of a stock cluster (RSA)
//! sign and verify too.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use ring::rand::SystemRandom;
use ring::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    UnparsedPublicKey,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, SubjectPublicKeyInfoDer};
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::files;

/// A private key for tokens.
pub struct SigningKey {
    private: Private,
    public: PublicKey,
}

enum Private {
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// A new P-256 key as PKCS #8 PEM.
    pub fn generate_pem() -> Result<String> {
        Ok(rcgen::KeyPair::generate().context("generate a P-256 key")?.serialize_pem())
    }

    /// P-256 (PKCS #8) or RSA (PKCS #8 or PKCS #1), PEM.
    pub fn from_pem(pem: &str) -> Result<Self> {
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes())
            .map_err(|e| anyhow!("read service-account key: {e}"))?;
        let rejected = |e: ring::error::KeyRejected| anyhow!("use service-account key: {e}");
        match &key {
            PrivateKeyDer::Pkcs8(der) => {
                let der = der.secret_pkcs8_der();
                match EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &SystemRandom::new()) {
                    Ok(pair) => Ok(Self::p256(pair)),
                    Err(_) => RsaKeyPair::from_pkcs8(der).map(Self::rsa).map_err(rejected),
                }
            }
            PrivateKeyDer::Pkcs1(der) => {
                RsaKeyPair::from_der(der.secret_pkcs1_der()).map(Self::rsa).map_err(rejected)
            }
            _ => bail!("use service-account key: convert it first: openssl pkcs8 -topk8 -nocrypt"),
        }
    }

    /// The key in a file, made when there is none.
    pub fn load_or_create(path: &Path) -> Result<Self> {
        let pem = match files::read_if_there(path)? {
            Some(pem) => pem,
            None => {
                let pem = Self::generate_pem()?;
                files::write_private(path, pem.as_bytes())?;
                pem
            }
        };
        Self::from_pem(&pem).with_context(|| format!("load {}", path.display()))
    }

    fn p256(pair: EcdsaKeyPair) -> Self {
        let public = PublicKey::new(Algorithm::P256, pair.public_key().as_ref());
        SigningKey { private: Private::P256(pair), public }
    }

    fn rsa(pair: RsaKeyPair) -> Self {
        let public = PublicKey::new(Algorithm::Rsa, pair.public_key().as_ref());
        SigningKey { private: Private::Rsa(pair), public }
    }

    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// `ES256` or `RS256`.
    pub fn algorithm(&self) -> &'static str {
        self.public.algorithm()
    }

    /// The signature as a JSON Web Signature has it.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let random = SystemRandom::new();
        match &self.private {
            Private::P256(pair) => {
                let signature = pair.sign(&random, message).map_err(|_| anyhow!("sign token"))?;
                Ok(signature.as_ref().to_vec())
            }
            Private::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map_err(|_| anyhow!("sign token"))?;
                Ok(signature)
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    P256,
    Rsa,
}

/// A public key that verifies tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: Algorithm,
    /// An uncompressed point, or an `RSAPublicKey` in DER.
    bytes: Vec<u8>,
    id: String,
}

impl PublicKey {
    fn new(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let digest = digest::digest(&digest::SHA256, &spki(algorithm, bytes));
        PublicKey { algorithm, bytes: bytes.to_vec(), id: URL_SAFE_NO_PAD.encode(digest) }
    }

    /// P-256 or RSA, `PUBLIC KEY` PEM.
    pub fn from_pem(pem: &str) -> Result<Self> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes())
            .map_err(|e| anyhow!("read public key: {e}"))?;
        Self::from_der(&der)
    }

    /// Every key in a PEM text: public ones, the public halves of private ones, and certificates' own. One at least.
    pub fn all_from_pem(pem: &str) -> Result<Vec<Self>> {
        let unreadable = |e: rustls::pki_types::pem::Error| anyhow!("read public keys: {e}");
        let mut keys = Vec::new();
        for der in SubjectPublicKeyInfoDer::pem_slice_iter(pem.as_bytes()) {
            keys.push(Self::from_der(&der.map_err(unreadable)?)?);
        }
        for der in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let der = der.map_err(unreadable)?;
            let (_, cert) = x509_parser::parse_x509_certificate(&der).context("read certificate")?;
            keys.push(Self::from_der(cert.public_key().raw)?);
        }
        if PrivateKeyDer::pem_slice_iter(pem.as_bytes()).next().is_some() {
            keys.push(SigningKey::from_pem(pem)?.public().clone());
        }
        if keys.is_empty() {
            bail!("no key in PEM text (BEGIN PUBLIC KEY, BEGIN PRIVATE KEY or BEGIN CERTIFICATE)");
        }
        Ok(keys)
    }

    /// A SubjectPublicKeyInfo.
    fn from_der(der: &[u8]) -> Result<Self> {
        let (_, info) = SubjectPublicKeyInfo::from_der(der).context("read public key")?;
        let bytes = &info.subject_public_key.data;
        match info.algorithm.algorithm.to_id_string().as_str() {
            "1.2.840.10045.2.1" if bytes.len() == 65 && bytes[0] == 4 => {
                Ok(Self::new(Algorithm::P256, bytes))
            }
            "1.2.840.113549.1.1.1" => Ok(Self::new(Algorithm::Rsa, bytes)),
            other => bail!("public key of an algorithm that does not verify tokens here: {other}"),
        }
    }

    /// `kid`: as upstream computes it, the base64url SHA-256 of the key's SubjectPublicKeyInfo.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The only `alg` that this key verifies: `ES256` or `RS256`.
    pub fn algorithm(&self) -> &'static str {
        match self.algorithm {
            Algorithm::P256 => "ES256",
            Algorithm::Rsa => "RS256",
        }
    }

    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let algorithm: &dyn signature::VerificationAlgorithm = match self.algorithm {
            Algorithm::P256 => &signature::ECDSA_P256_SHA256_FIXED,
            Algorithm::Rsa => &signature::RSA_PKCS1_2048_8192_SHA256,
        };
        UnparsedPublicKey::new(algorithm, &self.bytes).verify(message, signature).is_ok()
    }

    /// The key's own members of a JSON Web Key, base64url: `x` and `y`, or `n` and `e`.
    pub fn jwk_members(&self) -> Result<[(&'static str, String); 2]> {
        let encode = |b: &[u8]| URL_SAFE_NO_PAD.encode(b);
        match self.algorithm {
            Algorithm::P256 => {
                let (x, y) = self.bytes[1..].split_at(32);
                Ok([("x", encode(x)), ("y", encode(y))])
            }
            Algorithm::Rsa => {
                let (_, key) = x509_parser::public_key::RSAPublicKey::from_der(&self.bytes)
                    .map_err(|e| anyhow!("read RSA key: {e}"))?;
                let trim = |b: &[u8]| {
                    let zeros = b.iter().take_while(|b| **b == 0).count();
                    URL_SAFE_NO_PAD.encode(&b[zeros..])
                };
                Ok([("n", trim(key.modulus)), ("e", trim(key.exponent))])
            }
        }
    }
}

/// SubjectPublicKeyInfo: SEQUENCE { SEQUENCE { algorithm, parameters }, BIT STRING key }.
fn spki(algorithm: Algorithm, key: &[u8]) -> Vec<u8> {
    // The AlgorithmIdentifiers of id-ecPublicKey with prime256v1, and of rsaEncryption, in DER.
    const P256: &[u8] = &[
        0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
        0x3d, 0x03, 0x01, 0x07,
    ];
    const RSA: &[u8] =
        &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let mut bits = vec![0];
    bits.extend_from_slice(key);
    let mut body = match algorithm {
        Algorithm::P256 => P256,
        Algorithm::Rsa => RSA,
    }
    .to_vec();
    body.extend(der(0x03, &bits));
    der(0x30, &body)
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().take_while(|b| **b == 0).count()..];
    let mut out = vec![tag];
    match content.len() {
        short @ 0..0x80 => out.push(short as u8),
        _ => {
            out.push(0x80 | length.len() as u8);
            out.extend_from_slice(length);
        }
    }
    out.extend_from_slice(content);
    out
}

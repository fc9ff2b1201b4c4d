//! Key pairs of the sorts that pods ask for, each with a request that proves that its maker has it. Start at [`generate`].

use std::convert::Infallible;

use anyhow::{Context as _, Result, anyhow};
use p521::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use rcgen::{CertificateParams, DistinguishedName, KeyPair, SignatureAlgorithm};
use rsa::rand_core::{TryCryptoRng, TryRng};

/// What sort of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyType {
    Rsa3072,
    Rsa4096,
    EcdsaP256,
    EcdsaP384,
    EcdsaP521,
    Ed25519,
}

impl KeyType {
    /// By the name that the API gives it.
    pub fn parse(name: &str) -> Option<KeyType> {
        Some(match name {
            "RSA3072" => KeyType::Rsa3072,
            "RSA4096" => KeyType::Rsa4096,
            "ECDSAP256" => KeyType::EcdsaP256,
            "ECDSAP384" => KeyType::EcdsaP384,
            "ECDSAP521" => KeyType::EcdsaP521,
            "ED25519" => KeyType::Ed25519,
            _ => return None,
        })
    }
}

/// A new key, and the proof that whoever made it has it.
pub struct Proven {
    /// PKCS #8.
    pub key_pem: String,
    /// A PKCS #10 request in DER that asks for nothing: no name, no extension.
    pub request: Vec<u8>,
}

/// Makes a key and its request. RSA keys take a second or more of one core: not for an async task.
pub fn generate(kind: KeyType) -> Result<Proven> {
    match kind {
        KeyType::Rsa3072 => by_ring(&rsa_key(3072)?),
        KeyType::Rsa4096 => by_ring(&rsa_key(4096)?),
        KeyType::EcdsaP256 => by_ring(&new_key(&rcgen::PKCS_ECDSA_P256_SHA256)?),
        KeyType::EcdsaP384 => by_ring(&new_key(&rcgen::PKCS_ECDSA_P384_SHA384)?),
        KeyType::Ed25519 => by_ring(&new_key(&rcgen::PKCS_ED25519)?),
        KeyType::EcdsaP521 => p521(),
    }
}

fn new_key(algorithm: &'static SignatureAlgorithm) -> Result<KeyPair> {
    KeyPair::generate_for(algorithm).context("generate a key")
}

fn rsa_key(bits: usize) -> Result<KeyPair> {
    let key = rsa::PrivateKey::new(&mut Os, bits).context("generate an RSA key")?;
    let der = rsa::pkcs8::EncodePrivateKey::to_pkcs8_der(&key).context("encode an RSA key")?;
    let der = rustls::pki_types::PrivatePkcs8KeyDer::from(der.as_bytes());
    KeyPair::from_pkcs8_der_and_sign_algo(&der, &rcgen::PKCS_RSA_SHA256).context("read an RSA key")
}

fn by_ring(key: &KeyPair) -> Result<Proven> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(key).context("sign the request")?;
    Ok(Proven { key_pem: key.serialize_pem(), request: request.der().to_vec() })
}

/// What ring has not got.
fn p521() -> Result<Proven> {
    use p521::ecdsa::signature::Signer as _;
    let secret = p521_secret();
    let signer = p521::ecdsa::SigningKey::from(&secret);
    let spki = secret.public_key().to_public_key_der().context("encode a P-521 key")?;
    // CertificationRequestInfo: version 0, an empty name, the key, no attributes (RFC 2986, 4.1).
    let info = der(0x30, &[&[0x02, 0x01, 0x00, 0x30, 0x00], spki.as_bytes(), &[0xa0, 0x00]]);
    let signature: p521::ecdsa::DerSignature = signer.sign(&info);
    // ecdsa-with-SHA512, 1.2.840.10045.4.3.4.
    let algorithm = der(0x30, &[&[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04]]);
    let signature = der(0x03, &[&[0], signature.as_bytes()]);
    let key_pem = secret.to_pkcs8_pem(LineEnding::LF).map_err(|e| anyhow!("encode a P-521 key: {e}"))?;
    Ok(Proven { key_pem: key_pem.to_string(), request: der(0x30, &[&info, &algorithm, &signature]) })
}

fn p521_secret() -> p521::SecretKey {
    loop {
        let mut bytes = [0u8; 66];
        stdx::Random::secret(&mut bytes);
        // 521 bits; what is not below the curve's order is drawn again.
        bytes[0] &= 1;
        if let Ok(secret) = p521::SecretKey::from_slice(&bytes) {
            return secret;
        }
    }
}

/// A DER element.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|p| p.len()).sum();
    let bytes = length.to_be_bytes();
    let bytes = &bytes[bytes.iter().take_while(|b| **b == 0).count()..];
    let mut out = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        // A length has at most eight bytes.
        _ => {
            out.push(0x80 | bytes.len() as u8);
            out.extend(bytes);
        }
    }
    parts.iter().for_each(|p| out.extend(*p));
    out
}

/// The operating system's generator, as `rsa` asks for it.
struct Os;

impl TryRng for Os {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        stdx::Random::secret(&mut bytes);
        Ok(u32::from_ne_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        stdx::Random::secret(&mut bytes);
        Ok(u64::from_ne_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        stdx::Random::secret(out);
        Ok(())
    }
}

impl TryCryptoRng for Os {}

#[cfg(test)]
mod tests;

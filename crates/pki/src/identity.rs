//! A certificate with its key.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use base64::Engine as _;
use jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::tls;

/// A certificate (chain) and its private key, both PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    pub cert_pem: String,
    pub key_pem: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

impl Identity {
    pub fn new(cert_pem: impl Into<String>, key_pem: impl Into<String>) -> Self {
        Identity { cert_pem: cert_pem.into(), key_pem: key_pem.into() }
    }

    /// The chain, leaf first. Never empty.
    pub fn chain(&self) -> Result<Vec<CertificateDer<'static>>> {
        let chain = certificates(&self.cert_pem)?;
        if chain.is_empty() { Err(anyhow!("no certificate in PEM text")) } else { Ok(chain) }
    }

    /// In the form that rustls works with. Fails when key and certificate do not belong together.
    pub fn certified_key(&self) -> Result<Arc<CertifiedKey>> {
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes())
            .map_err(|e| anyhow!("read private key: {e}"))?;
        let key = CertifiedKey::from_der(self.chain()?, key, &tls::provider())
            .context("pair certificate and key")?;
        Ok(Arc::new(key))
    }

    /// When the leaf is good: not before, not after.
    pub fn validity(&self) -> Result<(Timestamp, Timestamp)> {
        validity(&self.chain()?[0])
    }
}

/// All certificates in a PEM text, in order.
pub fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|e| anyhow!("read certificate: {e}"))
}

/// The certificates as a PEM text of nothing else.
pub fn to_pem(certificates: &[CertificateDer<'_>]) -> String {
    let block = |der: &CertificateDer<'_>| {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        let lines = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned() + "\n");
        format!("-----BEGIN CERTIFICATE-----\n{}-----END CERTIFICATE-----\n", lines.collect::<String>())
    };
    certificates.iter().map(block).collect()
}

/// When a certificate is good: not before, not after.
pub fn validity(cert: &CertificateDer<'_>) -> Result<(Timestamp, Timestamp)> {
    let (_, parsed) = x509_parser::parse_x509_certificate(cert).context("read certificate")?;
    let v = parsed.validity();
    let time = |t: x509_parser::time::ASN1Time| {
        Timestamp::from_second(t.timestamp()).context("date of a certificate")
    };
    Ok((time(v.not_before)?, time(v.not_after)?))
}

//! A CA known by its key: what a join token carries, so that a new machine needs no file to recognise the cluster.

use anyhow::{Context, Result};
use ring::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;

use crate::identity::certificates;

/// The SHA-256 of the certificate's public key (SubjectPublicKeyInfo) in hex, as kubeadm's `--discovery-token-ca-cert-hash` has it
/// after `sha256:`. It stays the same when the CA is signed anew.
pub fn of(cert: &CertificateDer<'_>) -> Result<String> {
    let (_, parsed) = x509_parser::parse_x509_certificate(cert).context("read certificate")?;
    let hash = digest(&SHA256, parsed.public_key().raw);
    Ok(hash.as_ref().iter().map(|b| format!("{b:02x}")).collect())
}

/// Whether one of the certificates in a PEM text has this pin.
pub fn is_among(pin: &str, ca_pem: &str) -> Result<bool> {
    for cert in certificates(ca_pem)? {
        if of(&cert)? == pin {
            return Ok(true);
        }
    }
    Ok(false)
}

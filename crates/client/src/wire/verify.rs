//! Whom to believe, and Go's words for why not.

use std::sync::Arc;

use pki::identity::Identity;
use pki::tls::{LiveIdentity, client_config, provider};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};

use super::Target;

/// Where distributions keep the authorities that a machine trusts.
const SYSTEM: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

pub(super) fn config(target: &Target) -> Result<ClientConfig, String> {
    let identity = match &target.identity {
        None => None,
        Some((certificate, key)) => {
            let identity = Identity::new(certificate.clone(), key.clone());
            Some(Arc::new(LiveIdentity::new(&identity).map_err(|e| format!("{e:#}"))?))
        }
    };
    if target.insecure {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody));
        return Ok(match identity {
            Some(identity) => builder.with_client_cert_resolver(identity),
            None => builder.with_no_client_auth(),
        });
    }
    let authority = match &target.authority {
        Some(pem) => pem.clone(),
        None => {
            let found = SYSTEM.iter().find_map(|path| std::fs::read_to_string(path).ok());
            found.ok_or("tls: failed to verify certificate: x509: certificate signed by unknown authority")?
        }
    };
    client_config(&authority, identity).map_err(|e| format!("{e:#}"))
}

/// Go's words for a failure of TLS; nothing when the error is of another kind.
pub(super) fn said(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let tls = error.downcast_ref::<rustls::Error>().or_else(|| {
        let io = error.downcast_ref::<std::io::Error>()?;
        io.get_ref()?.downcast_ref::<rustls::Error>()
    })?;
    let x509 = |why: &str| format!("tls: failed to verify certificate: x509: {why}");
    Some(match tls {
        rustls::Error::InvalidCertificate(why) => match why {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                x509("certificate signed by unknown authority")
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                x509("certificate has expired or is not yet valid")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                x509("certificate has expired or is not yet valid")
            }
            CertificateError::NotValidForNameContext { expected, presented } => {
                let asked = match expected {
                    ServerName::DnsName(name) => name.as_ref().to_owned(),
                    ServerName::IpAddress(ip) => std::net::IpAddr::from(*ip).to_string(),
                    _ => String::new(),
                };
                let kind =
                    |p: &&String| p.starts_with("IpAddress") == asked.parse::<std::net::IpAddr>().is_ok();
                let names: Vec<String> = presented.iter().filter(kind).map(|p| inside(p)).collect();
                match asked.parse::<std::net::IpAddr>().is_ok() {
                    true if names.is_empty() => x509(&format!(
                        "cannot validate certificate for {asked} because it doesn't contain any IP SANs"
                    )),
                    _ => x509(&format!("certificate is valid for {}, not {asked}", names.join(", "))),
                }
            }
            other => x509(&other.to_string()),
        },
        rustls::Error::InvalidMessage(_) => "http: server gave HTTP response to HTTPS client".into(),
        rustls::Error::AlertReceived(alert) => format!("remote error: tls: {alert:?}"),
        other => format!("tls: {other}"),
    })
}

/// `a` of `DnsName("a")`.
fn inside(presented: &str) -> String {
    let inner = presented.split_once('(').map_or(presented, |(_, rest)| rest.trim_end_matches(')'));
    inner.trim_matches('"').to_owned()
}

/// Believes every certificate, as `--insecure-skip-tls-verify` asks; signatures are still checked.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

//! Whom to believe, and Go's words for why not.

use std::sync::Arc;

use pki::identity::Identity;
use pki::tls::{LiveIdentity, client_config, unverified_client_config};
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig};

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
        return unverified_client_config(identity).map_err(|e| format!("{e:#}"));
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

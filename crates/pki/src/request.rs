//! What a certificate request (PKCS #10 in PEM) asks for.

use anyhow::{Context, Result, anyhow, ensure};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

use crate::ca::Template;

/// A request that says what `template` says (its lifetime aside), and the new key it was made with, both PEM.
pub fn make(template: &Template) -> Result<(String, String)> {
    let key = KeyPair::generate().context("generate a P-256 key")?;
    let mut params = CertificateParams::new(template.names.clone())
        .with_context(|| format!("names of a certificate: {:?}", template.names))?;
    params.distinguished_name = DistinguishedName::new();
    if !template.organization.is_empty() {
        params.distinguished_name.push(DnType::OrganizationName, template.organization.as_str());
    }
    params.distinguished_name.push(DnType::CommonName, template.common_name.as_str());
    let request = params.serialize_request(&key).context("sign the request")?;
    Ok((request.pem().context("encode the request")?, key.serialize_pem()))
}

/// Names that the certificate is to have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requested {
    /// The user's name.
    pub common_name: String,
    /// The user's groups.
    pub groups: Vec<String>,
    pub dns_names: Vec<String>,
    pub ips: Vec<std::net::IpAddr>,
    /// Names of other sorts (mail addresses, URIs): how many.
    pub other_names: usize,
}

/// Reads a request. Whether whoever sent it holds the key, [`crate::Ca::sign_request`] checks.
pub fn request_subject(pem: &[u8]) -> Result<Requested> {
    let parsed = x509_parser::pem::parse_x509_pem(pem);
    let (_, block) = parsed.map_err(|_| anyhow!("PEM block type must be CERTIFICATE REQUEST"))?;
    ensure!(
        matches!(block.label.as_str(), "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST"),
        "PEM block type must be CERTIFICATE REQUEST"
    );
    let parsed = X509CertificationRequest::from_der(&block.contents);
    let (_, request) = parsed.map_err(|e| anyhow!("read the certificate request: {e}"))?;
    let info = &request.certification_request_info;
    let texts = |attributes: Vec<&x509_parser::x509::AttributeTypeAndValue<'_>>| -> Vec<String> {
        attributes.iter().filter_map(|a| a.as_str().ok().map(str::to_owned)).collect()
    };
    let mut requested = Requested {
        common_name: texts(info.subject.iter_common_name().collect()).pop().unwrap_or_default(),
        groups: texts(info.subject.iter_organization().collect()),
        ..Requested::default()
    };
    for extension in request.requested_extensions().into_iter().flatten() {
        let ParsedExtension::SubjectAlternativeName(names) = extension else { continue };
        for name in &names.general_names {
            match name {
                GeneralName::DNSName(name) => requested.dns_names.push((*name).to_owned()),
                GeneralName::IPAddress(bytes) => match ip(bytes) {
                    Some(ip) => requested.ips.push(ip),
                    None => requested.other_names += 1,
                },
                _ => requested.other_names += 1,
            }
        }
    }
    Ok(requested)
}

fn ip(bytes: &[u8]) -> Option<std::net::IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(four.into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(Into::into)
}

#[cfg(test)]
mod tests;

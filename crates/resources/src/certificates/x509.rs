//! Certificates and requests for them, read as far as the rules of this group ask.

use base64::Engine as _;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// One block of a PEM file.
pub(super) struct Block {
    /// As in `BEGIN CERTIFICATE`.
    pub label: String,
    pub der: Vec<u8>,
    /// `Key: value` lines before the data.
    pub headers: bool,
}

/// The blocks of a PEM text; what is between them is skipped. Broken ones end it.
pub(super) fn blocks(text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("-----BEGIN ") {
        rest = &rest[start..];
        let Some(end) = rest.find("-----END ") else { break };
        let length = rest[end..].find('\n').map_or(rest.len(), |at| end + at + 1);
        let block = &rest[..length];
        let headers = block.lines().skip(1).take_while(|l| !l.starts_with("-----")).any(|l| l.contains(':'));
        // The reader knows no headers, so they are taken out for it.
        let plain: String = block.lines().filter(|l| !l.contains(':')).map(|l| l.to_owned() + "\n").collect();
        if let Some(Ok(pem)) = Pem::iter_from_buffer(plain.as_bytes()).next() {
            found.push(Block { label: pem.label, der: pem.contents, headers });
        }
        rest = &rest[length..];
    }
    found
}

/// What the rules ask of a certificate.
pub(super) struct Certificate {
    pub is_ca: bool,
    /// Basic constraints are there and can be read.
    pub constrained: bool,
    /// Seconds since 1970.
    pub not_before: i64,
    pub not_after: i64,
    /// Its public key, as in the request it was made from.
    pub public_key: Vec<u8>,
    pub dns_names: Vec<String>,
    pub emails: Vec<String>,
}

impl Certificate {
    pub fn parse(der: &[u8]) -> Option<Certificate> {
        let (rest, certificate) = X509Certificate::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let constraints = certificate.basic_constraints();
        let (mut dns_names, mut emails) = (Vec::new(), Vec::new());
        if let Ok(Some(names)) = certificate.subject_alternative_name() {
            for name in &names.value.general_names {
                match name {
                    GeneralName::DNSName(name) => dns_names.push((*name).to_owned()),
                    GeneralName::RFC822Name(name) => emails.push((*name).to_owned()),
                    _ => {}
                }
            }
        }
        Some(Certificate {
            is_ca: matches!(&constraints, Ok(Some(c)) if c.value.ca),
            constrained: matches!(&constraints, Ok(Some(_))),
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            public_key: certificate.public_key().raw.to_vec(),
            dns_names,
            emails,
        })
    }
}

/// What a PKCS#10 request asks for.
pub(super) struct Request {
    /// Who asks has the key.
    pub proven: bool,
    pub key: Key,
    pub public_key: Vec<u8>,
}

/// The kinds of keys that may be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Rsa {
        bits: usize,
    },
    /// The curve's name.
    Ec(String),
    Ed25519,
    Other,
}

impl Request {
    pub fn parse(der: &[u8]) -> Option<Request> {
        let (rest, request) = X509CertificationRequest::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let info = &request.certification_request_info.subject_pki;
        Some(Request {
            proven: request.verify_signature().is_ok() || proven_by_p521(&request).unwrap_or(false),
            key: key(info),
            public_key: info.raw.to_vec(),
        })
    }
}

/// Whether the request is signed by its key of the curve P-521, which the library that reads it does not know.
fn proven_by_p521(request: &X509CertificationRequest<'_>) -> Option<bool> {
    use p521::ecdsa::signature::hazmat::PrehashVerifier as _;
    use ring::digest;
    let hash = match &*request.signature_algorithm.algorithm.to_id_string() {
        "1.2.840.10045.4.3.2" => &digest::SHA256,
        "1.2.840.10045.4.3.3" => &digest::SHA384,
        "1.2.840.10045.4.3.4" => &digest::SHA512,
        _ => return None,
    };
    let info = &request.certification_request_info;
    if key(&info.subject_pki) != Key::Ec("P-521".into()) {
        return None;
    }
    let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(&info.subject_pki.subject_public_key.data).ok()?;
    let signature = p521::ecdsa::DerSignature::try_from(&*request.signature_value.data).ok()?;
    Some(key.verify_prehash(digest::digest(hash, info.raw).as_ref(), &signature).is_ok())
}

fn key(info: &x509_parser::x509::SubjectPublicKeyInfo<'_>) -> Key {
    use x509_parser::public_key::PublicKey;
    const ED25519: &str = "1.3.101.112";
    match info.parsed() {
        Ok(PublicKey::RSA(rsa)) => Key::Rsa { bits: rsa.key_size() },
        Ok(PublicKey::EC(_)) => {
            let curve = info.algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok());
            Key::Ec(curve.map(|oid| curve_name(&oid.to_id_string())).unwrap_or_default())
        }
        _ if info.algorithm.algorithm.to_id_string() == ED25519 => Key::Ed25519,
        _ => Key::Other,
    }
}

fn curve_name(oid: &str) -> String {
    match oid {
        "1.3.132.0.33" => "P-224",
        "1.2.840.10045.3.1.7" => "P-256",
        "1.3.132.0.34" => "P-384",
        "1.3.132.0.35" => "P-521",
        other => other,
    }
    .into()
}

/// DER as a PEM block.
pub(super) fn to_pem(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned() + "\n");
    format!("-----BEGIN {label}-----\n{}-----END {label}-----\n", lines.collect::<String>())
}

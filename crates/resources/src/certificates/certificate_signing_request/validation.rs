//! Rules for requests. Whether the bytes are a certificate request at all, the admission plugin asks: it knows certificates.

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;
use k8s_openapi::api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestCondition};

use super::{conditions, is_verdict};
use crate::check::each;
use crate::strategy::Part;

const USAGES: &[&str] = &[
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];
const SHORTEST: i32 = 600;

pub(super) fn create(request: &CertificateSigningRequest) -> ErrorList {
    let path = Path::new("spec");
    let spec = &request.spec;
    let mut errs = ErrorList::new();
    let usages = spec.usages.as_deref().unwrap_or_default();
    if usages.is_empty() {
        errs.push(Error::required(&path.child("usages"), ""));
    }
    let mut seen = BTreeSet::new();
    for (i, usage) in usages.iter().enumerate() {
        let path = path.child("usages").index(i);
        if !USAGES.contains(&usage.as_str()) {
            errs.push(Error::not_supported(&path, usage, USAGES));
        }
        if !seen.insert(usage) {
            errs.push(Error::duplicate(&path, usage));
        }
    }
    errs.extend(signer(&spec.signer_name, &path.child("signerName")));
    if spec.signer_name == "kubernetes.io/legacy-unknown" {
        let why = "the legacy signerName is not allowed via this API version";
        errs.push(Error::invalid(&path.child("signerName"), &spec.signer_name, why));
    }
    if let Some(seconds) = spec.expiration_seconds.filter(|s| *s < SHORTEST) {
        let why = "may not specify a duration less than 600 seconds (10 minutes)";
        errs.push(Error::invalid(&path.child("expirationSeconds"), seconds, why));
    }
    errs
}

/// `example.com/name`, where the name may have dots.
pub(crate) fn signer(name: &str, path: &Path) -> ErrorList {
    if name.is_empty() {
        return [Error::required(path, "")].into_iter().collect();
    }
    let parts: Vec<&str> = name.split('/').collect();
    let [domain, rest] = parts[..] else {
        let why = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        return [Error::invalid(path, name, why)].into_iter().collect();
    };
    let mut errs = each(path, domain, names::dns1123_subdomain(domain));
    if !domain.is_empty() && domain.split('.').count() < 2 {
        let why = "should be a domain with at least two segments separated by dots";
        errs.push(Error::invalid(path, domain, why));
    }
    if rest.is_empty() {
        let why = "validation failed for signerName: path must not be empty";
        errs.push(Error::invalid(path, name, why));
    } else {
        errs.extend(each(path, rest, names::dns1123_subdomain(rest)));
    }
    errs
}

pub(super) fn update(
    new: &CertificateSigningRequest,
    old: &CertificateSigningRequest,
    part: Part,
) -> ErrorList {
    let path = Path::new("status");
    let mut errs = condition_errors(conditions(new), &path.child("conditions"));
    let kinds = |r: &CertificateSigningRequest| -> BTreeSet<String> {
        conditions(r).iter().map(|c| c.type_.clone()).collect()
    };
    let (now, before) = (kinds(new), kinds(old));
    for kind in ["Approved", "Denied", "Failed"] {
        let at = path.child("conditions");
        if before.contains(kind) && !now.contains(kind) {
            let why = format!("updates may not remove a condition of type {kind:?}");
            errs.push(Error::forbidden(&at, why));
        }
        let may_add = match kind {
            "Failed" => part != Part::Main,
            _ => part == Part::Approval,
        };
        if !before.contains(kind) && now.contains(kind) && !may_add {
            errs.push(Error::forbidden(&at, format!("updates may not add a condition of type {kind:?}")));
        }
    }
    let certificate = |r: &CertificateSigningRequest| {
        r.status.as_ref().and_then(|s| s.certificate.clone()).map(|c| c.0).unwrap_or_default()
    };
    let (issued, had) = (certificate(new), certificate(old));
    if issued != had {
        let at = path.child("certificate");
        if !had.is_empty() {
            errs.push(Error::forbidden(&at, "updates may not set existing certificate content"));
        } else if !is_pem(&issued) {
            errs.push(Error::invalid(
                &at,
                "<certificate data>",
                "must contain at least one CERTIFICATE PEM block",
            ));
        }
    }
    errs
}

fn is_pem(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.contains("-----BEGIN CERTIFICATE-----") && text.contains("-----END CERTIFICATE-----")
}

fn condition_errors(conditions: &[CertificateSigningRequestCondition], path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let mut seen = BTreeSet::new();
    for (i, condition) in conditions.iter().enumerate() {
        let path = path.index(i);
        let status = path.child("status");
        let kind = &*condition.type_;
        if kind.is_empty() {
            errs.push(Error::required(&path.child("type"), ""));
        }
        let verdict = is_verdict(condition) || kind == "Failed";
        match &*condition.status {
            "" => errs.push(Error::required(&status, "")),
            "True" => {}
            other if verdict => errs.push(Error::not_supported(&status, other, &["True"])),
            "False" | "Unknown" => {}
            other => errs.push(Error::not_supported(&status, other, &["False", "True", "Unknown"])),
        }
        for (a, b) in [("Approved", "Denied"), ("Denied", "Approved")] {
            if kind == a && seen.contains(b) {
                let why = format!("{b} and {a} conditions are mutually exclusive");
                errs.push(Error::invalid(&path.child("type"), kind, why));
            }
        }
        if !seen.insert(kind) {
            errs.push(Error::duplicate(&path.child("type"), kind));
        }
    }
    errs
}

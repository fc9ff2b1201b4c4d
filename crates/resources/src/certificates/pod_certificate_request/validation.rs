//! What a request has to be like, and what a signer may answer.

use std::collections::BTreeMap;

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;
use jiff::Timestamp;
use k8s_openapi::api::certificates::v1::{PodCertificateRequest, PodCertificateRequestStatus};

use super::{DENIED, FAILED, ISSUED, PodCertificateRequestExt};
use crate::certificates::certificate_signing_request::validation::signer;
use crate::certificates::x509::{self, Certificate, Key, Request};
use crate::check::{each, known, one};
use crate::conditions;
use crate::desired;

const UID_MAX: usize = 128;
const REQUEST_MAX: usize = 10 * 1024;
const CHAIN_MAX: usize = 100 * 1024;
const SHORTEST: i32 = 3600;
/// Of signers of Kubernetes' own.
const OWN_LONGEST: i32 = 24 * 3600;
const LONGEST: i32 = 91 * 24 * 3600;
const REFRESH_MARGIN: i64 = 600;
/// How far from now a certificate may begin, in seconds.
const BEGIN_MARGIN: u64 = 300;

pub(super) fn create(request: &PodCertificateRequest) -> ErrorList {
    let path = Path::new("spec");
    let spec = &request.spec;
    let mut errs = signer(&spec.signer_name, &path.child("signerName"));
    if let Some(annotations) = &spec.unverified_user_annotations {
        errs.extend(annotation_errors(annotations, &path.child("unverifiedUserAnnotations")));
    }
    for (name, uid, field) in [
        (&spec.pod_name, &spec.pod_uid, "pod"),
        (&spec.service_account_name, &spec.service_account_uid, "serviceAccount"),
        (&spec.node_name, &spec.node_uid, "node"),
    ] {
        errs.extend(each(&path.child(&format!("{field}Name")), name, names::dns1123_subdomain(name)));
        let path = path.child(&format!("{field}UID"));
        if uid.is_empty() {
            errs.push(Error::invalid(&path, uid, "must not be empty"));
        }
        if uid.len() > UID_MAX {
            errs.push(Error::too_long(&path, UID_MAX));
        }
    }
    errs.extend(lifetime_errors(
        &spec.signer_name,
        spec.max_expiration_seconds,
        &path.child("maxExpirationSeconds"),
    ));
    errs.extend(stub_errors(&spec.stub_pkc_s10_request.0, &path.child("stubPKCS10Request")));
    errs
}

/// As metadata's annotations, each key with a domain.
pub(crate) fn annotation_errors(annotations: &BTreeMap<String, String>, path: &Path) -> ErrorList {
    let mut errs = names::annotations(annotations, path);
    for key in annotations.keys().filter(|key| !key.contains('/')) {
        let detail = format!("key {key:?} must be domain-prefixed");
        errs.push(Error::invalid(path, key, detail));
    }
    errs
}

/// How long the certificate may be good, which depends on the signer.
pub(crate) fn lifetime_errors(signer: &str, seconds: Option<i32>, path: &Path) -> ErrorList {
    let Some(seconds) = seconds else {
        return one(true, || Error::required(path, "must be set"));
    };
    let own = signer.split('/').next().is_some_and(|d| d == "kubernetes.io" || d.ends_with(".kubernetes.io"));
    let longest = if own { OWN_LONGEST } else { LONGEST };
    one(!(SHORTEST..=longest).contains(&seconds), || {
        Error::invalid(path, seconds, format!("must be in the range [{SHORTEST}, {longest}]"))
    })
}

fn stub_errors(der: &[u8], path: &Path) -> ErrorList {
    const OMITTED: &str = "<value omitted>";
    if der.len() > REQUEST_MAX {
        return one(true, || Error::too_long(path, REQUEST_MAX));
    }
    let wrong = |detail: &str| one(true, || Error::invalid(path, OMITTED, detail));
    let Some(request) = Request::parse(der) else {
        return wrong("must be a valid PKCS#10 certificate signing request");
    };
    match request.key {
        Key::Rsa { bits } if !matches!(bits, 3072 | 4096) => {
            return one(true, || {
                let shown = format!("{bits}-bit modulus");
                Error::invalid(path, &shown, "RSA keys must have modulus size 3072 or 4096")
            });
        }
        Key::Ec(curve) if !matches!(&*curve, "P-256" | "P-384" | "P-521") => {
            return one(true, || {
                let shown = format!("curve {curve}");
                Error::invalid(path, &shown, "elliptic public keys must use curve P256 or P384")
            });
        }
        Key::Other => {
            return wrong("unknown public key type; supported types are Ed25519, ECDSA, and RSA");
        }
        Key::Rsa { .. } | Key::Ec(_) | Key::Ed25519 => {}
    }
    match request.proven {
        true => ErrorList::new(),
        false => wrong("could not verify proof-of-possession signature"),
    }
}

/// Nothing but metadata changes.
pub(super) fn update(new: &PodCertificateRequest, old: &PodCertificateRequest) -> ErrorList {
    one(desired::changed(new, old, "spec"), || {
        let shown = apimachinery::field::Raw(serde_json::json!(new.spec).to_string());
        Error::invalid(&Path::new("spec"), shown, "field is immutable")
    })
}

pub(super) fn status(new: &PodCertificateRequest, old: &PodCertificateRequest) -> ErrorList {
    const OMITTED: &str = "<value omitted>";
    let path = Path::new("status");
    let status = new.status.clone().unwrap_or_default();
    let errs = condition_errors(&status, &path.child("conditions"));
    if !errs.is_empty() {
        return errs;
    }
    let changed = desired::changed(new, old, "status");
    let fixed = |detail: &str| one(changed, || Error::invalid(&path, OMITTED, detail));
    if old.is_finished() {
        return fixed("immutable after PodCertificateRequest is issued, denied, or failed");
    }
    if new.is(DENIED) || new.is(FAILED) {
        let bare =
            PodCertificateRequestStatus { conditions: status.conditions.clone(), ..Default::default() };
        let empty = |text: &Option<String>| text.as_deref().unwrap_or_default().is_empty();
        let more = !empty(&status.certificate_chain)
            || (&status.not_before, &status.not_after, &status.begin_refresh_at)
                != (&bare.not_before, &bare.not_after, &bare.begin_refresh_at);
        let detail =
            "non-condition status fields must be empty when denying or failing the PodCertificateRequest";
        return one(more, || Error::invalid(&path, OMITTED, detail));
    }
    if new.is(ISSUED) {
        return issued(new, &status, &path);
    }
    fixed("status is immutable unless transitioning to \"Issued\", \"Denied\", or \"Failed\"")
}

/// A certificate that has just been issued begins about now.
pub(super) fn begins_now(new: &PodCertificateRequest, now: Timestamp) -> ErrorList {
    let begins = new.status.as_ref().and_then(|s| s.not_before.as_ref()).filter(|_| new.is(ISSUED));
    let Some(begins) = begins else { return ErrorList::new() };
    let apart = begins.0.duration_since(now).unsigned_abs();
    one(apart >= std::time::Duration::from_secs(BEGIN_MARGIN), || {
        let path = Path::new("status").child("notBefore");
        let detail = "must be set to within 5 minutes of kube-apiserver's current time";
        Error::invalid(&path, &begins.0.to_string(), detail)
    })
}

fn condition_errors(status: &PodCertificateRequestStatus, path: &Path) -> ErrorList {
    const KNOWN: &[&str] = &[ISSUED, DENIED, FAILED];
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let (mut errs, mut found) = (ErrorList::new(), 0);
    for (i, condition) in conditions.iter().enumerate() {
        let path = path.index(i);
        if !KNOWN.contains(&&*condition.type_) {
            errs.extend(known(&path.child("type"), &condition.type_, KNOWN));
            continue;
        }
        found += 1;
        if found > 1 {
            let detail = "There may be at most one condition with type \"Issued\", \"Denied\", or \"Failed\"";
            errs.push(Error::invalid(&path.child("type"), &condition.type_, detail));
        }
        errs.extend(known(&path.child("status"), &condition.status, &["True"]));
    }
    errs.extend(conditions::validate(conditions, path));
    errs
}

fn issued(request: &PodCertificateRequest, status: &PodCertificateRequestStatus, path: &Path) -> ErrorList {
    let at = &path.child("certificateChain");
    let chain = status.certificate_chain.as_deref().unwrap_or_default();
    if chain.len() > CHAIN_MAX {
        return one(true, || Error::too_long(at, CHAIN_MAX));
    }
    let wrong = |shown: &str, detail: &str| one(true, || Error::invalid(at, shown, detail));
    let blocks = x509::blocks(chain);
    let Some(first) = blocks.first() else {
        return wrong(chain, "issued certificate chain must contain at least one certificate");
    };
    if blocks.iter().any(|b| b.label != "CERTIFICATE") {
        return wrong(chain, "issued certificate chain must consist entirely of CERTIFICATE PEM blocks");
    }
    let Some(leaf) = Certificate::parse(&first.der) else {
        return wrong(chain, "leaf certificate does not parse as valid X.509");
    };
    let mut errs = name_errors(&leaf, at);
    if Request::parse(&request.spec.stub_pkc_s10_request.0).is_none_or(|r| r.public_key != leaf.public_key) {
        errs.extend(wrong(chain, "leaf certificate was not issued to the requested public key"));
        return errs;
    }
    errs.extend(times(request, status, &leaf, path));
    if errs.is_empty() && blocks[1..].iter().any(|b| Certificate::parse(&b.der).is_none()) {
        return wrong(chain, "intermediate certificate does not parse as valid X.509");
    }
    errs
}

fn name_errors(leaf: &Certificate, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    for name in &leaf.dns_names {
        for (wrong, detail) in [
            (name.is_empty(), "leaf certificate should not contain empty DNSName"),
            (name.contains(".."), "leaf certificate's DNSName should not contain '..'"),
            (
                name.starts_with('.') || name.ends_with('.'),
                "leaf certificate's DNSName should not start or end with '.'",
            ),
        ] {
            errs.extend(one(wrong, || Error::invalid(path, name, detail)));
        }
    }
    let formed =
        |mail: &str| mail.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty());
    for mail in leaf.emails.iter().filter(|mail| !formed(mail)) {
        errs.push(Error::invalid(path, mail, "leaf certificate should not contain invalid EmailAddress"));
    }
    errs
}

fn times(
    request: &PodCertificateRequest,
    status: &PodCertificateRequestStatus,
    leaf: &Certificate,
    path: &Path,
) -> ErrorList {
    let chain = path.child("certificateChain");
    let (before, after, refresh) =
        (&path.child("notBefore"), &path.child("notAfter"), &path.child("beginRefreshAt"));
    let (Some(begins), Some(ends), Some(renews)) =
        (&status.not_before, &status.not_after, &status.begin_refresh_at)
    else {
        let mut errs = ErrorList::new();
        let consistent = "must be present and consistent with the issued certificate";
        let range = "must be present and in the range [notbefore+10min, notafter-10min]";
        for (path, missing, detail) in [
            (before, status.not_before.is_none(), consistent),
            (after, status.not_after.is_none(), consistent),
            (refresh, status.begin_refresh_at.is_none(), range),
        ] {
            errs.extend(one(missing, || Error::required(path, detail)));
        }
        return errs;
    };
    let lifetime = leaf.not_after - leaf.not_before;
    let longest = request.spec.max_expiration_seconds.unwrap_or(0);
    let shown = format!("{lifetime}s");
    let second = |time: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Time| time.0.as_second();
    let too_long = format!("leaf certificate lifetime must be <= spec.maxExpirationSeconds ({longest})");
    // The first that is wrong is told.
    let rules: [(bool, &Path, String, &str); 6] = [
        (
            second(begins) != leaf.not_before,
            before,
            begins.0.to_string(),
            "must be set to the NotBefore time encoded in the leaf certificate",
        ),
        (
            second(ends) != leaf.not_after,
            after,
            ends.0.to_string(),
            "must be set to the NotAfter time encoded in the leaf certificate",
        ),
        (
            lifetime < i64::from(SHORTEST),
            &chain,
            shown.clone(),
            "leaf certificate lifetime must be >= 1 hour",
        ),
        (lifetime > i64::from(longest), &chain, shown, &too_long),
        (
            second(renews) < second(begins) + REFRESH_MARGIN,
            refresh,
            renews.0.to_string(),
            "must be at least 10 minutes after status.notBefore",
        ),
        (
            second(renews) > second(ends) - REFRESH_MARGIN,
            refresh,
            renews.0.to_string(),
            "must be at least 10 minutes before status.notAfter",
        ),
    ];
    rules
        .into_iter()
        .find(|(wrong, ..)| *wrong)
        .map(|(_, path, shown, detail)| Error::invalid(path, &shown, detail))
        .into_iter()
        .collect()
}
